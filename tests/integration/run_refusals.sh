#!/usr/bin/env bash
# What does not fit is refused with the remedy, before anything is published.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

# refused NAME EXIT PATTERN CONFIG [ARGUMENT ...]
refused() {
    local name=$1 code=$2 pattern=$3 config=$4 status=0
    shift 4
    timeout 60 "$TSN_BINARY" run --config "$config" "$@" >"$dir/refused.log" 2>&1 || status=$?
    [ "$status" = "$code" ] || not_ok "$name" "exit $status, not $code" "$(tail -3 "$dir/refused.log")"
    grep -q -E "$pattern" "$dir/refused.log" || not_ok "$name" "$(tail -3 "$dir/refused.log")"
    ok "$name"
}

instance=$tag
config=$dir/tocsin.yaml
write_config "$config" "$instance"

sed "s/bootstrap.servers: .*/bootstrap.servers: 127.0.0.1:1/; \$a start_timeout: 2s" "$config" >"$dir/away.yaml"
refused "a broker that is down is waited for, then named (exit 4)" 4 \
    'bootstrap.servers: 127.0.0.1:1.*gave up after start_timeout' "$dir/away.yaml"

refused "a topic that is absent is named, with the command that makes it" 5 \
    "topic $instance\\.(call|pay) .*does not exist.*topics --config .* --create" "$config"

make_topics "$config" 3
head -c 1000 /dev/urandom >"$dir/other.yaml"
sed 's/^pack:.*/pack: absent.yaml/' "$config" >"$dir/nopack.yaml"
refused "a pack that cannot be read stops the start (exit 3)" 3 'absent.yaml' "$dir/nopack.yaml"

sed "s/^kafka:/kafka:\n  consumer: { isolation.level: read_uncommitted }/" "$config" >"$dir/dirty.yaml"
refused "a property that a promise rests on cannot be changed" 5 "isolation.level' must be" "$dir/dirty.yaml"

# A first run commits something; then the world changes under it.
feed 3000 300 0
start_engine "$config" "$dir/run.log"
await_events "$dir/run.log" 3300
stop_engine TERM
before=$(java_tool "$TSN_KAFKA" "$instance.alerts" | md5sum)

kafka_tool TopicCommand --alter --topic "$instance.pay" --partitions 4 >/dev/null 2>&1
refused "a changed partition count is refused" 5 "topic $instance.pay has 4 partitions, and had 3" "$config"

sed "/^  $instance.pay:/,\$d" "$config" >"$dir/fewer.yaml"
echo "state: memory" >>"$dir/fewer.yaml"
refused "a source that the manifests read cannot be taken away" 5 "read topic $instance.pay, which is no source" "$dir/fewer.yaml"

kafka_tool TopicCommand --delete --topic "$instance.pay" >/dev/null 2>&1
# Brokers delete by and by.
for _ in $(seq 100); do
    "$TSN_BINARY" topics --config "$config" >"$dir/topics.log" 2>&1 || break
    sleep 0.2
done
make_topics "$config" 3
refused "a topic that was made anew is refused" 5 "$instance.pay/[0-9] ends (at|before) offset" "$config"

[ "$(java_tool "$TSN_KAFKA" "$instance.alerts" | md5sum)" = "$before" ] ||
    not_ok "the refusals published nothing"
ok "the refusals published nothing"

write_config "$dir/redis.yaml" "$tag-r" "redis:" "  unix_socket: $dir/nobody.sock" "start_timeout: 2s"
make_topics "$dir/redis.yaml" 1
refused "a Redis that is down is waited for, then named (exit 4)" 4 'redis.*gave up after start_timeout' "$dir/redis.yaml"

socket=$("$servers/redis" start "$dir/redis" --requirepass right)
write_config "$dir/redis.yaml" "$tag-r" "redis:" "  unix_socket: $socket" "  password: wrong"
refused "a wrong Redis password is named and not tried for ever" 5 'redis.*password' "$dir/redis.yaml"
