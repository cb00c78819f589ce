# The table of the start-up times, of samples `NAME MICROSECONDS`: the program that comes first is
# `true`, which no other can beat. Lines `start NAME ms VALUE`, the median above that of `true`, are
# added to a file, for the floors.
#
#   awk -v measured=FILE -f samples.awk -f start.awk

{ wall[$1, runs[$1]] = $2 / 1000 }

END {
  row = "  %-18s %8s %9s %10s %12s\n"
  printf row, "", "min ms", "median ms", "above true", "at the median"
  for (at = 1; at <= programs; at++) show(names[at], names[1])
  print ""
}

function show(name, nothing,  fastest, usual, nothing_usual) {
  usual = median(wall, name)
  fastest = least
  nothing_usual = median(wall, nothing)
  print "start", name, "ms", usual - nothing_usual >>measured
  printf row, name, sprintf("%.2f", fastest), sprintf("%.2f", usual),
    sprintf("%.2f", fastest - least), sprintf("%.2f", usual - nothing_usual)
}
