# The table of ages, of samples `NAME P50 P99` in milliseconds: the medians of the rounds. Lines
# `RACE NAME p50 MEDIAN` and `RACE NAME p99 MEDIAN` are added to a file, for the floors.
#
#   awk -v race=NAME -v measured=FILE -f samples.awk -f ages.awk

{ p50[$1, runs[$1]] = $2; p99[$1, runs[$1]] = $3 }

END {
  row = "  %-18s %8s %8s\n"
  printf row, "", "p50 ms", "p99 ms"
  for (at = 1; at <= programs; at++) {
    name = names[at]
    half = median(p50, name)
    most = median(p99, name)
    print race, name, "p50", half >>measured
    print race, name, "p99", most >>measured
    printf row, name, sprintf("%.1f", half), sprintf("%.1f", most)
  }
  print ""
}
