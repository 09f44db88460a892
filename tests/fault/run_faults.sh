#!/usr/bin/env bash
# What people and servers do to a running instance, on a real broker and a real Redis:
# another pack, a password that changes, eviction, compaction, retention that is too short.
# Nothing is skipped in silence, and what is committed stays what the manifests replay to.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 2 "  timeout: 2s" "checkpoint: { interval: 1s }"

# cleanup_policy VALUE: of the payments' topic.
cleanup_policy() {
    kafka_tool kafka.admin.ConfigCommand --alter --entity-type topics --entity-name "$instance.pay" \
        --add-config "cleanup.policy=$1" >"$dir/tool.log" 2>&1 ||
        not_ok "a topic's settings change" "$(tail -3 "$dir/tool.log")"
}

redis_ask() { redis-cli -s "$socket" ${password:+-a "$password" --no-auth-warning} "$@" >/dev/null; }

# refused NAME PATTERN: a start ends with 5, says why, and commits nothing.
refused() {
    local before status=0
    before=$(java_tool "$TSN_KAFKA" "$instance.manifest" | wc -l)
    timeout 120 "$TSN_BINARY" run --config "$config" >"$dir/refused.log" 2>&1 || status=$?
    [ "$status" = 5 ] || not_ok "$1" "exit $status, not 5" "$(tail -3 "$dir/refused.log")"
    grep -q -E "$2" "$dir/refused.log" || not_ok "$1" "$(tail -3 "$dir/refused.log")"
    [ "$(java_tool "$TSN_KAFKA" "$instance.manifest" | wc -l)" = "$before" ] ||
        not_ok "$1: and commits nothing" "$(tail -3 "$dir/refused.log")"
    ok "$1"
}

# ---- another pack on a live broker, then a kill behind it ----------------------------
feed 4000 800 0
start_engine "$config" "$dir/run1.log"
await_events "$dir/run1.log" 4800
stop_engine TERM
sed -i -e 's/^version: 1/version: 2/' -e 's/f.paid_1d > 2000/f.paid_1d > 1000/' "$dir/pack.yaml"
feed 4000 800 1
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'the pack has changed since manifest'
await_events "$dir/run2.log" 4800
stop_engine KILL
feed 4000 800 2
start_engine "$config" "$dir/run3.log"
await_events "$dir/run3.log" '[0-9]+'
ok "a changed pack is put in force on a live broker, and survives a kill"

# ---- the password changes while it runs ----------------------------------------------
redis_ask CONFIG SET requirepass other
password=other
redis_ask CLIENT KILL TYPE normal
feed 4000 800 3
await "$dir/run3.log" 'no checkpoint: .*password'
await "$dir/run3.log" 'lag 0, (9|1[0-9])[0-9]{3} events'
ok "a password that changed stops checkpoints, says so, and does not stop the engine"
redis_ask CONFIG SET requirepass ""
password=
checkpoints_again "$dir/run3.log" "checkpoints go on when the password is back"
stop_engine TERM
[ "$status" = 0 ] || not_ok "the stop exits 0" "$(tail -3 "$dir/run3.log")"

replays "committed alerts of both packs equal the replay of the manifests, byte for byte" 50
accounts "every event is in exactly one manifest"

# ---- servers that are set up to lose things ---------------------------------------------
redis_ask CONFIG SET maxmemory-policy allkeys-lru
refused "a Redis that was told to evict is refused, with what to set" 'maxmemory-policy noeviction'
redis_ask CONFIG SET maxmemory-policy noeviction

cleanup_policy compact
refused "an input that is compacted is refused, with what to set" "$instance.pay.*cleanup.policy"
cleanup_policy delete

# ---- retention that is shorter than the outage -------------------------------------------
feed 4000 800 4
delete_before "$instance.call" 0 -1
refused "records that were deleted before they were read are no silent gap" \
    "$instance.call/0 begins at offset [0-9]+, but the committed manifests stand at [0-9]+"
