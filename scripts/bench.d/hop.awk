# Rows `ms,key,value` in order of time: count and sum per key in windows of 60 s, one every second.
# A row goes into the pane of its second only. Totals over the last 60 panes are kept by adding a
# new pane and subtracting the oldest, which is exact, as the values are whole numbers.

BEGIN { FS = OFS = "," }
{ second = int($1 / 1000) }
second != current { advance(second); current = second }
{ count[$2]++; sum[$2] += $3 }
END { advance(current + 60) }

function advance(to,  key, end) { # writes the windows that end after `current`, up to `to`
  if (!current) return
  for (key in count) {
    counts[key] += panes[current % 60, key] = count[key]
    sums[key] += values[current % 60, key] = sum[key]
  }
  split("", count)
  split("", sum)
  for (end = current + 1; end <= to && end <= current + 60; end++) {
    for (key in counts) if (counts[key])
      print end - 60 "000", end "000", key, counts[key], sums[key]
    forget(end % 60)
  }
}

function forget(pane,  key) {
  for (key in counts) if ((pane, key) in panes) {
    counts[key] -= panes[pane, key]
    sums[key] -= values[pane, key]
    delete panes[pane, key]
    delete values[pane, key]
  }
}
