# The ten greatest numbers, greatest first: most are not above the tenth and take one comparison.

size == 10 && $1 <= best[10] { next }
{
  if (size < 10) size++
  for (at = size; at > 1 && best[at - 1] < $1; at--) best[at] = best[at - 1]
  best[at] = $1
}
END { for (at = 1; at <= size; at++) print best[at] }
