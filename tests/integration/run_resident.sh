#!/usr/bin/env bash
# Memory as a cache: with a hundredth of the entities in memory the committed alerts are
# those of a run without a cap, across kill -9, a Redis that is away, emptied, and
# another pack; and what nobody reads any more leaves Redis.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

instance=$tag
socket=$("$servers/redis" start "$dir/redis")
config=$dir/tocsin.yaml
write_config "$config" "$instance" "engine: { max_resident: 8 }" "redis:" "  unix_socket: $socket" \
    "checkpoint: { interval: 1h }" # but sooner, where the cap wants it
make_topics "$config" 3

part=0
feed_part() { # an hour of event time
    events 10000 2000 $part $((1772413200000 + part * 3600000)) 3600000
    produce "$instance.call" "$dir/call"
    produce "$instance.pay" "$dir/pay"
    part=$((part + 1))
}

# entities LOG: those in memory and in redis alone, as the last status line says.
entities() {
    grep -o '[0-9]* entities in memory and [0-9]* in redis alone, [0-9]* fetched' "$1" | tail -1 |
        awk '{ print $1, $6, $10 }'
}

feed_part
start_engine "$config" "$dir/run1.log"
await_events "$dir/run1.log" 12000
# Only then: a fast engine is done with both parts before the first checkpoint, and fetches nothing.
await "$dir/run1.log" ', 12000 events.* [0-9] entities in memory and 7[0-9][0-9] in redis alone'
feed_part
await_events "$dir/run1.log" 24000
await "$dir/run1.log" ', 24000 events.* [0-9] entities in memory and 7[0-9][0-9] in redis alone'
read -r resident cold fetched <<<"$(entities "$dir/run1.log")"
[ "$resident" -le 8 ] && [ "$cold" -gt 700 ] && [ "$fetched" -gt 200 ] ||
    not_ok "a hundredth is in memory" "$(tail -3 "$dir/run1.log")"
ok "a hundredth of the entities is in memory"
echo "# $(grep 'entities in memory' "$dir/run1.log" | tail -1)"

# Redis is killed under load: polling stops, nothing is lost, and it goes on.
"$servers/redis" kill "$dir/redis"
feed_part
await "$dir/run1.log" 'taking no more events until they can'
await "$dir/run1.log" 'waiting for redis'
kill -0 "$engine" || not_ok "the engine lives on without Redis" "$(tail -3 "$dir/run1.log")"
sleep 8 # longer than the seat's session would last if nobody asked for it
! grep -q 'seat is lost' "$dir/run1.log" || not_ok "the seat is kept" "$(cat "$dir/run1.log")"
ok "without Redis nothing more is taken, and the seat is kept"
"$servers/redis" start "$dir/redis" >/dev/null
await "$dir/run1.log" 'redis answers again after'
await_events "$dir/run1.log" 36000
ok "when it is back the engine goes on"

# It hangs for longer than the seat's session, and than an answer is waited for.
redis_pid=$(cat "$dir/redis/pid")
kill -STOP "$redis_pid"
feed_part
await "$dir/run1.log" 'no answer within'
sleep 7
kill -CONT "$redis_pid"
await_events "$dir/run1.log" 48000
! grep -q 'seat is lost' "$dir/run1.log" || not_ok "the seat is kept" "$(cat "$dir/run1.log")"
ok "a Redis that hangs is waited for"

# A crash; whoever starts has the keys, and fetches.
feed_part
sleep 0.3
stop_engine KILL
sed -i 's/interval: 1h/interval: 200ms/' "$config"
feed_part
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'loaded the checkpoint of manifest'
await_quiet "$dir/run2.log"
read -r resident cold fetched <<<"$(entities "$dir/run2.log")"
[ "$cold" -gt 700 ] || not_ok "a restart restores keys alone" "$(tail -3 "$dir/run2.log")"
stop_engine TERM
[ "$status" = 0 ] || not_ok "a clean stop" "$(cat "$dir/run2.log")"
n=$(same_as_replay "$config" "$instance")
covered_once "$instance" >/dev/null
ok "after a crash the alerts are those of the replay ($n)"

# A second engine waits, and takes over from the one that dies.
start_engine "$config" "$dir/first.log"
first=$engine
await "$dir/first.log" 'live at manifest'
start_engine "$config" "$dir/second.log"
await "$dir/second.log" 'with engine.max_resident the state is restored once the seat is ours'
feed_part
sleep 0.5
kill -9 "$first"
await "$dir/second.log" 'live at manifest'
await_quiet "$dir/second.log"
stop_engine TERM
n=$(same_as_replay "$config" "$instance")
ok "a standby takes over by restoring ($n)"

# Redis is emptied while it holds what memory does not: recovered from Kafka.
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
redis-cli -s "$socket" flushall >/dev/null
feed_part
await "$dir/run3.log" 'dropping the state and recovering'
await "$dir/run3.log" 'rebuilding the state from the oldest manifest'
await_quiet "$dir/run3.log"
stop_engine TERM
n=$(same_as_replay "$config" "$instance")
ok "an emptied Redis is noticed, and the state recovered ($n)"

# Another pack: everything comes in before the change, and goes again.
sed -i 's/^version: 1/version: 2/; s/f.paid_1d > 2000/f.paid_1d > 2500/' "$dir/pack.yaml"
sed -i 's/window: 24h/window: 12h/' "$dir/parts/meeting.yaml"
start_engine "$config" "$dir/run4.log"
await "$dir/run4.log" 'the pack has changed since manifest'
feed_part
await_quiet "$dir/run4.log"
await "$dir/run4.log" ' [0-9] entities in memory and 7[0-9][0-9] in redis alone'

# records: of the checkpoint, of entities and all else, in slots' bases.
records() {
    redis-cli -s "$socket" --scan --pattern 'tocsin:1:*:b:*' | sed 's/^/hlen /' |
        redis-cli -s "$socket" | awk '{ n += $1 } END { print n + 0 }'
}

# Days later, what nobody reads any more is not known here, and not in Redis either.
before=$(records)
events 20 5 99 $((1772413200000 + 100 * 3600000)) 60000
for _ in 1 2 3 4 5; do
    produce "$instance.call" "$dir/call"
    produce "$instance.pay" "$dir/pay"
done
await "$dir/run4.log" ' [0-9] entities in memory and [0-9]{1,2} in redis alone'

# The next checkpoint says so, and is folded by and by.
for _ in $(seq 60); do
    n=$(records)
    [ "$n" -gt $((before - 700)) ] || break
    produce "$instance.pay" "$dir/pay"
    sleep 0.5
done
[ "$n" -le $((before - 700)) ] || not_ok "what has expired leaves Redis" "$n of $before records"
ok "what has expired leaves Redis ($n of $before records are left)"
stop_engine TERM
n=$(same_as_replay "$config" "$instance")
covered_once "$instance" >/dev/null
ok "a change of pack under a cap changes what it says, and nothing else ($n)"
