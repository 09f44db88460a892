#!/usr/bin/env bash
# kill -9 at random instants under load: engine, broker, Redis. A real broker and a real
# Redis of this test, two topics of different rate, three partitions each. In the end a
# foreign client sees what the committed manifests replay to from nothing, byte for byte,
# and every input event is in exactly one of them.
#
#   TSN_ROUNDS=n  kills (default 25); TSN_SEED=n  of victims and instants (default 1)
#
# The release binary is what dies (the sanitized one spends the time in its start).
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/kill/steady_lib.sh"
TSN_BINARY=$TSN_RELEASE_BINARY
rounds=${TSN_ROUNDS:-25}
seed=${TSN_SEED:-1}
RANDOM=$seed
declare -A killed=([engine]=0 [broker]=0 [redis]=0)

# Every other engine has a hundredth of the entities in memory.
begin_engine() {
    log=$dir/run-$1.log
    if [ $(($1 % 2)) = 1 ]; then
        start_engine "$capped" "$log"
    else
        start_engine "$config" "$log"
    fi
}

# A third of the engine's deaths find it recovering, a third just live, a third at work.
kill_engine() {
    kill -9 "$engine"
    wait "$engine" 2>/dev/null || true
    begin_engine "$1"
    case $((RANDOM % 3)) in
    0) ;;
    1) await "$log" 'live at manifest' 60 ;;
    2) await "$log" '[1-9][0-9]* events/s' 60 ;;
    esac
}

kill_broker() {
    "$servers/kafka" kill "$dir/kafka"
    "$servers/kafka" start "$dir/kafka" >/dev/null || not_ok "the broker starts again"
}

kill_redis() {
    "$servers/redis" kill "$dir/redis"
    "$servers/redis" start "$dir/redis" >/dev/null || not_ok "Redis starts again"
}

begin_servers
capped=$dir/capped.yaml
{ cat "$config" && echo "engine: { max_resident: 8 }"; } >"$capped"
echo "# seed $seed, $rounds rounds"
begin_engine 0
feed_steadily 250 30 0.3
await "$log" 'live at manifest'
for ((round = 1; round <= rounds; round++)); do
    ms=$((RANDOM % 1500))
    case $((RANDOM % 8)) in
    0) victim=broker ;;
    1 | 2) victim=redis ;;
    *) victim=engine ;;
    esac
    sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
    engine_lives "round $round"
    echo "# round $round: $victim, $ms ms later"
    "kill_$victim" "$round"
    killed[$victim]=$((killed[$victim] + 1))
done
settle
account "kill -9, $rounds rounds of seed $seed (engine ${killed[engine]}, broker ${killed[broker]}, Redis ${killed[redis]})"
