# What all tables have in common: samples are lines `NAME VALUE...`, as they were taken.

!runs[$1]++ { names[++programs] = $1 }

# The median of of[name, 1], of[name, 2], ...; sets `least`, the smallest of them.
function median(of, name,  sorted, many, at, next_one) {
  many = runs[name]
  for (next_one = 1; next_one <= many; next_one++) {
    for (at = next_one; at > 1 && sorted[at - 1] > of[name, next_one]; at--)
      sorted[at] = sorted[at - 1]
    sorted[at] = of[name, next_one]
  }
  least = sorted[1]
  at = int((many + 1) / 2)
  return many % 2 ? sorted[at] : (sorted[at] + sorted[at + 1]) / 2
}
