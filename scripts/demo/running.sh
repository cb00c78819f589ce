#!/usr/bin/env bash
# How many lines of each level a log holds by now, said every 2 s, also while nothing comes: lines
# come for four seconds, then the log is silent for five. Then awk counts what was sent.
#
#   RUNNER   kmock or kafka-run (default kmock)
# shellcheck disable=SC2016 # $0 is a line of swin, not of the shell
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" levels:3 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

kgen logs --rate 10 -n 40 --error-share 0.2 -q | sed -u 's/^[^ ]* //; s/ .*//' |
  tee sent | kprod -t levels -q & producer=$!
kcons -t levels --from-beginning --timeout-ms 5000 --marks -q |
  swin --running --every 2s --by '$0' -o spark | tee blocks
wait "$producer"

# A line for every block: its time, then its pairs, sorted.
awk '/^Time:/ { time = $2 } /^\(/ { pairs = pairs " " $0 } /^$/ { print time pairs; pairs = "" }' \
  blocks >states
awk '{ count[$0]++ } END { for (level in count) print "(" level "," count[level] ")" }' sent |
  LC_ALL=C sort | paste -sd' ' >theirs
tail -1 states | cut -d' ' -f2- >ours
if ! diff ours theirs; then
  echo 'awk does not agree: < is the last state, > is awk' >&2
  exit 1
fi

# The last block is that of the end, between two multiples of 2 s.
silent=$(head -n -1 states | cut -d' ' -f2- | uniq -c | awk 'END { print $1 - 1 }')
if ((silent < 1)) || ! head -n -1 states | awk 'NR > 1 && $1 != last + 2000 { exit 1 }
    { last = $1 }'; then
  echo 'the state was not said every 2 s while nothing came' >&2
  exit 1
fi
echo "awk agrees on the counts of $(wc -l <sent) lines, which were said every 2 s;" \
  "blocks while nothing came: $silent"
