#!/usr/bin/env bash
# From kill -9 to the first correct alert: every stage is in the log, a long replay shows
# how far it is, and a rebuild without Redis says from when history is whole.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 3 "checkpoint: { interval: 1h }"

part=0
feed_part() { # an hour of event time
    feed 10000 2000 $part
    part=$((part + 1))
}

# stages LOG LINE STAGE ...: the line names these stages, in this order, and adds up to
# what it says (each is cut to a millisecond by itself, so exactly).
stages() {
    local log=$1 pattern=$2 line names
    shift 2
    line=$(grep -m 1 -E "$pattern" "$log") || not_ok "the log says: $pattern" "$(cat "$log")"
    names=$(sed -E 's/^.*: (servers|pack|fencing) /\1 /; s/ [0-9]+ ms//g' <<<"$line")
    [ "$names" = "$*" ] || not_ok "the stages are: $*" "$line"
    awk -v line="$line" 'BEGIN {
        match(line, /[0-9]+ ms after/); total = substr(line, RSTART) + 0
        sub(/^.*: (servers|pack|fencing)/, "", line)
        while (match(line, /[0-9]+ ms/)) { sum += substr(line, RSTART) + 0; line = substr(line, RSTART + RLENGTH) }
        exit sum != total }' || not_ok "the stages add up" "$line"
    echo "# $line"
}

feed_part
start_engine "$config" "$dir/run1.log"
await "$dir/run1.log" 'first alert of this term committed'
stages "$dir/run1.log" 'live at manifest' servers, pack, seat, fencing, store, newest manifest, what was left, going live
ok "a first start names its stages, and they add up"
await_events "$dir/run1.log" 12000
stop_engine TERM
feed_part
start_engine "$config" "$dir/run1b.log"
await_events "$dir/run1b.log" 12000
stop_engine KILL
killed_ms=$(now_ms)
feed_part
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'first alert of this term committed'
echo "# from kill -9 to the first alert: $(($(now_ms) - killed_ms)) ms, the session's time-out among them"
# Who starts while the seat is still a dead man's follows, and then takes over.
stages "$dir/run2.log" 'caught up with manifest [0-9]+, waiting for the seat, [0-9]+ ms after the start:' \
    servers, pack, checkpoint, replay
stages "$dir/run2.log" 'first alert of this term committed [0-9]+ ms after the seat was ours \([0-9.]+ s after the last manifest before it\):' \
    pack, fencing, store, newest manifest, what was left, going live, first alert
ok "after kill -9 the stages to the first alert are in the log, and they add up"
grep -q 'loaded the checkpoint of manifest [1-9]' "$dir/run2.log" || not_ok "with the checkpoint" "$(cat "$dir/run2.log")"
await "$dir/run2.log" 'lag 0, '
stop_engine TERM
replays "the alerts of before and after are those of the replay"

# Without Redis: all of it from Kafka, and whole.
redis-cli -s "$socket" flushall >/dev/null
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
grep -q 'rebuilding the state from the oldest manifest and data that Kafka holds' "$dir/run3.log" &&
    grep -q 'replayed manifests 1 to [0-9]* (36000 events)' "$dir/run3.log" &&
    grep -q 'rebuilt from the first manifest on: history is whole' "$dir/run3.log" ||
    not_ok "without Redis state is rebuilt from Kafka" "$(cat "$dir/run3.log")"
ok "without Redis state is rebuilt from Kafka, whole"
feed_part
await_events "$dir/run3.log" 48000
stop_engine TERM
replays "what a rebuilt engine says is what the replay says"

# Retention took the first records of an input: whole from a later time on.
redis-cli -s "$socket" flushall >/dev/null
delete_before "$instance.call" 0 1500
start_engine "$config" "$dir/run4.log"
await "$dir/run4.log" 'live at manifest'
grep -q "history is whole from 20[0-9-]*T[0-9:]*Z on; windows that reach further back read low" "$dir/run4.log" ||
    not_ok "what retention took is said" "$(cat "$dir/run4.log")"
ok "what retention took is said, with the time from when history is whole"
stop_engine KILL

# ... and a manifest: with a checkpoint before the gap nothing is skipped in silence.
delete_before "$instance.manifest" 0 2
redis-cli -s "$socket" flushall >/dev/null
start_engine "$config" "$dir/run5.log"
await "$dir/run5.log" 'live at manifest'
grep -q "replayed manifests 2 to" "$dir/run5.log" && grep -q "history is whole from 20" "$dir/run5.log" ||
    not_ok "a manifest that retention took is said" "$(cat "$dir/run5.log")"
ok "a manifest that retention took is said"
stop_engine TERM
