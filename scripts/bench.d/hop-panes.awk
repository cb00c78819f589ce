# As hop.awk, in the way that comes to mind first: a row goes straight into the pane of its second
# and key, whose subscript is put together for every row.

BEGIN { FS = OFS = "," }
{ second = int($1 / 1000) }
second != current { advance(second); current = second }
{ keys[$2]; panes[current % 60, $2]++; values[current % 60, $2] += $3 }
END { advance(current + 60) }

function advance(to,  end) { # writes the windows that end after `current`, up to `to`
  if (!current) return
  for (end = current + 1; end <= to && end <= current + 60; end++) complete(end)
}

function complete(end,  key) { # adds the pane that ends, takes away the one that leaves
  for (key in keys) {
    if (end == current + 1 && (current % 60, key) in panes) {
      counts[key] += panes[current % 60, key]
      sums[key] += values[current % 60, key]
    }
    if (counts[key]) print end - 60 "000", end "000", key, counts[key], sums[key]
    if ((end % 60, key) in panes) {
      counts[key] -= panes[end % 60, key]
      sums[key] -= values[end % 60, key]
      delete panes[end % 60, key]
      delete values[end % 60, key]
    }
  }
}
