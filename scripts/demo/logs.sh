#!/usr/bin/env bash
# ERROR lines in windows of 30 s, every 10 s, by the time that the lines carry: first two lines
# that make the counts 1 2 2 1 0, then five minutes of a log, which awk counts as well.
#
#   RUNNER   kmock or kafka-run (default kmock)
# shellcheck disable=SC2016 # $1 is a field of swin, not of the shell
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" two-errors:1 log:3 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"

errors() { # TOPIC, and the form of the counts
  kcons -t "$1" --from-beginning -e --marks -q |
    swin -F' ' --time '$1' --hop 30s/10s --where "\$2 = 'ERROR'" --zeros -o "$2"
}

agree() { # WHAT EXPECTED GOT
  if [[ $2 != "$3" ]]; then
    printf '%s: expected %s, got %s\n' "$1" "$2" "$3" >&2
    exit 1
  fi
  echo "$1: $3"
}

kprod -t two-errors -q <<'LOG'
2025-01-01T00:00:01.000Z ERROR payment card 17 declined
2025-01-01T00:00:14.000Z ERROR payment card 23 declined
2025-01-01T00:00:31.000Z INFO payment card 23 accepted
2025-01-01T00:00:50.000Z INFO payment card 42 accepted
LOG
errors two-errors spark | tee blocks
counts=$(grep -E '^[0-9]+$' blocks | paste -sd' ')
agree 'an ERROR in the first ten seconds, one in the second' '1 2 2 1 0' "$counts"

# 600 lines, one every half second from midnight on; all three partitions hold some.
kgen logs --seed 7 -n 600 --step 500ms -q | tee lines | kprod -t log -q
errors log json | grep -av $'^\x1e' | jq -r .count | paste -sd' ' >ours
awk '{ split(substr($1, 12), t, ":"); second = t[1]*3600 + t[2]*60 + t[3]; last = second }
  $2 == "ERROR" { for (end = int(second/10)*10 + 10; end <= int(second/10)*10 + 30; end += 10)
    count[end]++ }
  END { for (end in count) if (end + 0 > until) until = end + 0
    for (end = 10; end <= last || end <= until; end += 10) printf "%d\n", count[end] }' lines |
  paste -sd' ' >theirs
agree 'five minutes of a log, and awk agrees' "$(cat theirs)" "$(cat ours)"
