#!/usr/bin/env bash
# A query over a topic of `account,amount`, and back to a topic:
#
#   SELECT account, count(*), sum(amount) AS total WHERE amount >= 100 GROUP BY account
#   HAVING sum(amount) > 5000 ORDER BY total DESC LIMIT 10
#
# Then awk answers it from what kgen wrote.
#
#   RUNNER   kmock or kafka-run (default kmock)
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" payments:3 richest:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"

kgen withdrawals -n 20000 -q | cut -d, -f4,5 | tee sent | kprod -t payments -q
kcons -t payments --from-beginning -e --marks -q |
  swin --names account,amount --where 'amount >= 100' --by account --running \
    --having 'total > 5000' 'count(*)' 'sum(amount) as total' |
  topk -k 10 total --key account | ksink -t richest --no-transaction -q

kcons -t richest --from-beginning -e -q | tee rows
jq -r '"\(.account) \(.count) \(.total)"' rows >ours
awk -F, '$2 >= 100 { count[$1]++; total[$1] += $2 }
  END { for (account in total) if (total[account] > 5000)
    print account, count[account], total[account] }' sent |
  LC_ALL=C sort -k3,3nr -k1,1 | sed -n 1,10p >theirs
if ! diff ours theirs; then
  echo 'awk does not agree: < is the topic richest, > is awk (account, count, total)' >&2
  exit 1
fi
echo "awk agrees on the ten that withdrew most of $(cut -d, -f1 sent | sort -u | wc -l) accounts"
