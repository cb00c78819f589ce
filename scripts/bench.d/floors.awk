# Compares what was measured, lines `RACE NAME UNIT VALUE`, with the floors, lines `RACE NAME
# RELATION VALUE UNIT MEANING...`, of the jobs that ran; exits with 1 when one was not held.
#
#   awk -v jobs='tumble hop' -f floors.awk MEASURED FLOORS

BEGIN { for (many = split(jobs, list, " "); many; many--) ran[list[many]] = 1 }

FILENAME == ARGV[1] { # the unit may be of two words; the value is last
  measured[$1, $2, $3] = $NF
  next
}

{ job = $1; sub(/-.*/, "", job) }

job in ran {
  meaning = $6
  for (at = 7; at <= NF; at++) meaning = meaning " " $at
  was = "not measured"
  held = ($1, $2, $5) in measured
  if (held) {
    value = measured[$1, $2, $5]
    was = sprintf("%.2f %s", value, $5)
    held = $3 == ">=" ? value >= $4 : $3 == "<=" ? value <= $4 : value < $4
  }
  if (!held) missed++
  printf "%-6s %-58s %-2s %5s %-4s  %s\n", held ? "held" : "MISSED", meaning, $3, $4, $5, was
}

END { exit missed > 0 }
