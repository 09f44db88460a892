# Sourced by the tests that run the binary against a real broker: names of their own,
# a pack where calls and payments meet, engines, and what a foreign client sees.
# (No test by itself: it is not executable.)

[ -n "${TSN_KAFKA:-}" ] || { echo "TSN_KAFKA names no broker"; exit 77; }
here=$TSN_SOURCE_DIR/tests/integration
servers=$TSN_SOURCE_DIR/tests/servers
dir=${TMPDIR:?}
tag=$(basename "$0" .sh)-$$
jars=$("$servers/kafka" jars)
engine=
slack=    # merge.slack; empty: the default
consumer= # properties of its consumers, "name: value, ..."

finish() {
    [ -z "$engine" ] || kill -9 "$engine" 2>/dev/null || true
    [ ! -d "$dir/redis" ] || "$servers/redis" stop "$dir/redis" || true
}
trap finish EXIT

ok() { echo "ok - $1"; }
not_ok() {
    echo "not ok - $1"
    shift
    printf '# %s\n' "$@"
    exit 1
}

# A payment within an hour after a call to the payer is suspicious; so are many calls.
# Whoever scores a payment before the call that explains it misses it. In two files, so
# that what is published of it is not only the pack's own.
write_pack() {
    mkdir -p "$(dirname "$1")/parts"
    cat >"$(dirname "$1")/parts/meeting.yaml" <<'END'
events:
  call:
    id: ref
    fields:
      ref: { type: string, required: true }
      caller: { type: string, required: true, entity: line }
      callee: { type: string, required: true, entity: line }
      talk_s: { type: int, required: true }
  pay:
    id: ref
    fields:
      ref: { type: string, required: true }
      payer: { type: string, required: true, entity: line }
      amount: { type: int, required: true }
features:
  - name: called_1h
    event: call
    aggregate: count
    by: callee
    read: { pay: payer }
    window: 1h
  - name: talk_1h
    event: call
    aggregate: sum(talk_s)
    by: callee
    read: { pay: payer }
    window: 1h
  - name: paid_1d
    event: pay
    aggregate: sum(amount)
    by: payer
    window: 24h
END
    cat >"$1" <<'END'
pack: meeting
version: 1
imports: [parts/meeting.yaml]
rules:
  - id: paid-after-call
    event: pay
    when: 'f.called_1h >= 1 && f.talk_1h > 300 && pay.amount > 100'
    reason: 'paid ${pay.amount} after ${f.talk_1h} s of calls'
  - id: much-paid
    event: pay
    when: 'f.paid_1d > 2000'
    reason: 'paid ${f.paid_1d} in a day'
typologies:
  - id: coached
    entity: { pay: payer }
    sum_over: 1h
    weights: { paid-after-call: 50, much-paid: 40 }
    thresholds: { minor: 40, severe: 80 }
END
}

