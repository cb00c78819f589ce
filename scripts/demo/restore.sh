#!/usr/bin/env bash
# How long a state of a million keys takes to come back when a pipe is started again: from the start
# of kcons until swin has all of it, read from the changelog of a real Kafka.
#
#   KEYS       how many keys (default 1000000)
#   SECONDS_AT_MOST   how long it may take (default 15)
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  kafka-run rows:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
readonly KEYS=${KEYS:-1000000} SECONDS_AT_MOST=${SECONDS_AT_MOST:-15}
head=(kcons -t rows -g g --instance a --epoch 1s -o beginning -q)
# shellcheck disable=SC2016 # $2 is a field
stage=(swin --by '$1 as key' --running --max-keys "$KEYS" 'count(*)' 'sum($2) as sum')

peak() { # PID: MB of memory that it had at most
  awk '/^VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$1/status"
}

# Every key comes twice: of the changelog's two entries of a key the last one counts.
for number in 1 2; do
  seq "$KEYS" | awk -v number="$number" '{ print "key" $1 "," number }' | kprod -t rows -q
  "${head[@]}" -e | "${stage[@]}" | ksink --state-only -q
done
entries=$(kcons -t g-kpipe-state -e -q | wc -lc)

mkfifo input output
began=${EPOCHREALTIME/./}
"${head[@]}" >input 2>>said & reader=$!
"${stage[@]}" <input >output 2>>said & keeper=$!
exec {from}<output
while read -r line <&"$from" && [[ $line != *'"mark":"restored"'* ]]; do :; done
took=$(((${EPOCHREALTIME/./} - began) / 1000))
restored=${line#*'"count":'}
printf '%d entries in %d.%03d s; memory: kcons %d MB, swin %d MB; changelog: %s\n' \
  "${restored%%,*}" $((took / 1000)) $((took % 1000)) "$(peak "$reader")" "$(peak "$keeper")" \
  "$(awk '{ printf "%d records of %d MB", $1, $2 / 1e6 }' <<<"$entries")"
if ((took > SECONDS_AT_MOST * 1000 || ${restored%%,*} < KEYS)); then
  echo "restore.sh: $KEYS keys in $SECONDS_AT_MOST s are expected" >&2
  exit 1
fi
