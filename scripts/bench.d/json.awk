# Rows `{"ms":1,"key":"k","value":2}` of just this layout, as tumble.awk counts rows of text: awk
# reads no JSON, it cuts at the quotes.

BEGIN { FS = "\""; OFS = "," }
{ window = int(substr($3, 2) / 10000) }
window != current { complete(); current = window }
{ count[$6]++; sum[$6] += substr($9, 2) }
END { complete() }

function complete(  key) {
  for (key in count) print current "0000", (current + 1) "0000", key, count[key], sum[key]
  split("", count)
  split("", sum)
}
