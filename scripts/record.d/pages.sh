#!/usr/bin/env bash
# What the recording docs/pages.svg shows: people click for eight seconds, and the ten hottest pages
# are ranked as they do. bash prints what it runs from `set -v` on.
set -euo pipefail

timeout --signal=INT 8 kgen pages --seed 1 --burst 0..50 --every 250ms -q |
  kprod -t user-behavior -q &
set -v

kcons -t user-behavior -o beginning --marks -q --timeout-ms 3000 |
  swin -F'|' --names page,clicks,stay,liked --by page --running \
    --every 1s 'sum(0.8*clicks + 0.8*stay + liked) as heat' \
    --time-out %T |
  topk -k 10 heat --key page --upsert
