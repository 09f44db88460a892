#!/usr/bin/env bash
# run --dry-recover says what a start would do, and leaves Kafka and Redis as they are.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 3 "checkpoint: { interval: 1h }"

# Everything that a start could change: every key and its bytes; every topic's ends; the
# groups; who may publish (an initialised transactional id has a higher epoch).
world() {
    redis-cli -s "$socket" --scan | sort >"$dir/keys"
    echo "redis $(wc -l <"$dir/keys") keys $(sed 's/^/dump /' "$dir/keys" | redis-cli -s "$socket" | md5sum)"
    kafka_tool GetOffsetShell --topic "$instance.*" 2>/dev/null | sort
    kafka_tool TopicCommand --list 2>/dev/null | grep -F "$instance" | sort
    kafka_tool consumer.group.ConsumerGroupCommand --list 2>/dev/null | grep -F "$instance" | sort || true
    kafka_tool TransactionsCommand describe --transactional-id "tocsin-$instance" 2>/dev/null |
        awk '{ print $2, $3, $4 }' || true
}

# dry NAME EXIT [PATTERN ...]: nothing changes, it ends with EXIT, what it says has them all.
dry() {
    local name=$1 code=$2 pattern status=0
    shift 2
    world >"$dir/before"
    timeout 60 "$TSN_BINARY" run --config "$config" --dry-recover >"$dir/dry" 2>&1 || status=$?
    world >"$dir/after"
    [ "$status" = "$code" ] || not_ok "$name" "exit $status, not $code" "$(cat "$dir/dry")"
    for pattern in "$@"; do
        grep -q -E -e "$pattern" "$dir/dry" || not_ok "$name: $pattern" "$(cat "$dir/dry")"
    done
    cmp -s "$dir/before" "$dir/after" || not_ok "$name: nothing changes" "$(diff "$dir/before" "$dir/after" | head -5)"
    ok "$name"
}

dry "before the first start" 0 '^manifest +none in topic .*: a first start' '^checkpoint +none' \
    '^history +begins at these positions' '^start +would go live; nothing was changed'

feed 3000 600 0
dry "records that wait are counted" 0 '^waiting +3600 records'

start_engine "$config" "$dir/run.log"
await_events "$dir/run.log" 3600
stop_engine TERM
world >"$dir/before" # all that is compared is there
for pattern in '^redis [1-9][0-9]+ keys' "$instance.manifest:0:[1-9]" "^tocsin-$instance [0-9]+ [0-9]+$" \
    "^tocsin-$instance-leader$"; do
    grep -q -E "$pattern" "$dir/before" || not_ok "there is something to be left alone: $pattern" "$(cat "$dir/before")"
done
dry "after a clean stop nothing would be replayed" 0 '^checkpoint +of manifest [1-9][0-9]*, written .* s ago' \
    '^replay +nothing' '^program .* is in force and configured' '^waiting +0 records'

# Killed without a checkpoint since: the rest would be replayed.
feed 3000 600 1
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'lag 0, 3600 events'
dry "beside an engine that leads" 0 '^replay +manifests [0-9]+ to [0-9]+, muted: at most [1-9]'
sleep 2
! grep -q 'fenced\|another instance' "$dir/run2.log" || not_ok "who leads is not disturbed" "$(cat "$dir/run2.log")"
stop_engine KILL
dry "after a kill the manifests since the checkpoint would be replayed" 0 \
    '^replay +manifests [0-9]+ to [0-9]+, muted: at most (3[6-9]|[4-9][0-9])[0-9][0-9] records' '^history +as whole'
said=$(sed -n 's/^replay *manifests \([0-9]* to [0-9]*\),.*/\1/p' "$dir/dry")
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
grep -q "replayed manifests $said (3600 events)" "$dir/run3.log" ||
    not_ok "a start does what was said" "said $said" "$(cat "$dir/run3.log")"
ok "a start does what was said"
stop_engine KILL

sed -i 's/amount > 100/amount > 101/' "$dir/pack.yaml"
dry "another pack would be put in force" 0 '^program .* is in force; the first step puts .* in force'
sed -i 's/amount > 101/amount > 100/' "$dir/pack.yaml"

redis-cli -s "$socket" flushall >/dev/null
dry "without Redis' state it would be rebuilt" 0 '^checkpoint +none' '^history +whole: rebuilt from the first manifest on' \
    '^replay +manifests 1 to '

delete_before "$instance.call" 0 100
dry "what retention took is said" 0 '^history +rebuilt from what Kafka holds; whole from .* or later'

kafka_tool TopicCommand --alter --topic "$instance.pay" --partitions 4 >/dev/null 2>&1
dry "a refusal is said with its remedy" 5 'start +would be refused \(exit 5\): kafka: topic .* has 4 partitions, and had 3'

# On a broker that nobody has used: not even what brokers make for who asks for a group.
fresh_topics() { "$servers/kafka" tool "$dir/fresh" TopicCommand --list 2>/dev/null | sort; }
finish_all() {
    finish
    "$servers/kafka" stop "$dir/fresh" || true
}
trap finish_all EXIT
TSN_KAFKA=$("$servers/kafka" start "$dir/fresh")
config=$dir/fresh.yaml
write_config "$config" fresh
make_topics "$config" 2
"$TSN_BINARY" topics --config "$config" >"$dir/expected" || not_ok "the topics are there" "$(cat "$dir/expected")"
sed -n '2,$s/ .*//p' "$dir/expected" | sort >"$dir/named"
fresh_topics >"$dir/made"
cmp -s "$dir/named" "$dir/made" || not_ok "topics makes no topic but its own" "$(diff "$dir/named" "$dir/made")"
ok "topics makes no topic but its own"
"$TSN_BINARY" run --config "$config" --dry-recover >"$dir/dry" 2>&1 || not_ok "a dry run on a fresh broker" "$(cat "$dir/dry")"
grep -q '^start *would go live' "$dir/dry" || not_ok "a dry run on a fresh broker" "$(cat "$dir/dry")"
sleep 2 # what a group's coordinator needs is made by and by
fresh_topics >"$dir/after"
cmp -s "$dir/made" "$dir/after" || not_ok "a dry run on a fresh broker makes no topic" "$(diff "$dir/made" "$dir/after")"
ok "a dry run on a fresh broker makes no topic"
