#!/usr/bin/env bash
# Offsets in one's own store: a table of SQLite has, in one transaction, how much every account
# withdrew and how far the topic was read. Each run of kcons is a batch: it starts where the table
# ends, and its ranges are printed as `topic partition from until`. What was produced while nobody
# read is read next, nothing else; and so it is with the offsets of a group, which Kafka keeps.
#
#   RUNNER   kmock or kafka-run (default kmock)
# shellcheck disable=SC2016 # $1 is a field of awk, not of the shell
set -euo pipefail

type -P sqlite3 >/dev/null || { echo 'offsets.sh: sqlite3: not found' >&2; exit 1; }
if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" withdrawals:3 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
sqlite3 store.db 'CREATE TABLE totals (account TEXT PRIMARY KEY, amount INTEGER);
  CREATE TABLE offsets (topic TEXT, partition INTEGER, next INTEGER,
    PRIMARY KEY (topic, partition));'

agree() { # WHAT, and two files: what is there, and what must be there
  if ! diff "$2" "$3"; then
    echo "$1: < is what there is, > is what there must be" >&2
    exit 1
  fi
}

produce() { # FILE FIRST COUNT: the rows from number FIRST on
  kgen withdrawals --seed 1 --skip "$2" -n "$3" -q | tee "$1" |
    kprod -t withdrawals --key-field '$2' -q
}

# Reads from where the table ends to the end of the topic.
read_batch() {
  sqlite3 -separator ' ' store.db 'SELECT topic, partition, next, next FROM offsets' >kept
  kcons -t withdrawals --from-beginning -e -q --from-offsets kept --write-offsets ranges >rows
  sort ranges
}

# Results and offsets of the batch together, or neither: SQL that fails ends the transaction.
store() { # [SQL]
  {
    echo 'BEGIN;'
    awk -F, '{ print "INSERT INTO totals VALUES (\x27" $4 "\x27, " $5 ") ON CONFLICT (account)" \
      " DO UPDATE SET amount = amount + excluded.amount;" }' rows
    awk '{ print "INSERT OR REPLACE INTO offsets VALUES (\x27" $1 "\x27, " $2 ", " $4 ");" }' ranges
    echo "${1-}"
    echo 'COMMIT;'
  } | sqlite3 -bail store.db
}

same_rows() { # WHAT GOT SENT…
  sort "$2" >got
  sort "${@:3}" >sent
  agree "$1" got sent
  echo "$1: $(wc -l <got) rows, exactly those"
}

produce first 0 3000
read_batch
store
same_rows 'the first batch' rows first
kcons -t withdrawals --from-beginning -e -q -g auditors >audited
same_rows 'the first batch, by a group' audited first

# Nobody reads now. Then a batch is read, but its transaction fails: it is as if it had not been.
produce second 3000 1000
produce third 4000 2000
read_batch
if store 'INSERT INTO nowhere VALUES (1);' 2>refused; then exit 1; fi
echo 'the transaction of this batch failed; it is read again'

read_batch
store
same_rows 'what was produced since' rows second third
kcons -t withdrawals -e -q -g auditors >audited
same_rows 'what was produced since, by the group' audited second third
kcons -t withdrawals --from-beginning -e -q -g newcomers >audited
same_rows 'a new group' audited first second third

sqlite3 -separator ' ' store.db 'SELECT * FROM totals' | LC_ALL=C sort >ours
awk -F, '{ amount[$4] += $5 } END { for (account in amount) print account, amount[account] }' \
  first second third | LC_ALL=C sort >theirs
agree 'accounts and amounts' ours theirs
echo "awk agrees on the amounts of $(wc -l <ours) accounts in the table"
