#!/usr/bin/env bash
# Steady load on a real broker and a real Redis for minutes: memory and descriptors stay
# flat, the checkpoint's age stays bounded, and at the end nothing is lost or doubled.
#
#   TSN_MINUTES=n  how long (default 10)
#
# The release binary; the first third is warm-up (windows fill: a slice is half an hour
# of event time). Slopes are by least squares over the rest.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/kill/steady_lib.sh"
TSN_BINARY=$TSN_RELEASE_BINARY
minutes=${TSN_MINUTES:-10}
age_max=15    # s; a checkpoint is due every second
growth_max=5  # percent of the memory, from the end of the warm-up to the end
fds_spread=6  # connections that come and go

begin_servers
slice_ms=1800000
log=$dir/run.log
start_engine "$config" "$log"
await "$log" 'live at manifest'
feed_steadily 400 60 0.25

# sample: "second rss_kb fds checkpoint_age", one a second or so.
sample() {
    local age
    age=$(grep -o 'checkpoint [0-9]* s old' "$log" | tail -1 | cut -d ' ' -f 2 || true)
    echo "$((SECONDS - begun)) $(awk '/^VmRSS/ { print $2 }' "/proc/$engine/status")" \
        "$(find "/proc/$engine/fd" -mindepth 1 | wc -l) ${age:-0}"
}

begun=$SECONDS
while [ $((SECONDS - begun)) -lt $((minutes * 60)) ]; do
    engine_lives "soak"
    sample >>"$dir/samples"
    sleep 1
done
awk -v from=$((minutes * 20)) '$1 >= from {
        n++; x += $1; y += $2; xx += $1 * $1; xy += $1 * $2; x1 = $1; if (n == 1) x0 = $1
        if (n == 1 || $3 < least) least = $3
        if ($3 > most) most = $3
        if ($4 > age) age = $4
        fx += $3; fxy += $1 * $3
    } END {
        d = n * xx - x * x
        printf "%d %.0f %.2f %d %d %.2f %d\n", n, y / n, 100 * (n * xy - x * y) / d * (x1 - x0) / (y / n),
            least, most, (n * fxy - x * fx) / d * (x1 - x0), age
    }' "$dir/samples" >"$dir/slopes"
read -r samples rss growth fds_least fds_most fds_growth age <"$dir/slopes"
figures="$samples samples: $((rss / 1024)) MiB resident, growing $growth % over them; $fds_least to $fds_most descriptors, growing by $fds_growth; checkpoint at most $age s old"
within() { awk -v is="$1" -v most="$2" 'BEGIN { exit !(is <= most) }'; }
within "$growth" $growth_max || not_ok "memory is flat" "$figures"
within "$fds_growth" 2 && within $((fds_most - fds_least)) $fds_spread ||
    not_ok "descriptors are flat" "$figures"
within "$age" $age_max || not_ok "the checkpoint's age is bounded" "$figures"
ok "soak of $minutes minutes: $figures"
settle
account "soak"