# write_config FILE INSTANCE [STATE LINES ...]: topics are INSTANCE.call and so on.
write_config() {
    local file=$1 instance=$2
    shift 2
    write_pack "$dir/pack.yaml"
    cat >"$file" <<END
instance: $instance
pack: pack.yaml
insecure: true
kafka:
  bootstrap.servers: $TSN_KAFKA
${consumer:+  consumer: { $consumer \}}
${slack:+merge: { slack: $slack \}}
topics:
  alerts: $instance.alerts
  rejects: $instance.rejects
  manifest: $instance.manifest
  programs: $instance.programs
sources:
  $instance.call:
    event: call
    fields:
      time: { from: /t, format: epoch_ms }
      ref: /ref
      caller: /a
      callee: /b
      talk_s: /talk
  $instance.pay:
    event: pay
    fields:
      time: { from: /t, format: epoch_ms }
      ref: /ref
      payer: /a
      amount: /amount
END
    if [ $# -eq 0 ]; then
        echo "state: memory" >>"$file"
    else
        printf '%s\n' "$@" >>"$file"
    fi
}

# make_topics CONFIG [PARTITIONS]
make_topics() {
    "$TSN_BINARY" topics --config "$1" --create --partitions "${2:-3}" >"$dir/topics.log" ||
        not_ok "topics are made" "$(cat "$dir/topics.log")"
}

# begin_instance PARTITIONS [LINE ...]: an instance named after the test, with a Redis of
# its own and these lines in its configuration: $instance, $socket, $config, and its topics.
begin_instance() {
    instance=$tag
    slack=1s
    config=$dir/tocsin.yaml
    socket=$("$servers/redis" start "$dir/redis")
    write_config "$config" "$instance" "redis:" "  unix_socket: $socket" "${@:2}"
    make_topics "$config" "$1"
}

# events CALLS PAYS SEED FROM_MS SPAN_MS: $dir/call and $dir/pay, "key|json" a line, in
# time order, spread evenly over the span. Every payer is called some minutes before.
events() {
    awk -v n="$1" -v seed="$3" -v from="$4" -v span="$5" 'BEGIN {
        srand(seed)
        for (i = 0; i < n; i++) {
            a = int(rand() * 5000); b = int(rand() * 800); t = from + int(i * span / n)
            printf "+1%07d|{\"t\":%.0f,\"ref\":\"c%d-%d\",\"a\":\"+1%07d\",\"b\":\"+2%07d\",\"talk\":%d}\n",
                a, t, seed, i, a, b, int(rand() * 900)
        } }' >"$dir/call"
    awk -v n="$2" -v seed="$3" -v from="$4" -v span="$5" 'BEGIN {
        srand(seed + 1)
        for (i = 0; i < n; i++) {
            a = int(rand() * 800); t = from + int(i * span / n)
            printf "+2%07d|{\"t\":%.0f,\"ref\":\"p%d-%d\",\"a\":\"+2%07d\",\"amount\":%d}\n",
                a, t, seed, i, a, int(rand() * 900)
        } }' >"$dir/pay"
}

# produce TOPIC FILE: by a foreign client, keyed.
produce() {
    kcat -P -b "$TSN_KAFKA" -t "$1" -K '|' -z lz4 -X partitioner=murmur2_random -l "$2"
}

# send: what events made, to the instance's topics.
send() { produce "$instance.call" "$dir/call" && produce "$instance.pay" "$dir/pay"; }

# feed CALLS PAYS HOUR: events of that hour of the stream, sent.
feed() {
    events "$1" "$2" "$3" $((1772413200000 + $3 * 3600000)) 3600000
    send
}

now_ms() { date +%s%3N; }

# start_engine CONFIG LOG [ARGUMENT ...]
start_engine() {
    local config=$1 log=$2
    shift 2
    "$TSN_BINARY" run --config "$config" --status 1 "$@" 2>"$log" &
    engine=$!
}

# await LOG PATTERN [SECONDS]
await() {
    local i
    for ((i = 0; i < ${3:-60} * 10; i++)); do
        grep -q -s -E "$2" "$1" && return 0
        sleep 0.1
    done
    not_ok "the log says: $2" "$(tail -5 "$1")"
}

# await_events LOG N: N events processed and committed in this term, nothing behind.
await_events() { await "$1" "lag 0, $2 events" 120; }

# await_quiet LOG: everything that is in the topics by now is processed: of three more
# status lines the last two say lag 0 and the same number of events. (One line does not
# do: the ends of some partitions may not be known yet.)
await_quiet() {
    local i seen lines
    seen=$(grep -c 'events/s' "$1" || true)
    for ((i = 0; i < 1200; i++)); do
        sleep 0.1
        lines=$(grep -c 'events/s' "$1" || true)
        [ "$lines" -ge $((seen + 3)) ] || continue
        grep -o 'lag [0-9]*, [0-9]* events' "$1" | tail -2 | uniq -c |
            grep -q '^ *2 lag 0,' && return 0
        kill -0 "$engine" 2>/dev/null || break
    done
    not_ok "the engine catches up" "$(tail -5 "$1")"
}

