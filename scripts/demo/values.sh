#!/usr/bin/env bash
# How often each value came in the last 6 s, every 2 s, by the time of its arrival. Each line lies
# in three of these windows, so that all counts of a value are three times what awk counts.
#
#   RUNNER   kmock or kafka-run (default kmock)
# shellcheck disable=SC2016 # $0 is a line of swin, not of the shell
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" values:3 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
count=100

kgen numbers --below 4 --rate 10 -n "$count" -q | tee sent | kprod -t values -q & producer=$!
kcons -t values --from-beginning -c "$count" --marks -q |
  swin --hop 6s/2s --by '$0' -o spark | tee blocks
wait "$producer"

tr -d '()' <blocks | awk -F, 'NF == 2 { count[$1] += $2 }
  END { for (value in count) print value, count[value] }' | LC_ALL=C sort >ours
awk '{ count[$0] += 3 } END { for (value in count) print value, count[value] }' sent |
  LC_ALL=C sort >theirs
if ! diff ours theirs; then
  echo 'awk does not agree: < is all windows, > is three times awk (value, count)' >&2
  exit 1
fi
echo "awk agrees: each of $count lines was counted under its value in three windows"
