#!/usr/bin/env bash
# CPU and memory of this machine, measured five times a second, over windows of 3 s: the mean and
# the 95th percentile of the CPU, and the highest use of memory, on the terminal and in a topic.
# The topic is read again, as a table, and awk computes the same from what kgen measured; the
# percentile may be off by 1 %.
#
#   RUNNER   kmock or kafka-run (default kmock)
set -euo pipefail

if [[ -z ${KPIPE_DEMO_FOLDER-} ]]; then
  KPIPE_DEMO_FOLDER=$(mktemp -d)
  export KPIPE_DEMO_FOLDER
  trap 'rm -rf "$KPIPE_DEMO_FOLDER"' EXIT
  "${RUNNER:-kmock}" hosts:1 usage:1 -- "$0"
  exit
fi

cd "$KPIPE_DEMO_FOLDER"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
count=50

kgen host --rate 5 -n "$count" | tee sent | kprod -t hosts -q & producer=$!

# Every window is shown on its way to the topic.
exec 3>&1
kcons -t hosts --from-beginning -c "$count" --marks -q |
  swin --names ms,host,cpu,mem --time ms --by host --tumble 3s 'avg(cpu) as cpu' \
    'approx_percentile(cpu, 0.95) as cpu_p95' 'max(mem) as mem' |
  tee -i >(grep --line-buffered -av $'^\x1e' >&3) | ksink -t usage --no-transaction -q
wait "$producer"

kcons -t usage --from-beginning -e -q >again
swin --each window_start window_end host cpu cpu_p95 mem -o table <again
jq -r '[.window_start, .host, .cpu, .mem, .cpu_p95] | map(tostring) | join(" ")' again >ours
# The rank of a percentile may lie between two readings: awk gives the one below and the one above.
sort -t, -k3,3n sent | awk -F, '{ window = $1 - $1 % 3000 " " $2; nth = count[window]++
    cpu[window, nth] = $3; sum[window] += $3; if ($4 > mem[window]) mem[window] = $4 }
  END { for (window in count) { rank = (count[window] - 1) * 0.95
    print window, sum[window] / count[window], mem[window] + 0, cpu[window, int(rank)] + 0,
      cpu[window, int(rank) + (rank > int(rank))] + 0 } }' | LC_ALL=C sort >theirs
if [[ ! -s ours ]] || ! paste -d' ' ours theirs | awk 'function near(a, b, by) {
      return a - b <= by && b - a <= by }
    !($1 == $6 && $2 == $7 && near($3, $8, 0.001) && near($4, $9, 0.001) &&
      $5 >= $10 * 0.99 - 0.001 && $5 <= $11 * 1.01 + 0.001) { print; wrong = 1 }
    END { exit wrong }' || [[ $(wc -l <ours) != "$(wc -l <theirs)" ]]; then
  echo 'awk does not agree: left is the topic usage, right is awk' >&2
  exit 1
fi
echo "awk agrees on the CPU and memory of $(wc -l <ours) windows with $count measurements"
