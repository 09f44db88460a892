#!/usr/bin/env bash
# The demo, stopped at any time, leaves nothing running, and starts again.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/cli_lib.sh"
cd "$TSN_SOURCE_DIR"

demo=
children=
trap '[ -z "$demo$children" ] || kill -KILL $demo $children 2>/dev/null || true' EXIT

# start SECONDS: in a session of its own, as a terminal would have it.
start() {
    children=
    setsid "$TSN_BINARY" demo --folder "$dir/demo" --lines 2000 --minutes 120 --scams 4 --seconds "$1" \
        >"$dir/demo.log" 2>&1 &
    demo=$!
}

# alive PID ...: those that run; one that ended and waits for its parent does not.
alive() {
    local pid state
    for pid in "$@"; do
        state=$(sed -E 's/.*\) ([A-Z]) .*/\1/' "/proc/$pid/stat" 2>/dev/null) || continue
        [ -z "$state" ] || [ "$state" = Z ] || echo "$pid"
    done
}

# within SECONDS COMMAND ...: until it holds.
within() {
    local i n=$1
    shift
    for ((i = 0; i < n * 10; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    return 1
}
has_children() {
    children=$(cat "/proc/$demo/task/$demo/children" 2>/dev/null) || return
    [ "$(wc -w <<<"$children")" = 3 ]
}
are_gone() { [ -z "$(alive $demo $children)" ]; }

# stopped NAME SIGNAL EXIT: everything ends, the demo with EXIT.
stopped() {
    local name=$1 signal=$2 code=$3 status=0
    kill "-$signal" -- "-$demo"
    if ! within 60 are_gone; then
        not_ok "$name" "still running: $(alive $demo $children)" "$(tail -3 "$dir/demo.log")"
        return
    fi
    wait "$demo" 2>/dev/null || status=$?
    if [ "$status" = "$code" ]; then
        ok "$name"
    else
        not_ok "$name" "exit $status, not $code" "$(tail -3 "$dir/demo.log")"
    fi
}

# until_playing: broker, Redis and engine run, and a first alert has come.
is_playing() { grep -q -E '^[0-9]{2}:[0-9]{2}:[0-9]{2} |^in the city' "$dir/demo.log"; }
until_playing() {
    within 60 has_children && within 60 is_playing && return
    not_ok "the demo starts broker, Redis and engine, and plays" "$(tail -5 "$dir/demo.log")"
    exit 1
}

start 60
within 60 has_children || true
stopped "Ctrl-C while it is starting leaves nothing running" INT 0

start 60
until_playing
stopped "Ctrl-C in the middle leaves nothing running" INT 0
grep -q 'nothing is left running' "$dir/demo.log" || not_ok "... and says so" "$(tail -3 "$dir/demo.log")"

start 60
until_playing
stopped "killed, it leaves nothing running either" KILL 137

start 5
status=0
within 60 has_children || true
wait "$demo" || status=$?
if [ "$status" = 0 ] && grep -q '^records .* sent' "$dir/demo.log" && grep -q 'planted scams were warned' "$dir/demo.log"; then
    ok "the next start plays to its end and sums up"
else
    not_ok "the next start plays to its end and sums up" "exit $status" "$(tail -5 "$dir/demo.log")"
fi
within 10 are_gone || not_ok "... with nothing left running" "$(alive $demo $children)"
demo=
children=
exit $failed