# checkpoints_again LOG NAME: from now on it says that a checkpoint is of the last seconds.
checkpoints_again() {
    local n i
    n=$(wc -l <"$1")
    for ((i = 0; i < 600; i++)); do
        ! tail -n +"$((n + 1))" "$1" | grep -q 'checkpoint [0-2] s old' || break
        sleep 0.1
    done
    [ "$i" -lt 600 ] || not_ok "$2" "$(tail -4 "$1")"
    ok "$2"
}

# stop_engine [SIGNAL]; its exit status is in $status.
stop_engine() {
    kill "-${1:-TERM}" "$engine"
    status=0
    wait "$engine" 2>/dev/null || status=$?
    engine=
}

kafka_java() {
    java -Xmx256m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
        -cp "$jars/*" "$@"
}

java_tool() { kafka_java "$here/Committed.java" "$@"; }

# kafka_tool CLASS [ARGUMENT ...]: a tool of Apache Kafka; without a package: org.apache.kafka.tools.
kafka_tool() {
    local class=$1
    case $class in kafka.*) ;; *) class=org.apache.kafka.tools.$class ;; esac
    kafka_java "$class" --bootstrap-server "$TSN_KAFKA" "${@:2}"
}

# delete_before TOPIC PARTITION OFFSET: as retention does; -1: all that is there.
delete_before() {
    echo "{\"version\":1,\"partitions\":[{\"topic\":\"$1\",\"partition\":$2,\"offset\":$3}]}" >"$dir/delete.json"
    kafka_tool DeleteRecordsCommand --offset-json-file "$dir/delete.json" >"$dir/tool.log" 2>&1 ||
        not_ok "records of $1 are deleted" "$(tail -3 "$dir/tool.log")"
}

# same_as_replay CONFIG INSTANCE: committed alerts and rejects are those of the
# manifests; prints how many alerts. The replay needs nothing of the pack but what the
# engine published.
same_as_replay() {
    rm -rf "$dir/alerts.ndjson" "$dir/rejects.ndjson" "$dir/parts" "$dir/pack.yaml"
    "$TSN_BINARY" replay --config "$1" --manifests --alerts "$dir/alerts.ndjson" \
        --rejects "$dir/rejects.ndjson" >"$dir/replay.log" 2>&1 ||
        not_ok "the manifests replay" "$(tail -5 "$dir/replay.log")"
    write_pack "$dir/pack.yaml"
    java_tool "$TSN_KAFKA" "$2.alerts" "$dir/alerts.ndjson" ||
        not_ok "committed alerts equal the replay" "$(tail -5 "$dir/replay.log")"
}

# replays NAME [N]: the committed alerts, more than N (0), are those of the manifests.
replays() {
    local n
    n=$(same_as_replay "$config" "$instance") || {
        echo "$n"
        exit 1
    }
    [ "$n" -gt "${2:-0}" ] || not_ok "there are alerts to compare" "$n"
    ok "$1 ($n)"
}

# covered_once INSTANCE: every input event is in exactly one committed manifest; prints
# the numbers of events and manifests.
covered_once() {
    java_tool "$TSN_KAFKA" --covered "$1.manifest" "$1.call" "$1.pay" >"$dir/covered" ||
        not_ok "every input event is in exactly one committed manifest" "$(cat "$dir/covered")"
    cat "$dir/covered"
}

# accounts NAME: covered_once, of the instance.
accounts() {
    local counts
    counts=$(covered_once "$instance") || {
        echo "$counts"
        exit 1
    }
    ok "$1 ($counts)"
}

# The alerts of an instance by id, revision and level: what does not depend on offsets.
alert_ids() {
    java_tool "$TSN_KAFKA" "$1.alerts" | cut -f 3 |
        sed -E 's/.*"alert_id":"([^"]*)".*"revision":([0-9]+).*"level":"([a-z]*)".*/\1 \2 \3/' | sort
}
