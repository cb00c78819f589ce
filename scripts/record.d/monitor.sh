#!/usr/bin/env bash
# What the recording docs/monitor.svg shows: CPU and memory of this machine, in windows of two
# seconds. bash prints what it runs from `set -v` on.
set -euo pipefail
set -v

kgen host --rate 5 -n 50 -q |
  swin --names ms,host,cpu,mem --time ms --tumble 2s --time-out %T \
    'round(avg(cpu), 1) as cpu' 'max(mem) as mem' \
    'round(approx_percentile(cpu, 0.95), 1) as p95'
