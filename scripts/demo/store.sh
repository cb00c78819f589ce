#!/usr/bin/env bash
# Results and offsets in one transaction of a foreign store: a table of sums in SQLite, which stays
# exact though the whole pipe is killed at random, again and again.
#
#   KILLS   how often it is killed (default 20)
#
# The program `head` below stands for kcons --epoch --from-offsets: it starts again where the table
# of offsets ends. keach runs the program `load` for each epoch.
set -euo pipefail

type -P sqlite3 >/dev/null || { echo 'store.sh: sqlite3: not found' >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
readonly ROWS=20000 KILLS=${KILLS:-20}

sqlite3 store.db 'PRAGMA journal_mode = WAL;
  CREATE TABLE sums (number INTEGER PRIMARY KEY, count INTEGER, sum INTEGER);
  CREATE TABLE offsets (topic TEXT, partition INTEGER, next INTEGER,
    PRIMARY KEY (topic, partition));
  CREATE TABLE guard (known INTEGER CHECK (known = 1));' >/dev/null

# An epoch into the store. One that does not begin where the last one ended is refused, as it comes
# from a pipe that was replaced: the CHECK ends the transaction, and nothing of it stays.
cat >load <<'END'
#!/usr/bin/env bash
set -euo pipefail
{
  echo 'BEGIN IMMEDIATE;'
  while read -r topic partition from until; do
    echo "INSERT INTO offsets VALUES ('$topic', $partition, 0) ON CONFLICT DO NOTHING;
      UPDATE offsets SET next = $until
        WHERE topic = '$topic' AND partition = $partition AND next = $from;
      INSERT INTO guard VALUES (changes()); DELETE FROM guard;"
  done <"$KPIPE_OFFSETS"
  awk '{ print "INSERT INTO sums VALUES (" $1 ", 1, " $1 ") ON CONFLICT (number)" \
    " DO UPDATE SET count = count + 1, sum = sum + excluded.sum;" }'
  echo 'COMMIT;'
} | sqlite3 -bail -cmd '.timeout 5000' store.db
END
chmod +x load

next() { sqlite3 -cmd '.timeout 5000' store.db 'SELECT coalesce(max(next), 0) FROM offsets'; }

kgen numbers -q --seed 1 -n "$ROWS" >topic

head() { # FROM: the topic from this offset on, a hundred lines an epoch
  awk -v from="$1" '
    function mark(json) { printf "\036{%s}\n", json }
    function barrier(last) {
      mark("\"mark\":\"barrier\",\"epoch\":" ++epoch ",\"lines\":" lines ",\"group\":\"g\"," \
        "\"generation\":1,\"member\":\"m\",\"instance\":null,\"offsets\":[[\"t\",0," NR "]]" last)
      lines = 0
    }
    BEGIN {
      mark("\"kpipe\":1,\"mark\":\"open\",\"epochs\":true,\"tick_ms\":100,\"stages\":[]")
      mark("\"mark\":\"begin\",\"group\":\"g\",\"generation\":1,\"member\":\"m\"," \
        "\"partitions\":[[\"t\",0]]")
      mark("\"mark\":\"restored\",\"count\":0,\"offsets\":[[\"t\",0," from "]]")
      mark("\"mark\":\"from\",\"at\":[\"t\",0],\"offset\":" from)
    }
    NR > from { print; if (++lines == 100) barrier("") }
    END { barrier(",\"last\":\"drained\""); mark("\"mark\":\"end\",\"how\":\"drained\"") }' topic
}

pipe() { # reads on where the store is
  local from
  from=$(next)
  head "$from" | keach ./load >marks 2>>said
}

set -m # each pipe has a group of its own
for ((kill = 0; kill < KILLS; kill++)); do
  pipe &
  sleep "0.$((RANDOM % 40 + 10))"
  kill -KILL -- -$! 2>/dev/null || true
  wait $! 2>/dev/null || true
done
for ((try = 0; try < 10; try++)); do
  ! pipe || break # an epoch of a killed pipe may have been under way still
done

sqlite3 -separator ' ' store.db 'SELECT * FROM sums ORDER BY number' >ours
kgen numbers -q --seed 1 -n "$ROWS" |
  awk '{ count[$1]++; sum[$1] += $1 } END { for (n in count) print n, count[n], sum[n] }' |
  sort -n >theirs
cat ours
if ! diff ours theirs; then
  echo 'awk does not agree: < is the table, > is awk (number, count, sum)' >&2
  exit 1
fi
echo "awk agrees on $ROWS rows, which were killed $KILLS times on their way"
