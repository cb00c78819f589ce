# Rows `ms,key,value` in order of time: count and sum per key in windows of 10 s, each written when
# the next one begins. Windows are numbered in tens of seconds, as mawk writes subscripts above 2^31
# with %.6g: milliseconds would make one window of many.

BEGIN { FS = OFS = "," }
{ window = int($1 / 10000) }
window != current { complete(); current = window }
{ count[$2]++; sum[$2] += $3 }
END { complete() }

function complete(  key) {
  for (key in count) print current "0000", (current + 1) "0000", key, count[key], sum[key]
  split("", count)
  split("", sum)
}
