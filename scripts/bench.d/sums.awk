# Rows `ms,key,value` in any order: count and sum per key in windows of 10 s, written at the end.
# Windows are numbered in tens of seconds, as tumble.awk says why.

BEGIN { FS = OFS = "," }

{
  at = int($1 / 10000) "," $2
  count[at]++
  sum[at] += $3
}

END {
  for (at in count) {
    split(at, part, ",")
    print part[1] "0000", (part[1] + 1) "0000", part[2], count[at], sum[at]
  }
}
