# Sourced by tests of hours and deaths: servers of their own, steady load, engines that
# are restarted, and the final account. (No test by itself: it is not executable.)

dir=${TMPDIR:?}
servers=$TSN_SOURCE_DIR/tests/servers
feeder=

# begin_servers: a broker and a Redis of this test, and what kafka_lib.sh offers.
begin_servers() {
    # Short sessions: a dead leader's seat is free soon.
    TSN_KAFKA=$("$servers/kafka" start "$dir/kafka" group.min.session.timeout.ms=1000)
    export TSN_KAFKA
    . "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"
    trap end_all EXIT
    consumer='session.timeout.ms: 2000, heartbeat.interval.ms: 400'
    begin_instance 3 "checkpoint: { interval: 1s }"
}

end_all() {
    touch "$dir/enough"
    [ -z "$feeder" ] || kill "$feeder" 2>/dev/null || true
    finish
    "$servers/kafka" stop "$dir/kafka" || true
}

slice_ms=60000 # event time of a slice

# feed_steadily CALLS PAYS PAUSE: in the background, slice after slice of input until
# $dir/enough is there. A slice that a dead broker cut short is sent again whole: its first
# half comes twice, as from any real producer.
feed_steadily() {
    (
        slice=0
        while [ ! -e "$dir/enough" ]; do
            events "$1" "$2" "$slice" $((1772413200000 + slice * slice_ms)) "$slice_ms"
            [ $((slice % 7)) != 3 ] || echo "k|{broken $slice" >>"$dir/call"
            until send; do
                sleep 0.3
            done 2>>"$dir/feeder.log"
            slice=$((slice + 1))
            sleep "$3"
        done
    ) &
    feeder=$!
}

# The engine is alive, or the test ends here.
engine_lives() {
    kill -0 "$engine" 2>/dev/null || not_ok "$1" "the engine ended by itself" "$(tail -5 "$log")"
}

# settle: no more input; the engine catches up, stops cleanly.
settle() {
    touch "$dir/enough"
    wait "$feeder" || true
    feeder=
    await_quiet "$log"
    stop_engine TERM
    [ "$status" = 0 ] || not_ok "the last stop exits 0" "$(tail -5 "$log")"
}

# account NAME: what a foreign client reads is what the manifests replay to; alerts and
# rejects; every input event in exactly one manifest.
account() {
    local alerts rejects events manifests
    alerts=$(same_as_replay "$config" "$instance") || {
        echo "$alerts"
        exit 1
    }
    rejects=$(java_tool "$TSN_KAFKA" "$instance.rejects" --rejects "$dir/rejects.ndjson") ||
        not_ok "committed rejects equal the replay" "$rejects"
    covered_once "$instance" >"$dir/counts" || {
        cat "$dir/counts"
        exit 1
    }
    read -r events manifests <"$dir/counts"
    [ "$alerts" -gt 100 ] || not_ok "there are alerts to compare" "$alerts"
    ok "$1: $events events in $manifests manifests, each in exactly one; $alerts alerts and $rejects rejects, as a read_committed Java client reads them, are those of the replay byte for byte: 0 lost, 0 doubled"
}
