#!/usr/bin/env bash
# Scale-out: rows are keyed again by their page, exactly once, and 1, 2 and 4 copies of one pipe sum
# them up, each group by itself. While rows go on coming one copy is killed, and one more comes. The
# totals of all have to be those of awk. Needs a real Kafka.
#
#   ROWS   how many rows are there before the copies start (default 1000000)
#   RATE   how many a second come then (default 5000)
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  kafka-run pages:3 keyed:4 totals-{1,2,4}:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
readonly ROWS=${ROWS:-1000000} RATE=${RATE:-5000} NAMES=page,clicks,stay,liked
copies=()

now() { echo $((${EPOCHREALTIME/./} / 1000)); } # in milliseconds

# What stands in pages goes to keyed, where every page has one partition.
rekey() { # OPTIONS of kcons
  kloop -c "kcons -t pages -g rekey --instance a --epoch 200ms -o beginning -q $* |
    ksink -t keyed -F'|' --names $NAMES --key-field page -q" 2>>said &
  rekeyer=$!
}

copy() { # GROUP NAME: one more copy; its processes are the group whose number is in NAME.group
  kloop -c "echo \$\$ >$2.group
    kcons -t keyed -g $1 --instance $2 --epoch 200ms -o beginning -q |
      swin -F'|' --names $NAMES --by page --running --every 200ms --emit changes \
        'count(*)' 'sum(clicks)' -o text |
      ksink -t $1 -F'|' --names time,page,count,clicks --key-field page -q" 2>>said &
  copies+=($!)
}

total() { # GROUP ROWS: the last total of each page, as soon as these are of so many rows
  local -A counts=() clicks=()
  local from reader page count click rest=$2
  exec {from}< <(exec kcons -t "$1" -o beginning -q)
  reader=$!
  while ((rest > 0)) && IFS='|' read -r -t 60 _ page count click <&"$from"; do
    ((rest -= count - ${counts[$page]:-0})) || true
    counts[$page]=$count clicks[$page]=$click
  done
  kill "$reader"
  exec {from}<&-
  for page in "${!counts[@]}"; do echo "$page ${counts[$page]} ${clicks[$page]}"; done |
    LC_ALL=C sort
}

check() { # GROUP
  total "$1" "$(wc -l <rows)" >ours
  awk -F'|' '{ count[$1]++; clicks[$1] += $2 }
    END { for (page in count) print page, count[page], clicks[page] }' rows | LC_ALL=C sort >theirs
  if ! diff ours theirs; then
    echo "copies.sh: awk does not agree: < is $1, > is awk (page, count, clicks)" >&2
    cat said >&2
    exit 1
  fi
}

# GROUP SINCE: for how long no offset was committed, of the partition for which that was longest.
pause() {
  kcons -t "$1-kpipe-state" -e -q -J 2>>said | jq -r 'select(.key | startswith("[\"\",")) |
    "\(.partition) \(.ts)"' | awk -v since="$2" '
      $2 > since && last[$1] && $2 - last[$1] > most { most = $2 - last[$1] }
      { last[$1] = $2 }
      END { printf "%.1f s", most / 1000 }'
}

feed() { # SECONDS: more rows
  kgen pages --seed "$RANDOM" --rate "$RATE" -n $((RATE * $1)) -q | tee -a rows | kprod -t pages -q
}

end() { # PID...: of kloops, which end their pipes in good order
  local one
  kill "$@"
  for one; do wait "$one"; done
}

race() { # COPIES
  local group=totals-$1 began took count killed came at feeder
  began=$(now) copies=()
  for ((at = 1; at <= $1; at++)); do copy "$group" "$group-$at"; done
  check "$group"
  took=$(($(now) - began))
  count=$(wc -l <rows)
  feed 24 & feeder=$!
  sleep 4
  killed=$(now)
  kill -KILL -- "-$(<"$group-1.group")"
  sleep 8
  killed=$(pause "$group" "$killed")
  came=$(now)
  copy "$group" "$group-more"
  wait "$feeder"
  check "$group"
  printf '| %d | %s M rows/s | %s | %s |\n' "$1" \
    "$(awk -v rows="$count" -v ms="$took" 'BEGIN { printf "%.2f", rows / ms / 1000 }')" \
    "$killed" "$(pause "$group" "$came")"
  end "${copies[@]}"
}

kgen pages --seed 1 -n "$ROWS" -q | tee rows | kprod -t pages -q
rekey -e && wait "$rekeyer"
rekey
echo '| copies | totals | one was killed: pause | one more came: pause |'
echo '|---|---|---|---|'
for number in 1 2 4; do race "$number"; done
end "$rekeyer"
echo "awk agrees on $(wc -l <rows) rows, whoever counted them"
