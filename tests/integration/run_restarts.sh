#!/usr/bin/env bash
# The binary on a real broker and a real Redis: stopped, killed, restarted in the middle
# of a stream; what a foreign client reads is what the manifests replay to.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 3 "checkpoint: { interval: 1s }" "commit: { send_offsets: true }"

feed_part() { # feed_part K: calls and payments of the K-th quarter, and a record that is no JSON
    events 20000 4000 "$1" $((1772413200000 + $1 * 3600000)) 3600000
    echo "k|{broken $1" >>"$dir/call"
    send
}

feed_part 0
start_engine "$config" "$dir/run1.log"
await_events "$dir/run1.log" 24000
stop_engine TERM
[ "$status" = 0 ] || not_ok "a clean stop exits 0" "status $status" "$(tail -3 "$dir/run1.log")"
ok "a clean stop exits 0"
grep -q 'stopped at manifest \([0-9]*\), checkpoint of manifest \1:' "$dir/run1.log" ||
    not_ok "a clean stop leaves a checkpoint of the last manifest" "$(tail -3 "$dir/run1.log")"
ok "a clean stop leaves a checkpoint of the last manifest"

feed_part 1
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'live at manifest'
! grep -q 'replayed manifests' "$dir/run2.log" ||
    not_ok "after a clean stop nothing is replayed" "$(cat "$dir/run2.log")"
ok "after a clean stop nothing is replayed"
await "$dir/run2.log" ' [1-9][0-9]* events/s'
stop_engine KILL
ok "killed in mid-stream"

feed_part 2
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
await "$dir/run3.log" 'lag 0, [1-9]'
stop_engine KILL
feed_part 3
start_engine "$config" "$dir/run4.log"
await_quiet "$dir/run4.log"
stop_engine TERM
[ "$status" = 0 ] || not_ok "the last stop exits 0" "$(tail -3 "$dir/run4.log")"

# For people's lag tools, under the instance's name: committed with the manifests.
kafka_tool consumer.group.ConsumerGroupCommand --describe --group "tocsin-$instance" >"$dir/group" 2>/dev/null || true
lags=$(awk -v topic="$instance" 'index($2, topic) == 1 { print $6 }' "$dir/group" | sort | uniq -c | xargs)
[ "$lags" = "6 0" ] || not_ok "the group's offsets stand at the ends" "$lags" "$(cat "$dir/group")"
ok "the group's offsets stand at the ends of all partitions"

replays "committed alerts equal the replay of the manifests, byte for byte, in each partition's order" 100
[ "$(java_tool "$TSN_KAFKA" "$instance.rejects" | wc -l)" = 4 ] || not_ok "four rejects are committed"
ok "every broken record is on the reject topic once"
