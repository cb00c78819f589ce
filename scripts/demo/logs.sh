#!/usr/bin/env bash
# ERROR lines in windows of 30 s, every 10 s, by the time that the lines carry: first two lines
# that make the counts 1 2 2 1 0, then five minutes of a log, then those of a second log beside it,
# which comes from a socket. awk counts both logs as well.
#
#   RUNNER   kmock or kafka-run (default kmock)
# shellcheck disable=SC2016 # $1 is a field of swin, not of the shell
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" two-errors:1 log:3 socket:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
count=600

errors() { # TOPIC, and the form of the counts
  kcons -t "$1" --from-beginning -e --marks -q |
    swin -F' ' --time '$1' --hop 30s/10s --where "\$2 = 'ERROR'" --zeros -o "$2"
}

# The counts of all windows from midnight until END (in seconds) or, without one, the last line.
count_by_awk() { # FILE [END]
  awk -v last="${2-}" '{ split(substr($1, 12), t, ":"); second = t[1]*3600 + t[2]*60 + t[3]
      if (last == "" || second > last) last = second }
    $2 == "ERROR" { for (end = int(second/10)*10 + 10; end <= int(second/10)*10 + 30; end += 10)
      count[end]++ }
    END { for (end in count) if (end + 0 > until) until = end + 0
      for (end = 10; end <= last || end <= until; end += 10) printf "%d\n", count[end] }' "$1"
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

# A line every half second from midnight on; all three partitions hold some.
kgen logs --seed 7 -n "$count" --step 500ms -q | tee lines | kprod -t log -q
errors log json | grep -av $'^\x1e' | jq -r .count | paste -sd' ' >ours
agree 'five minutes of a log, and awk agrees' "$(count_by_awk lines | paste -sd' ')" "$(cat ours)"

# The second log is served to TCP clients. kprod is one that would come back for more, so it is
# ended when all is there.
mkfifo listens
kgen logs --seed 8 -n "$count" --step 500ms --listen 0 --truth served 2>listens & server=$!
exec 3<listens
read -r listens <&3
kprod "tcp://${listens##* }" -t socket -q & client=$!
kcons -t socket --from-beginning -c "$count" -q >received
kill -INT "$client" && wait "$client" "$server"
cmp served received

# Both counts under one time, (socket,log).
kcons -t socket,log --from-beginning -e -J --marks -q |
  swin -i envelope -F' ' --time '$1' --hop 30s/10s --where "\$2 = 'ERROR'" --zeros -o spark \
    "count(*) filter (where _topic = 'socket') as socket" \
    "count(*) filter (where _topic = 'log') as log" | tee both
awk '/^\(/ { print substr($0, 2, length($0) - 2) }' both >ours
paste -d, <(count_by_awk served 300) <(count_by_awk lines 300) >theirs
if ! diff ours theirs; then
  echo 'awk does not agree: < is swin, > is awk (errors from the socket, from the topic)' >&2
  exit 1
fi
headers=$(grep -c '^Time:' both)
[[ $headers == "$(wc -l <theirs)" ]]
echo "awk agrees on both counts of $headers windows, from a socket and from a topic"
