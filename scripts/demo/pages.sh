#!/usr/bin/env bash
# The hottest pages, live: kgen and kprod are the site, kcons | swin | topk ranks it, and ksink
# writes the same ranking to a topic. Then awk ranks what kgen wrote, and the two must agree.
#
#   RUNNER   kmock or kafka-run (default kmock)
#   SECONDS_OF_CLICKS   how long people click (default 15)
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" user-behavior:3 hot-pages:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
heat='sum(0.8*clicks + 0.8*stay + liked) as heat'

# A site where, every second, 0 to 50 people leave a page.
site() {
  timeout --signal=INT "${SECONDS_OF_CLICKS:-15}" kgen pages --burst 0..50 --every 1s -q |
    tee clicks | kprod -t user-behavior -q
}

# The ranking ends when nobody has clicked for four seconds.
site & site=$!
mkfifo heats
topk -k 10 heat --key page --upsert -o json <heats |
  ksink -t hot-pages --key-field page --no-transaction -q & ranking=$!
kcons -t user-behavior --from-beginning --timeout-ms 4000 --marks -q |
  swin -F'|' --names page,clicks,stay,liked --by page --running --every 2s "$heat" |
  tee -i heats | topk -k 10 heat --key page --upsert -o table
wait "$site" "$ranking"

# The last ten rows of the topic are the last ranking.
kcons -t hot-pages --from-beginning -e -q | tail -10 |
  jq -r '"\(.page) \(.heat * 1e6 | round)"' >ours
awk -F'|' '{ heat[$1] += 0.8*$2 + 0.8*$3 + $4 }
  END { for (page in heat) printf "%s %.0f\n", page, heat[page] * 1e6 }' clicks |
  LC_ALL=C sort -k2,2nr -k1,1 | sed -n 1,10p >theirs
if diff ours theirs; then
  echo "awk agrees on the ten hottest of $(cut -d'|' -f1 clicks | sort -u | wc -l) pages" \
    "after $(wc -l <clicks) visits"
else
  echo 'awk does not agree: < is the topic hot-pages, > is awk (page, heat in millionths)' >&2
  exit 1
fi
