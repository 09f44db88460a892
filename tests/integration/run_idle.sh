#!/usr/bin/env bash
# An engine that has nothing to do sleeps: after a backlog, whose rows threads helped to
# make, and after it was stopped for a while and found that its seat is still its own.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

log=$dir/run.log
ticks() { awk '{ print $14 + $15 }' "/proc/$engine/stat"; } # of its CPU time, 10 ms each

# rests WHAT: less than a tenth of a core in 2 s.
rests() {
    local before after
    sleep 1
    before=$(ticks)
    sleep 2
    after=$(ticks)
    [ $((after - before)) -lt 20 ] || not_ok "$1" "$((after - before))0 ms of CPU in 2 s" "$(tail -3 "$log")"
    ok "$1"
}

begin_instance 1
feed 40000 8000 0
start_engine "$config" "$log"
await_events "$log" 48000
rests "it sleeps after a backlog"

kill -STOP "$engine"
sleep 5
kill -CONT "$engine"
await "$log" "the leader's seat is back: going on"
rests "it sleeps after it was stopped for a while"

kill -TERM "$engine"
status=0
wait "$engine" || status=$?
engine=
[ "$status" = 0 ] || not_ok "the last stop exits 0" "$(tail -3 "$log")"
