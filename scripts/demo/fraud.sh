#!/usr/bin/env bash
# Card fraud, live: a card that is used more than twice at one machine within 15 minutes is said
# once, at the third withdrawal. Then awk looks for the same among all rows that were sent, and
# so does sort, which need not know of time: kgen's honest cards never come back to a machine.
#
#   RUNNER   kmock or kafka-run (default kmock)
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" withdrawals:3 frauds:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
count=4000

# Every fraud is shown on its way to the topic.
exec 3>&1
kgen withdrawals --rate 400 -n "$count" -q | tee sent | kprod -t withdrawals -q & producer=$!
kcons -t withdrawals --from-beginning -c "$count" --marks -q |
  swin --names ms,card,atm,account,amount --time ms --by card,atm --range 15m --once \
    --having 'count(*) > 2' 'last(account) as account' 'last(amount) as amount' |
  tee -i >(grep --line-buffered -av $'^\x1e' >&3) | ksink -t frauds --no-transaction -q
wait "$producer"

kcons -t frauds --from-beginning -e -q |
  jq -r '"\(.time) \(.card) \(.atm) \(.account) \(.amount)"' | LC_ALL=C sort >ours
awk -F, '{ pair = $2 " " $3; nth = count[pair]++; time[pair, nth] = $1
    is = nth > 1 && $1 - time[pair, nth - 2] <= 15 * 60 * 1000
    if (is && !was[pair]) print $1, pair, $4, $5
    was[pair] = is }' sent | LC_ALL=C sort >theirs
if ! diff ours theirs; then
  echo 'awk does not agree: < is the topic frauds, > is awk (time, card, machine, account, sum)' >&2
  exit 1
fi
known=$(cut -d, -f2,3 sent | sort | uniq -c | awk '$1 > 2' | wc -l)
if [[ $(wc -l <ours) != "$known" ]]; then
  echo "kgen made $known frauds" >&2
  exit 1
fi
echo "awk agrees on $known frauds among $count withdrawals, each said once"
