#!/usr/bin/env bash
# A second engine follows the first and takes over, whether the first was killed or hung;
# who hung stops by itself when he wakes; nobody fences anybody twice; and what was
# committed by all of them together is what the manifests replay to.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 3 "checkpoint: { interval: 2s }"
pids=()
finish_all() {
    touch "$dir/enough"
    local pid
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    finish
}
trap finish_all EXIT

launch() { # launch NAME [ARGUMENT ...]: its log is NAME.log, its pid is in $pid
    local name=$1
    shift
    "$TSN_BINARY" run --config "$config" --status 1 "$@" 2>>"$dir/$name.log" &
    pid=$!
    pids+=("$pid")
}

# A stream that goes on for as long as the test: 600 events a slice, a minute of event time.
feeder() {
    local k=0
    while [ ! -e "$dir/enough" ]; do
        events 500 100 "$k" $((1772413200000 + k * 60000)) 60000
        send
        k=$((k + 1))
        echo $((k * 600)) >"$dir/fed"
        sleep 0.2
    done
}

# taken_over NAME LIMIT_MS SINCE_MS WHAT: NAME leads within LIMIT_MS.
taken_over() {
    await "$dir/$1.log" 'live at manifest' 40
    local took=$(($(now_ms) - $3))
    grep -q 'live at manifest [0-9]*, [0-9]* ms after the seat was ours .*: pack [0-9]* ms, fencing' "$dir/$1.log" ||
        not_ok "$4: by following, with its stages in the log" "$(tail -5 "$dir/$1.log")"
    ! grep -q 'rebuilding the state' "$dir/$1.log" || not_ok "$4: from the checkpoint" "$(cat "$dir/$1.log")"
    [ "$took" -lt "$2" ] || not_ok "$4 within $2 ms" "$took ms" "$(cat "$dir/$1.log")"
    ok "$4 ($took ms)"
    grep -E 'taking over|live at|first alert' "$dir/$1.log" | sed 's/^/# /'
}

launch one
one=$pid
await "$dir/one.log" 'live at manifest'
feeder &
await "$dir/one.log" 'checkpoint [0-9]+ s old'

launch two
two=$pid
await "$dir/two.log" 'standing by at manifest [1-9][0-9]*: [0-9]+ manifests and [0-9.]+ s behind'
ok "a standby says how far it is behind the leader"
sleep 3
behind=$(grep -o 'standing by at manifest [0-9]*: [0-9]*' "$dir/two.log" | tail -1 | grep -o '[0-9]*$')
[ "$behind" -le 3 ] || not_ok "a standby keeps up" "$(tail -3 "$dir/two.log")"
ok "a standby keeps up with the leader"
! grep -q -i 'fenced\|another instance leads' "$dir/one.log" || not_ok "a standby does not disturb the leader" "$(cat "$dir/one.log")"

kill -9 "$one"
taken_over two 10000 "$(now_ms)" "a standby takes over from a leader that was killed"
await "$dir/two.log" 'first alert of this term committed'

# The leader hangs. The heir is told to leave when that happens to it.
launch three --when-fenced exit
three=$pid
await "$dir/three.log" 'standing by at manifest [1-9]'
sleep 2
kill -STOP "$two"
taken_over three 10000 "$(now_ms)" "a standby takes over from a leader that hangs"
await "$dir/three.log" 'first alert of this term committed'
lines=$(wc -l <"$dir/two.log")
kill -CONT "$two"
two_again() { tail -n +$((lines + 1)) "$dir/two.log"; }
for _ in $(seq 450); do
    ! two_again | grep -q 'dropping the state, standing by' || break
    sleep 0.1
done
two_again | grep -q 'dropping the state, standing by' ||
    not_ok "who hung drops its state by itself" "$(two_again)"
for _ in $(seq 300); do
    ! two_again | grep -q 'standing by at manifest [1-9]' || break
    sleep 0.1
done
two_again | grep -q 'standing by at manifest [1-9]' || not_ok "who hung follows then" "$(two_again)"
! two_again | grep -q 'live at' || not_ok "who hung does not lead again" "$(two_again)"
ok "who hung drops its state by itself and follows"
sleep 4
[ "$(grep -c 'dropping the state' "$dir/two.log")" = 1 ] && ! grep -q 'another instance' "$dir/three.log" ||
    not_ok "nobody fences anybody twice" "$(tail -5 "$dir/two.log")" "$(tail -5 "$dir/three.log")"
ok "nobody fences anybody twice"

# Once more, the other way round: two, which follows again, takes over from three.
cp "$dir/two.log" "$dir/two.before"
: >"$dir/two.log"
kill -STOP "$three"
taken_over two 10000 "$(now_ms)" "who was fenced once takes over again"
kill -CONT "$three"
status=0
wait "$three" || status=$?
[ "$status" = 7 ] || not_ok "with --when-fenced exit it ends with 7" "status $status" "$(tail -5 "$dir/three.log")"
grep -q 'another instance leads: this one stops; since then it has published nothing and written no state' "$dir/three.log" ||
    not_ok "and says why" "$(tail -5 "$dir/three.log")"
ok "with --when-fenced exit, who was fenced says so and ends with 7"

touch "$dir/enough"
wait -n 2>/dev/null || true
sleep 1
: >"$dir/two.log"
await "$dir/two.log" 'lag 0, '
kill -TERM "$two"
status=0
wait "$two" || status=$?
[ "$status" = 0 ] || not_ok "the last stop exits 0" "$(tail -3 "$dir/two.log")"

replays "committed alerts of all leaders equal the replay of the manifests, byte for byte" 100
grep -q " $(cat "$dir/fed") events," "$dir/replay.log" ||
    not_ok "every event is accounted for once" "fed $(cat "$dir/fed")" "$(tail -1 "$dir/replay.log")"
ok "every event is accounted for exactly once ($(cat "$dir/fed"))"
