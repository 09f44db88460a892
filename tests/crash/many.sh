#!/usr/bin/env bash
# Ten thousand schedules of test_run: the release build, without sanitizers, as many
# processes as there are processors. (test_run itself runs some hundreds of them under
# ASan and UBSan.)
#
#   TSN_SCHEDULES=n  how many (default 10000)
set -euo pipefail
dir=${TMPDIR:?}
program=$TSN_SOURCE_DIR/build/release/tests/crash/test_run
n=${TSN_SCHEDULES:-10000}
jobs=${TSN_JOBS:-$(nproc)}
each=$(((n + jobs - 1) / jobs))

pids=()
for ((j = 0; j < jobs; j++)); do
    # The first process dies at every point as well, the others only at some.
    TSN_FIRST=$((1000 + j * each)) TSN_SEEDS=$each TSN_POINT_STEP=$((j == 0 ? 1 : 64)) \
        "$program" >"$dir/$j.log" 2>&1 &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
    wait "$pid" || failed=1
done
cat "$dir"/*.log | grep -v -E '^ok |^1\.\.' | sed 's/^not ok/# &/'
if [ $failed = 0 ]; then
    awk '/^#? ?crash: [0-9]+ schedules/ { for (i = 1; i < NF; i++) if ($i == "crash:") n += $(i + 1) }
        END { print "ok - " n " seeded schedules: 0 lost, 0 doubled" }' "$dir"/*.log
else
    echo "not ok - ten thousand schedules"
    exit 1
fi
