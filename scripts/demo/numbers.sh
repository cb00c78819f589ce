#!/usr/bin/env bash
# A number a second, 0 to 9: kprod prints the broker's receipt for each, and the sum of every two
# seconds is printed as Spark Streaming prints it. Then all sums must add up to all numbers.
#
#   RUNNER   kmock or kafka-run (default kmock)
#   NUMBERS   how many (default 10)
# shellcheck disable=SC2016 # $1 is a field of swin, not of the shell
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" numbers:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
count=${NUMBERS:-10}

kgen numbers --rate 1 -n "$count" -q | tee sent |
  kprod -t numbers --receipts -q | sed -u 's/^/acknowledged /' & producer=$!

# Every number is shown on its way past; -c ends the stream, and with it the sums.
exec 3>&1
kcons -t numbers --from-beginning -c "$count" --marks -q |
  tee -i >(grep --line-buffered -av $'^\x1e' | sed -u 's/^/number /' >&3) |
  swin --tumble 2s 'sum($1)' -o spark | tee sums
wait "$producer"

sent=$(awk '{ sum += $1 } END { print sum }' sent)
summed=$(awk '/^[0-9]+$/ { sum += $1 } END { print sum }' sums)
echo "$count numbers add up to $sent, the sums of two seconds to $summed"
[[ $sent == "$summed" ]]
