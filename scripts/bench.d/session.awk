# Rows `ms,key,value` in order of time: count and sum per session of a key, whose rows are at most
# 300 ms apart, each written when the next one begins.

BEGIN { FS = "," }
$1 - last[$2] > 300 { complete($2); first[$2] = $1 }
{ last[$2] = $1; count[$2]++; sum[$2] += $3 }
END { for (key in last) complete(key) }

function complete(key) {
  if (key in first)
    printf "%s,%.0f,%s,%d,%d\n", first[key], last[key] + 300, key, count[key], sum[key]
  count[key] = sum[key] = 0
}
