#!/usr/bin/env bash
# SIGTERM commits, writes a checkpoint and exits 0 within a bound, also in the middle of a
# stream and when Redis hangs; a second one ends it at once, and nothing is lost or doubled.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 3 "checkpoint: { interval: 1h }" "stop_timeout: 5s"
redis_pid=$(redis-cli -s "$socket" info server | tr -d '\r' | sed -n 's/^process_id://p')
finish_all() {
    touch "$dir/enough"
    kill -CONT "$redis_pid" 2>/dev/null || true
    finish
}
trap finish_all EXIT

fed=0
hour=0
feed_part() { # calls and payments of an hour
    feed 40000 8000 $hour
    fed=$((fed + 48000))
    hour=$((hour + 1))
}

# In the background, part after part until $dir/enough is there: whatever the engine's
# speed, a stop finds it in mid-stream and leaves something for the next one.
stream() {
    rm -f "$dir/enough"
    (
        until [ -e "$dir/enough" ]; do feed_part; done
        echo "fed=$fed hour=$hour" >"$dir/fed"
    ) &
    feeder=$!
    await "$log" '[1-9][0-9]* events/s'
}

stream_end() {
    touch "$dir/enough"
    wait "$feeder"
    . "$dir/fed"
}

# ended NAME STATUS LIMIT_MS: the engine, told to, ends with STATUS within LIMIT_MS.
ended() {
    local status=0 took
    wait "$engine" 2>/dev/null || status=$?
    took=$(($(now_ms) - told_ms))
    engine=
    [ "$status" = "$2" ] || not_ok "$1" "status $status, not $2" "$(tail -5 "$log")"
    [ "$took" -lt "$3" ] || not_ok "$1" "$took ms" "$(tail -5 "$log")"
    ok "$1 ($took ms)"
}

tell() { # tell [SIGNAL]
    told_ms=$(now_ms)
    kill "-${1:-TERM}" "$engine"
}

# In mid-stream: what was computed is committed and in the checkpoint, the rest waits.
log=$dir/run1.log
start_engine "$config" "$log"
stream
tell
ended "SIGTERM in the middle of a stream: commit, checkpoint, exit 0" 0 6000
grep -q 'stopped at manifest \([0-9]*\), checkpoint of manifest \1:' "$log" ||
    not_ok "with a checkpoint of the last manifest" "$(tail -3 "$log")"
stream_end

# Redis hangs: the commit is what counts, and the bound is kept.
log=$dir/run2.log
start_engine "$config" "$log"
await "$log" 'lag 0, [1-9]'
kill -STOP "$redis_pid"
stream
tell
ended "SIGTERM while Redis hangs: committed, exit 0 within stop_timeout" 0 9000
grep -q 'the checkpoint was not written within stop_timeout' "$log" ||
    not_ok "and it says that no checkpoint was written" "$(tail -3 "$log")"
stream_end
kill -CONT "$redis_pid"

# Twice: at once, whatever it waits for, with 128 + the signal.
log=$dir/run3.log
start_engine "$config" "$log"
await "$log" 'lag 0, [1-9]'
kill -STOP "$redis_pid"
feed_part
await_quiet "$log"
tell
await "$log" 'stopping: committing and writing a checkpoint'
sleep 0.3
kill -0 "$engine" 2>/dev/null || not_ok "the first SIGTERM waits for Redis" "$(tail -3 "$log")"
tell
ended "a second SIGTERM ends it at once" 143 1000
kill -CONT "$redis_pid"

# In mid-stream and twice: an open transaction is left to whoever comes next.
log=$dir/run4.log
start_engine "$config" "$log"
await "$log" 'live at manifest'
stream
tell INT
sleep 0.15
kill -INT "$engine" 2>/dev/null || true
status=0
wait "$engine" 2>/dev/null || status=$?
engine=
stream_end
case $status in 0 | 130) ok "SIGINT twice in mid-stream ends it (status $status)" ;; *) not_ok "SIGINT twice" "status $status" ;; esac

log=$dir/run5.log
start_engine "$config" "$log"
await_quiet "$log"
tell
ended "the last stop exits 0" 0 6000
replays "committed alerts equal the replay of the manifests" 100
grep -q " $fed events," "$dir/replay.log" || not_ok "every event is accounted for once" "fed $fed" "$(tail -1 "$dir/replay.log")"
ok "every event is accounted for exactly once ($fed)"
