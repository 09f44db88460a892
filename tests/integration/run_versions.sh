#!/usr/bin/env bash
# What another semantic version of the engine committed is never replayed as if it were
# this one's: a start, a dry run and a replay refuse it with the remedies, which work.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"
tool=$(dirname "$TSN_BINARY")/tests/tools/tool_semantics
[ -x "$tool" ] || tool=$TSN_SOURCE_DIR/build/asan/tests/tools/tool_semantics

# refused NAME PATTERN COMMAND ...: it ends with 5, says why, and commits nothing.
refused() {
    local name=$1 pattern=$2 status=0 before
    shift 2
    before=$(manifests | wc -l)
    timeout 60 "$@" >"$dir/refused.log" 2>&1 || status=$?
    [ "$status" = 5 ] || not_ok "$name" "exit $status, not 5" "$(tail -3 "$dir/refused.log")"
    grep -q -E "$pattern" "$dir/refused.log" || not_ok "$name" "$(tail -3 "$dir/refused.log")"
    [ "$(manifests | wc -l)" = "$before" ] || not_ok "$name: and commits nothing"
    ok "$name"
}

manifests() { kcat -C -b "$TSN_KAFKA" -t "$instance.manifest" -o beginning -e -q; }

begin_instance 3 "checkpoint: { interval: 1h }"
feed 3000 600 0
start_engine "$config" "$dir/run1.log"
await_events "$dir/run1.log" 3600
stop_engine TERM
replays "what this version committed it replays"
mine=$(manifests | tail -1 | sed -n -E 's/.*"semantics":([0-9]+),.*/\1/p')
last=$(manifests | tail -1 | sed -n -E 's/.*"sequence":([0-9]+),.*/\1/p')

# A newer version came after it: a manifest of its semantics, the checkpoint still ours.
manifests | tail -1 | sed -E "s/\"sequence\":[0-9]+,/\"sequence\":$((last + 1)),/; s/\"semantics\":[0-9]+,/\"semantics\":$((mine + 1)),/
    s/\"steps\":\[.*\],\"alerts\":[0-9]+,\"rejects\":[0-9]+/\"steps\":[],\"alerts\":0,\"rejects\":0/" >"$dir/theirs"
kcat -P -b "$TSN_KAFKA" -t "$instance.manifest" -l "$dir/theirs"
[ "$(manifests | tail -1)" = "$(cat "$dir/theirs")" ] || not_ok "another version's manifest is there" "$(cat "$dir/theirs")"
why="manifest $((last + 1)) was written by engine semantics $((mine + 1)), this binary has $mine and would replay it differently. Use the version that wrote it"
refused "a start refuses what another version committed" "$why.*remove the checkpoint" "$TSN_BINARY" run --config "$config"
refused "a dry run says so" "^start +would be refused \(exit 5\): $why" "$TSN_BINARY" run --config "$config" --dry-recover
refused "a replay refuses it" "$why.*--any-settings" "$TSN_BINARY" replay --config "$config" --manifests --alerts "$dir/again"
"$TSN_BINARY" replay --config "$config" --manifests --to "$last" --alerts "$dir/again" >"$dir/said" 2>&1 &&
    cmp -s "$dir/again" "$dir/alerts.ndjson" || not_ok "but what comes before it is replayed" "$(tail -3 "$dir/said")"
ok "but what comes before it is replayed"
"$TSN_BINARY" replay --config "$config" --manifests --any-settings --alerts "$dir/again" >"$dir/said" 2>&1 &&
    grep -q "manifest $((last + 1)) was written by engine semantics $((mine + 1)), this binary has $mine: going on with its own" "$dir/said" ||
    not_ok "with --any-settings it is replayed, and said" "$(tail -3 "$dir/said")"
ok "with --any-settings it is replayed, and said"

# That version's checkpoint: its state is not ours.
"$tool" "$config" $((mine + 1)) || not_ok "another version's checkpoint is there"
why="the checkpoint of manifest $last was made by engine semantics $((mine + 1)), this binary has $mine.*remove the checkpoint"
refused "a start refuses another version's checkpoint" "$why" "$TSN_BINARY" run --config "$config"
refused "a dry run says that, too" "^start +would be refused \(exit 5\): $why" "$TSN_BINARY" run --config "$config" --dry-recover

# The remedy: without the checkpoint the state is rebuilt by this version's semantics.
redis-cli -s "$socket" flushall >/dev/null
"$TSN_BINARY" run --config "$config" --dry-recover >"$dir/dry" 2>&1 || not_ok "a dry run of the rebuild" "$(cat "$dir/dry")"
feed 3000 600 1
start_engine "$config" "$dir/run2.log"
await_events "$dir/run2.log" 7200 # with those of the rebuild
stop_engine TERM
[ "$status" = 0 ] || not_ok "a rebuilt engine goes on" "$(tail -3 "$dir/run2.log")"
grep -q "manifest $((last + 1)) was written by engine semantics $((mine + 1)), this binary has $mine: going on with its own" "$dir/run2.log" ||
    not_ok "a rebuild says what was not its own" "$(cat "$dir/run2.log")"
ok "without the checkpoint the state is rebuilt, which is said, and the engine goes on"
start_engine "$config" "$dir/run3.log"
await "$dir/run3.log" 'live at manifest'
! grep -q 'semantics' "$dir/run3.log" || not_ok "the next start has a checkpoint of its own" "$(cat "$dir/run3.log")"
stop_engine TERM
ok "and the next start has a checkpoint of its own"
