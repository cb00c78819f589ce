# The table of a race, of samples `NAME SECONDS USER SYSTEM RSS_KB` (0 KB: not measured): the
# program that comes first is ours. Lines `RACE NAME UNIT VALUE` go to a file, for the floors.
#
#   awk -v race=NAME -v amount=MILLIONS -v unit='M lines/s' -v measured=FILE
#     -f samples.awk -f race.awk

{
  wall[$1, runs[$1]] = $2
  cpu[$1, runs[$1]] = $3 + $4
  if ($5 > rss[$1]) rss[$1] = $5
}

END {
  row = "  %-18s %8s %9s %10s %8s %8s %7s %9s\n"
  printf row, "", "min s", "median s", unit, "CPU s", "RSS MB", "x min", "x median"
  for (at = 1; at <= programs; at++) show(names[at], names[1])
  print ""
}

function show(name, ours,  fastest, usual, ratio, usual_ratio) {
  usual = median(wall, name)
  fastest = least
  ratio = usual_ratio = "-"
  if (name != ours) {
    usual_ratio = sprintf("%.2f", usual / median(wall, ours))
    ratio = sprintf("%.2f", fastest / least)
    print race, name, "x", fastest / least >>measured
  }
  print race, name, unit, amount / fastest >>measured
  if (rss[name]) print race, name, "MB", rss[name] / 1024 >>measured
  printf row, name, sprintf("%.3f", fastest), sprintf("%.3f", usual),
    sprintf("%.2f", amount / fastest), sprintf("%.3f", median(cpu, name)),
    rss[name] ? sprintf("%.1f", rss[name] / 1024) : "-", ratio, usual_ratio
}
