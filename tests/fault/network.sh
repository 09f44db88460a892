#!/usr/bin/env bash
# A bad network between the engine and each of its servers: slow, hanging, cut off. Alerts
# stay exactly once; a slow or hanging Redis does not stop the engine. Its broker and its
# Redis are its own, behind tool_proxy; the foreign clients take the straight way.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/kill/steady_lib.sh"
proxy=$(dirname "$TSN_BINARY")/tests/tools/tool_proxy
[ -x "$proxy" ] || proxy=$TSN_SOURCE_DIR/build/asan/tests/tools/tool_proxy
TSN_BINARY=$TSN_RELEASE_BINARY
proxies=()

free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        grep -q -s "$(printf ':%04X ' "$port")" /proc/net/tcp /proc/net/tcp6 || break
    done
    echo "$port"
}

# start_proxy NAME LISTEN TARGET
start_proxy() {
    echo pass >"$dir/$1.network"
    "$proxy" "$2" "$3" "$dir/$1.network" >"$dir/$1.proxy" 2>&1 &
    proxies+=($!)
    await "$dir/$1.proxy" ready 10
}

# network NAME WORDS: from now on.
network() {
    echo "$2" >"$dir/$1.network.new"
    mv "$dir/$1.network.new" "$dir/$1.network"
}

# Two ways to one broker: clients come straight, the engine through the proxy.
straight=$(free_port) engines=$(free_port) controller=$(free_port) kafka_proxy=$(free_port)
"$servers/kafka" start "$dir/kafka" \
    "listeners=PLAINTEXT://127.0.0.1:$straight,ENGINE://127.0.0.1:$engines,CONTROLLER://127.0.0.1:$controller" \
    "advertised.listeners=PLAINTEXT://127.0.0.1:$straight,ENGINE://127.0.0.1:$kafka_proxy" \
    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,ENGINE:PLAINTEXT,CONTROLLER:PLAINTEXT" \
    "controller.quorum.voters=1@127.0.0.1:$controller" >/dev/null
export TSN_KAFKA=127.0.0.1:$straight
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"
end_network() {
    end_all
    kill "${proxies[@]}" 2>/dev/null || true
}
trap end_network EXIT
"$servers/redis" start "$dir/redis" >/dev/null
redis_proxy=$(free_port)
start_proxy redis "$redis_proxy" "$("$servers/redis" port "$dir/redis")"
start_proxy kafka "$kafka_proxy" "$engines"

instance=$tag
config=$dir/tocsin.yaml
slack=1s
write_config "$config" "$instance" "redis:" "  port: $redis_proxy" "  timeout: 2s" \
    "checkpoint: { interval: 1s }"
make_topics "$config" 3
sed -i "s/bootstrap.servers: .*/bootstrap.servers: 127.0.0.1:$kafka_proxy/" "$config"
log=$dir/run.log
start_engine "$config" "$log"
await "$log" 'live at manifest' 60
feed_steadily 200 30 0.3

events_now() {
    local line
    line=$(grep -o '[0-9]* events,' "$log" | tail -1 || true)
    echo "${line:-0}" | cut -d ' ' -f 1
}

# goes_on NAME SECONDS: within that time it commits events that came after now.
goes_on() {
    local before i
    before=$(events_now)
    for ((i = 0; i < $2 * 5; i++)); do
        engine_lives "$1"
        [ "$(events_now)" -le $((before + 100)) ] || break
        sleep 0.2
    done
    [ "$(events_now)" -gt $((before + 100)) ] || not_ok "$1" "$(tail -4 "$log")"
    ok "$1"
}

goes_on "it works through the proxies" 30
network redis "delay 50"
goes_on "a Redis that takes 100 ms a call does not stop the engine" 30
network redis stall
goes_on "a Redis that hangs does not stop the engine" 30
network redis "reset 1"
goes_on "a Redis whose connections break does not stop the engine" 30
checkpoints_again "$log" "checkpoints are written again once Redis answers"

network kafka "delay 25"
goes_on "a broker 50 ms away is worked with" 60
network kafka "reset 1"
goes_on "connections to the broker that break are made anew" 60
network kafka stall
sleep 5
engine_lives "a broker that hangs for seconds"
network kafka pass
goes_on "a broker that hung for seconds is gone on with" 90
network kafka stall
sleep 20
network kafka "reset 2"
goes_on "a broker that hung beyond the session and the transaction is gone on with" 120
for i in 3 4 5 6; do
    network kafka "reset $i"
    sleep 0.7
done
goes_on "a broker whose connections break again and again is gone on with" 120
settle
account "bad network"
