#!/usr/bin/env bash
# The README, done by a newcomer: its commands are taken from the page itself, with a folder
# of the test's own for /tmp/city and the test's broker and Redis for the example's.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/kafka_lib.sh"
readme=$TSN_SOURCE_DIR/README.md
said=$dir/said

# block LANGUAGE PATTERN: the first fenced block of that language that has PATTERN in it.
block() {
    awk -v language='```'"$1" -v pattern="$2" '
        $0 == language { on = 1; text = ""; next }
        on && /^```/ { on = 0; if (text ~ pattern) { printf "%s", text; exit } next }
        on { text = text $0 "\n" }' "$readme"
}

# ---- five minutes, on files ----------------------------------------------------------
block sh 'tocsin simulate' | sed "s|/tmp/city|$dir/city|g; s|build/tocsin|\"\$TSN_BINARY\"|g" >"$dir/tour.sh"
grep -q -e '--features' "$dir/tour.sh" || not_ok "the README has the tour"
(cd "$TSN_SOURCE_DIR" && bash -eu "$dir/tour.sh") >"$said" 2>&1 || not_ok "the tour runs" "$(tail -5 "$said")"
alerts=$(wc -l <"$dir/city/alerts.ndjson")
rows=$(grep -c '^[a-z]' "$dir/city/features.csv")
accepted=$(sed -n -E 's/.*: ([0-9]+) events accepted.*/\1/p' "$said")
if [ "$alerts" -gt 0 ] && [ -s "$dir/city/rejects.ndjson" ] && [ "$rows" = $((accepted + 1)) ]; then
    ok "the tour gives $alerts alerts, and a row of features an accepted event"
else
    not_ok "the tour gives alerts, and a row of features an accepted event" "$alerts alerts, $rows rows, $accepted accepted"
fi

"$TSN_BINARY" check "$TSN_SOURCE_DIR/rules/packs/telecom-bank.yaml" >"$said" 2>&1 ||
    not_ok "the pack is checked" "$(tail -5 "$said")"
ok "the pack is checked"

# Every line of the excerpt stands in the pack, comments and spaces apart.
block yaml 'since_stranger_talk' | sed 's/ #.*//' | tr -d ' ' >"$dir/excerpt"
sed 's/ #.*//' "$TSN_SOURCE_DIR/rules/packs/telecom-bank.yaml" | tr -d ' \n' >"$dir/pack-text"
while IFS= read -r line; do
    [ "${line#weights}" = "$line" ] || continue # shortened on the page
    grep -q -F -e "$line" "$dir/pack-text" || not_ok "the excerpt of the pack is the pack's" "$line"
done <"$dir/excerpt"
ok "the excerpt of the pack is the pack's"

# Documents that it names are there.
for file in $(grep -o '](\([^)#]*\))' "$readme" | tr -d ']()'); do
    [ -e "$TSN_SOURCE_DIR/$file" ] || not_ok "what the README links to is there" "$file"
done
ok "what the README links to is there"

# ---- your own Kafka and Redis --------------------------------------------------------
socket=$("$servers/redis" start "$dir/redis" --requirepass "it's secret")
export REDIS_PASSWORD="it's secret"
key=$(sed -n -E 's/^key_file:.*(\(umask.*\)).*/\1/p' "$readme")
(cd "$dir" && bash -eu -c "$key")
[ "$(stat -c %a "$dir/key")" = 600 ] || not_ok "the README's key is its owner's alone"

# The page's keys, then what the example of packaging/ has besides.
{
    block yaml 'instance: city-1' | sed -e "s|city-1|$tag|" -e "s|/etc/tocsin/key|$dir/key|" \
        -e "s|kafka-1:9092,kafka-2:9092|$TSN_KAFKA|" -e 's|security.protocol: ssl|security.protocol: plaintext|' \
        -e "s|host: redis-1|host: 127.0.0.1|" -e "s|port: 6379|port: $("$servers/redis" port "$dir/redis")|" \
        -e "s|rules/packs|$TSN_SOURCE_DIR/rules/packs|"
    sed -n -e '/^engine:/,$p' "$TSN_SOURCE_DIR/packaging/tocsin.yaml" |
        sed -E "s/^  (cdr\.call|cdr\.sms|bank\.txn|line\.lifecycle|watchlist):/  $tag.\1:/"
    printf 'topics: { alerts: %s.alerts, rejects: %s.rejects, manifest: %s.manifest, programs: %s.programs }\n' \
        "$tag" "$tag" "$tag" "$tag"
} >"$dir/tocsin.yaml"

# own COMMAND ...: a command of that block, as printed there.
own() {
    block sh 'tocsin topics' | grep -q -F -e "build/tocsin $* --config tocsin.yaml" ||
        block sh 'tocsin topics' | grep -q -F -e "build/tocsin ${1} --config tocsin.yaml ${*:2}" ||
        not_ok "the README has: $*"
    status=0
    (cd "$dir" && timeout 120 "$TSN_BINARY" "$1" --config tocsin.yaml "${@:2}") >"$said" 2>&1 || status=$?
}
own topics
[ "$status" = 5 ] && grep -q "$tag.cdr.call" "$said" || not_ok "topics says what is missing (exit 5)" "$status" "$(tail -5 "$said")"
ok "topics says what is missing (exit 5)"
own topics --create
[ "$status" = 0 ] || not_ok "topics --create makes them" "$status" "$(tail -5 "$said")"
own topics
[ "$status" = 0 ] || not_ok "topics --create made them" "$status" "$(tail -5 "$said")"
ok "topics --create makes them"

for source in cdr.call cdr.sms bank.txn line.lifecycle; do
    sed -n 1,4000p "$dir/city/$source.ndjson" | kcat -P -b "$TSN_KAFKA" -t "$tag.$source" -z lz4
done
sent=$(for source in cdr.call cdr.sms bank.txn line.lifecycle; do sed -n 1,4000p "$dir/city/$source.ndjson"; done | wc -l)
cd "$dir"
start_engine tocsin.yaml "$dir/run.log"
await "$dir/run.log" 'lag 0, [1-9][0-9]{3,} events' 120
stop_engine INT
[ "$status" = 0 ] || not_ok "Ctrl-C ends run with 0" "$status" "$(tail -3 "$dir/run.log")"
ok "$sent records are processed, and Ctrl-C ends run with 0"

# It goes on from its checkpoint, and has nothing to do.
start_engine tocsin.yaml "$dir/again.log"
await "$dir/again.log" 'lag 0, ' 120
stop_engine TERM
[ "$status" = 0 ] || not_ok "a second start goes on" "$status" "$(tail -3 "$dir/again.log")"
ok "a second start goes on"

own replay --manifests
[ "$status" = 0 ] && grep -q 'manifests .* events' "$said" || not_ok "the committed alerts again, from the log" "$status" "$(tail -3 "$said")"
ok "the committed alerts again, from the log"

# A Redis that evicts is refused with the remedy.
redis-cli -s "$socket" -a "$REDIS_PASSWORD" --no-auth-warning config set maxmemory 100mb >/dev/null
redis-cli -s "$socket" -a "$REDIS_PASSWORD" --no-auth-warning config set maxmemory-policy allkeys-lru >/dev/null
own run
[ "$status" = 5 ] && grep -q 'maxmemory-policy noeviction' "$said" || not_ok "a Redis that evicts is refused" "$status" "$(tail -3 "$said")"
ok "a Redis that evicts is refused"
for file in "$dir"/*.log "$said"; do
    ! grep -q -F "$REDIS_PASSWORD" "$file" || not_ok "the password is in no log" "$file"
done
ok "the password is in no log"
