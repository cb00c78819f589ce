# The table of waits, of samples `NAME MS`. Lines `RACE NAME ms MEDIAN` are added to a file, for
# the floors.
#
#   awk -v race=NAME -v measured=FILE -f samples.awk -f waits.awk

{ wait[$1, runs[$1]] = $2 }

END {
  row = "  %-18s %8s %9s\n"
  printf row, "", "min ms", "median ms"
  for (at = 1; at <= programs; at++) {
    usual = median(wait, names[at])
    print race, names[at], "ms", usual >>measured
    printf row, names[at], sprintf("%.2f", least), sprintf("%.2f", usual)
  }
  print ""
}
