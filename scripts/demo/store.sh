#!/usr/bin/env bash
# Results and offsets in one transaction of a foreign store: sums of the records of a real Kafka in
# a table of SQLite, or of Redis, that stay exact though the whole pipe is killed at random, again
# and again.
#
#   STORE   sqlite or redis (default sqlite)
#   KILLS   how often it is killed (default 20)
#   GUARD   no: epochs are taken wherever they begin, to see how the demo fails then
#
# keach runs store.d/STORE for each epoch, and kcons begins where the store's offsets end.
set -euo pipefail

readonly STORE=${STORE:-sqlite} ROWS=40000 KILLS=${KILLS:-20}
if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  case $STORE in sqlite) needed=sqlite3 ;; *) needed=$STORE-server ;; esac
  type -P "$needed" >/dev/null || { echo "store.sh: $needed: not found" >&2; exit 1; }
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER GUARD=${GUARD:-yes}
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  here=$(cd "$(dirname "$0")" && pwd)
  STORE_PROGRAM=$here/store.d/$STORE kafka-run numbers:2 -- "$here/store.sh"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap '"$STORE_PROGRAM" close; kill $(jobs -p) 2>/dev/null || true' EXIT
"$STORE_PROGRAM" create

# Reads on where the store is. The offsets are nowhere else: Kafka is told none.
pipe() { # OPTIONS of kcons
  "$STORE_PROGRAM" offsets >from || return
  kcons -t numbers -g sums --instance a --epoch 200ms --from-offsets from -o beginning -q "$@" |
    keach "$STORE_PROGRAM" load >marks
}

kgen numbers -q --seed 1 -n "$ROWS" >rows
kgen numbers -q --seed 1 -n "$ROWS" --rate $((ROWS / 8)) | kprod -t numbers -q & feeder=$!
set -m # each pipe has a group of its own
for ((kill = 0; kill < KILLS; kill++)); do
  pipe 2>>said &
  sleep "$((RANDOM % 2)).$((RANDOM % 90 + 10))"
  kill -KILL -- -$! 2>/dev/null || true
  wait $! 2>/dev/null || true
done
wait "$feeder"
# An epoch of a pipe that was killed may be under way still: then the store refuses ours.
for ((try = 0; try < 20; try++)); do
  ! pipe -e 2>>said || break
done

"$STORE_PROGRAM" show | sort -n >ours
awk '{ count[$1]++; sum[$1] += $1 } END { for (n in count) print n, count[n], sum[n] }' rows |
  sort -n >theirs
cat ours
if ! diff ours theirs; then
  echo "store.sh: awk does not agree: < is $STORE, > is awk (number, count, sum)" >&2
  exit 1
fi
echo "awk agrees on $ROWS rows, whose pipe was killed $KILLS times; epochs of killed pipes that" \
  "$STORE refused: $(wc -l <refused)"
