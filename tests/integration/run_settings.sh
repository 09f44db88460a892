#!/usr/bin/env bash
# Settings and source mappings that change results are part of what is committed: under
# others nothing is replayed in silence, and the message names them.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"

begin_instance 3 "checkpoint: { interval: 1h }"
feed 3000 600 0
start_engine "$config" "$dir/run1.log"
await_events "$dir/run1.log" 3600
stop_engine KILL
replays "under the same settings the manifests replay"

# replayed NAME EXIT PATTERN SED [ARGUMENT ...]: the configuration changed by SED.
replayed() {
    local name=$1 code=$2 pattern=$3 change=$4 status=0
    shift 4
    sed -E "$change" "$config" >"$dir/other.yaml"
    ! cmp -s "$config" "$dir/other.yaml" || not_ok "$name" "nothing was changed"
    "$TSN_BINARY" replay --config "$dir/other.yaml" --manifests --alerts "$dir/other.ndjson" "$@" >"$dir/other.log" 2>&1 || status=$?
    [ "$status" = "$code" ] && grep -q -E -e "$pattern" "$dir/other.log" ||
        not_ok "$name" "exit $status, not $code" "$(tail -3 "$dir/other.log")"
    ok "$name"
}

replayed "another lateness is refused by its name" 5 \
    'manifest 1 was written under other settings, and would replay differently: engine.lateness\. Use the configuration of then' \
    '$a engine: { lateness: 2h }'
replayed "another duplicate window and another mapping are both named" 5 \
    "differently: engine.dedup_window, sources.$instance.call.fields.talk_s\." \
    's,talk_s: /talk,talk_s: { from: /talk\, default: 7 },; $a engine: { dedup_window: 1m }'
replayed "another number plan is named" 5 "differently: sources.$instance.call.fields.caller" \
    's,caller: /a,caller: { from: /a\, e164: true },'
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$dir/key"
chmod 600 "$dir/key"
replayed "another key is told from other settings" 5 'differently: key_file' "s,^insecure: true,key_file: $dir/key,"
replayed "with --any-settings it is replayed, and said" 0 \
    'manifest 1 was written under other settings than are in force here: engine.lateness; going on' \
    '$a engine: { lateness: 2h }' --any-settings
replayed "what changes no result may change" 0 'alerts, .* written' 's,interval: 1h,interval: 2h,; s,slack: 1s,slack: 500ms,'
cmp -s "$dir/alerts.ndjson" "$dir/other.ndjson" || not_ok "and gives the same alerts"
sed 's/^/# /' "$dir/other.log" | tail -1

# A start after a kill has manifests to replay that were written under the old ones.
sed '$a engine: { lateness: 2h }' "$config" >"$dir/later.yaml"
produce "$instance.call" "$dir/call"
start_engine "$config" "$dir/run2.log"
await "$dir/run2.log" 'lag 0, [1-9]'
stop_engine TERM # a checkpoint
last=$(sed -n -E 's/.*stopped at manifest ([0-9]+), .*/\1/p' "$dir/run2.log")
produce "$instance.call" "$dir/call"
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" "lag 0, [1-9].* manifest ($((last + 1))|$((last + 2))|$((last + 3))), " # committed
stop_engine KILL
status=0
timeout 60 "$TSN_BINARY" run --config "$dir/later.yaml" 2>"$dir/refused.log" || status=$?
[ "$status" = 5 ] && grep -q 'written under other settings, and would replay differently: engine.lateness.*stop it cleanly with that one first' "$dir/refused.log" ||
    not_ok "a start with other settings after a kill is refused" "status $status" "$(tail -3 "$dir/refused.log")"
ok "a start with other settings after a kill is refused"
"$TSN_BINARY" run --config "$dir/later.yaml" --dry-recover >"$dir/dry" 2>&1 || true
grep -q 'would be refused (exit 5): manifest .* engine.lateness' "$dir/dry" || not_ok "a dry run says so" "$(cat "$dir/dry")"
ok "a dry run says so"

# The remedy of the message.
start_engine "$config" "$dir/run4.log"
await "$dir/run4.log" 'live at manifest'
stop_engine TERM
start_engine "$dir/later.yaml" "$dir/run5.log"
await "$dir/run5.log" 'live at manifest'
grep -q 'settings or source mappings are not those of manifest [0-9]*: in force from the next one on' "$dir/run5.log" ||
    not_ok "after a clean stop they are put in force" "$(cat "$dir/run5.log")"
stop_engine KILL
start_engine "$dir/later.yaml" "$dir/run6.log"
await "$dir/run6.log" 'live at manifest'
stop_engine TERM
ok "after a clean stop they are put in force, and are then those of every manifest"
