#!/usr/bin/env bash
# The binary on a real broker and a real Redis Cluster of three masters: the engine is
# killed, a node is killed, a slot moves, a node forgets; what a foreign client reads is
# what the manifests replay to.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

end_cluster() {
    finish
    local node
    for node in 1 2 3; do
        "$servers/redis" kill "$dir/redis$node" || true
    done
}
trap end_cluster EXIT

start_node() { "$servers/redis" start "$dir/redis$1" --cluster-enabled yes --cluster-node-timeout 1000 >/dev/null; }
port_of() { "$servers/redis" port "$dir/redis$1"; }
on_node() { redis-cli -p "$(port_of "$1")" "${@:2}"; }

# await_cluster STATE: all three say so.
await_cluster() {
    local node
    for _ in $(seq 300); do
        for node in 1 2 3; do
            on_node $node cluster info 2>/dev/null | grep -q "cluster_state:$1" || continue 2
        done
        return 0
    done
    not_ok "the cluster says $1"
}

for node in 1 2 3; do
    start_node $node
done
redis-cli --cluster create "127.0.0.1:$(port_of 1)" "127.0.0.1:$(port_of 2)" "127.0.0.1:$(port_of 3)" \
    --cluster-yes >"$dir/create.log" 2>&1 || not_ok "a cluster is made" "$(tail -5 "$dir/create.log")"
await_cluster ok

instance=$tag
slack=1s
config=$dir/tocsin.yaml
write_config "$config" "$instance" "redis:" "  port: $(port_of 1)" "  timeout: 2s" "checkpoint: { interval: 1s }"
make_topics "$config" 3

# feed_and_checkpoint LOG K: the K-th hour of event time; then a checkpoint that is younger.
feed_and_checkpoint() {
    local i age from=$SECONDS
    feed 10000 2000 "$2"
    for ((i = 0; i < 600; i++)); do
        age=$(grep -o 'checkpoint [0-9]* s old' "$1" | tail -1 | cut -d ' ' -f 2 || true)
        [ "${age:-9999}" -ge $((SECONDS - from)) ] || return 0
        sleep 0.1
    done
    not_ok "a checkpoint is written" "$(tail -5 "$1")"
}

start_engine "$config" "$dir/run1.log"
await "$dir/run1.log" 'live at manifest'
feed_and_checkpoint "$dir/run1.log" 0
for node in 1 2 3; do
    [ "$(on_node $node dbsize)" -gt 100 ] || not_ok "every node holds its share" "node $node: $(on_node $node dbsize)"
done
ok "every node holds its share of the checkpoint"
feed 10000 2000 1
await "$dir/run1.log" ' [1-9][0-9]* events/s'
stop_engine KILL

feed 10000 2000 2
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'live at manifest'
grep -q 'loaded the checkpoint of manifest [1-9]' "$dir/run2.log" ||
    not_ok "killed and started again, it loads the checkpoint" "$(cat "$dir/run2.log")"
ok "killed and started again, it loads the checkpoint"

# A node dies under the engine: it goes on, and checkpoints come back with the node.
await_quiet "$dir/run2.log"
"$servers/redis" kill "$dir/redis2"
feed 10000 2000 3
await "$dir/run2.log" "no checkpoint: redis .*; the engine goes on from memory"
await_quiet "$dir/run2.log"
start_node 2
await_cluster ok
feed_and_checkpoint "$dir/run2.log" 4
ok "a node that dies costs checkpoints while it is away, and nothing else"

# All slots of one node but a few go to another, under the engine, and it is killed.
id() { on_node "$1" cluster myid; }
redis-cli --cluster reshard "127.0.0.1:$(port_of 1)" --cluster-from "$(id 3)" --cluster-to "$(id 1)" \
    --cluster-slots 5000 --cluster-yes >"$dir/reshard.log" 2>&1 &
resharding=$!
feed 10000 2000 5
wait "$resharding" || not_ok "slots are moved" "$(tail -5 "$dir/reshard.log")"
feed_and_checkpoint "$dir/run2.log" 6
stop_engine KILL
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
grep -q 'loaded the checkpoint of manifest [1-9]' "$dir/run3.log" ||
    not_ok "after slots moved, it loads the checkpoint" "$(cat "$dir/run3.log")"
ok "after slots moved under it, it loads the checkpoint"
stop_engine KILL

# A node forgets what the root on another, or the others' slots, still speak of.
on_node 2 flushall >/dev/null
start_engine "$config" "$dir/run4.log"
await "$dir/run4.log" 'live at manifest'
grep -q 'rebuilding the state from the oldest manifest and data that Kafka holds' "$dir/run4.log" ||
    not_ok "no mixture is loaded" "$(cat "$dir/run4.log")"
ok "a node that was emptied makes the state be rebuilt from Kafka"
feed_and_checkpoint "$dir/run4.log" 7
stop_engine TERM
[ "$status" = 0 ] || not_ok "the last stop exits 0" "$(tail -3 "$dir/run4.log")"
start_engine "$config" "$dir/run5.log"
await "$dir/run5.log" 'live at manifest'
grep -q 'loaded the checkpoint of manifest [1-9]' "$dir/run5.log" ||
    not_ok "and written anew" "$(cat "$dir/run5.log")"
ok "and the next checkpoint is whole again"
stop_engine TERM
replays "committed alerts equal the replay of the manifests" 100
