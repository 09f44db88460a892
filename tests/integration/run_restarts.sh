#!/usr/bin/env bash
# The binary on a real broker and a real Redis: stopped, killed, restarted in the middle
# of a stream; what a foreign client reads is what the manifests replay to.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

instance=$tag
slack=1s
socket=$("$servers/redis" start "$dir/redis")
write_config "$dir/tocsin.yaml" "$instance" "redis:" "  unix_socket: $socket" "checkpoint: { interval: 1s }"
make_topics "$dir/tocsin.yaml" 3

feed_part() { # feed_part K: calls and payments of the K-th quarter, and a record that is no JSON
    events 20000 4000 "$1" $((1772413200000 + $1 * 3600000)) 3600000
    echo "k|{broken $1" >>"$dir/call"
    produce "$instance.call" "$dir/call"
    produce "$instance.pay" "$dir/pay"
}

feed_part 0
start_engine "$dir/tocsin.yaml" "$dir/run1.log"
await_events "$dir/run1.log" 24000
stop_engine TERM
[ "$status" = 0 ] || not_ok "a clean stop exits 0" "status $status" "$(tail -3 "$dir/run1.log")"
ok "a clean stop exits 0"
grep -q 'stopped at manifest \([0-9]*\), checkpoint of manifest \1:' "$dir/run1.log" ||
    not_ok "a clean stop leaves a checkpoint of the last manifest" "$(tail -3 "$dir/run1.log")"
ok "a clean stop leaves a checkpoint of the last manifest"

feed_part 1
start_engine "$dir/tocsin.yaml" "$dir/run2.log"
await "$dir/run2.log" 'live at manifest'
! grep -q 'replayed manifests' "$dir/run2.log" ||
    not_ok "after a clean stop nothing is replayed" "$(cat "$dir/run2.log")"
ok "after a clean stop nothing is replayed"
await "$dir/run2.log" ' [1-9][0-9]* events/s'
stop_engine KILL
ok "killed in mid-stream"

feed_part 2
start_engine "$dir/tocsin.yaml" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
await "$dir/run3.log" 'lag 0, [1-9]'
stop_engine KILL
feed_part 3
start_engine "$dir/tocsin.yaml" "$dir/run4.log"
await_quiet "$dir/run4.log"
stop_engine TERM
[ "$status" = 0 ] || not_ok "the last stop exits 0" "$(tail -3 "$dir/run4.log")"

n=$(same_as_replay "$dir/tocsin.yaml" "$instance")
[ "$n" -gt 100 ] || not_ok "there are alerts to compare" "$n"
ok "committed alerts equal the replay of the manifests, byte for byte, in each partition's order ($n)"
[ "$(java_tool "$TSN_KAFKA" "$instance.rejects" | wc -l)" = 4 ] || not_ok "four rejects are committed"
ok "every broken record is on the reject topic once"
