#!/usr/bin/env bash
# Order in event time: a backlog gives the alerts that a steady run gives, whatever the
# sizes of the topics and however many partitions they have.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

calls=60000
pays=3000
slices=20
from=1772413200000
events $calls $pays 1 $from 36000000

# One partition a topic, the reference: nothing can drift but the two topics.
run_backlog() { # run_backlog INSTANCE PARTITIONS
    write_config "$dir/$1.yaml" "$1"
    make_topics "$dir/$1.yaml" "$2"
    produce "$1.call" "$dir/call"
    produce "$1.pay" "$dir/pay"
    start_engine "$dir/$1.yaml" "$dir/$1.log"
    await_events "$dir/$1.log" $((calls + pays))
    stop_engine TERM
    alert_ids "$1" >"$dir/$1.ids"
    [ "$(wc -l <"$dir/$1.ids")" -gt 100 ] || not_ok "there are alerts to compare" "$(tail -2 "$dir/$1.log")"
}

# Steady: slices of half an hour, each wholly processed before the next is produced;
# calls first, as they happen first. A payment reads calls as of its own time.
run_steady() { # run_steady INSTANCE
    local slice n=0
    write_config "$dir/$1.yaml" "$1"
    make_topics "$dir/$1.yaml" 3
    start_engine "$dir/$1.yaml" "$dir/$1.log"
    for ((slice = 0; slice < slices; slice++)); do
        cut_slice call $calls $slice
        cut_slice pay $pays $slice
        produce "$1.call" "$dir/call.part"
        n=$((n + calls / slices))
        await_events "$dir/$1.log" $n
        produce "$1.pay" "$dir/pay.part"
        n=$((n + pays / slices))
        await_events "$dir/$1.log" $n
    done
    stop_engine TERM
    alert_ids "$1" >"$dir/$1.ids"
}

cut_slice() { # cut_slice FILE LINES SLICE
    sed -n "$(($3 * $2 / slices + 1)),$((($3 + 1) * $2 / slices))p" "$dir/$1" >"$dir/$1.part"
}

same_alerts() { # same_alerts INSTANCE INSTANCE WHAT
    cmp -s "$dir/$1.ids" "$dir/$2.ids" ||
        not_ok "$3" "$(wc -l <"$dir/$1.ids") and $(wc -l <"$dir/$2.ids") alerts" \
            "$(diff "$dir/$1.ids" "$dir/$2.ids" | head -5)"
    ok "$3 ($(wc -l <"$dir/$2.ids"))"
}

run_backlog "$tag-1" 1
run_backlog "$tag-12" 12
run_steady "$tag-s"
same_alerts "$tag-1" "$tag-12" "a backlog over 12 partitions gives the alerts of the same events in one"
same_alerts "$tag-s" "$tag-12" "a backlog of two topics of very different size gives the alerts of a steady run"

config=$dir/$tag-12.yaml
instance=$tag-12
replays "committed alerts equal the replay of the manifests"
