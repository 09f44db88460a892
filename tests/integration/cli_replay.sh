#!/usr/bin/env bash
# Replay through the binary, against what was worked out by hand from docs/SEMANTICS.md:
# three files merged, with ties, a late and a too-late record, duplicates (one from another
# entity), rejects, empty lines, CRLF, and a last line without its newline.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/cli_lib.sh"
data=$TSN_SOURCE_DIR/tests/golden/replay
inputs=(--input "calls=$data/calls.ndjson" --input "pays=$data/pays.ndjson" --input "more=$data/more.ndjson")

# replay OUT [ARGUMENT ...]
replay() {
    local out=$1
    shift
    mkdir -p "$out"
    "$TSN_BINARY" replay --config "$data/tocsin.yaml" --alerts "$out/alerts" \
        --features "$out/features" --rejects "$out/rejects" "$@" >"$out/stdout" 2>"$out/stderr"
}

# What an alert is about, without ids and texts.
alerts_of() {
    sed -E 's/.*"revision":([0-9]+),"typology":"([a-z]+)".*"level":"([a-z]+)",.*"score":([^,]*),"shadow":([a-z]+),"entity":\{[^}]*"value":"([^"]*)".*"time":"([^"]*)","not_before".*/\2 \1 \3 \4 \5 \6 \7/' "$1"
}

# A reject without the words of its explanation.
rejects_of() {
    sed -E 's/^\{"source":"([a-z]+)","line":([0-9]+),"reason":"([a-z0-9-]+)","text":"([^"\\]|\\.)*",(.*)\}$/\1 \2 \3 \5/' "$1"
}

if replay "$dir/4096" "${inputs[@]}"; then
    ok "three files replay"
else
    not_ok "three files replay" "$(cat "$dir/4096/stderr")"
    exit 1
fi
same "features, rules and scores are those worked out by hand" "$data/features.csv" "$dir/4096/features"
alerts_of "$dir/4096/alerts" >"$dir/alerts.txt"
same "alerts are those worked out by hand" "$data/alerts.txt" "$dir/alerts.txt"
rejects_of "$dir/4096/rejects" >"$dir/rejects.txt"
same "rejects have their line, reason and bytes" "$data/rejects.txt" "$dir/rejects.txt"

summary=$(tr '\n' ' ' <"$dir/4096/stderr")
case $summary in
*"19 records "*"13 events accepted, 2 duplicates, 4 rejects"*"1 late, 1 too late"*"1  rejected: malformed"*) ok "everything is counted" ;;
*) not_ok "everything is counted" "$summary" ;;
esac

for rows in 1 64; do
    replay "$dir/$rows" --batch $rows "${inputs[@]}" --quiet
    [ ! -s "$dir/$rows/stderr" ] || not_ok "--quiet is quiet" "$(cat "$dir/$rows/stderr")"
    for part in alerts features rejects; do
        same "batches of $rows give the same $part" "$dir/4096/$part" "$dir/$rows/$part"
    done
done

# What is left in the windows is a number of the input, not of when memory was swept.
awk 'BEGIN { for (i = 0; i < 4000; i++)
    printf "{\"t\":%.0f,\"ref\":\"s%d\",\"a\":\"X%d\",\"b\":\"A%d\"}\n", 1.7e12 + i * 20000, i, i, i }' >"$dir/silent"
for rows in 1 64 4096; do
    replay "$dir/left-$rows" --batch $rows --input "calls=$dir/silent"
    grep -o '[0-9]* entities in the windows' "$dir/left-$rows/stderr" >>"$dir/left"
done
left=$(sort "$dir/left" | uniq -c | xargs)
case $left in
"3 0 "*) not_ok "some entities are left in the windows" "$left" ;;
"3 "*) ok "entities left in the windows are the same for batches of 1, 64 and 4096 ($left)" ;;
*) not_ok "entities left in the windows are the same for batches of 1, 64 and 4096" "$left" ;;
esac

# Why a value was missing stands beside it: one record that has little, one that comes
# first, one that comes too late.
mkdir -p "$dir/causes"
cat >"$dir/causes/pack.yaml" <<'END'
pack: causes
version: 1
events:
  pay:
    fields:
      payer: { type: string, required: true, entity: line }
      payee: { type: string, entity: line }
      note: { type: string }
features:
  - { name: payer_note, event: pay, aggregate: last(note), by: payer, window: 1h }
  - { name: payee_note, event: pay, aggregate: last(note), by: payee, window: 1h }
  - { name: both, event: pay, expr: 'f.payer_note + f.payee_note' }
rules:
  - id: any
    event: pay
    when: 'has(pay.note) || has(f.payer_note) || has(f.payee_note) || has(f.both) || pay.payer != ""'
    reason: 'any'
typologies:
  - { id: any, entity: { pay: payer }, sum_over: 1h, weights: { any: 10 }, thresholds: { minor: 10 } }
END
cat >"$dir/causes/tocsin.yaml" <<'END'
pack: pack.yaml
insecure: true
sources:
  pays: { event: pay, fields: { time: { from: /t, format: epoch_ms }, payer: /a, payee: /b, note: /note } }
END
printf '%s\n' '{"t":1700000000000,"a":"A"}' '{"t":1700036000000,"a":"B","b":"B","note":"n"}' \
    '{"t":1700010000000,"a":"C","b":"C","note":"n"}' >"$dir/causes/pays"
"$TSN_BINARY" replay --config "$dir/causes/tocsin.yaml" --input "pays=$dir/causes/pays" --quiet \
    --alerts "$dir/causes/alerts" 2>"$dir/causes/stderr" || not_ok "causes replay" "$(cat "$dir/causes/stderr")"
while read -r alert; do
    grep -o '"name":"\(pay\|f\)[.][^}]*' <<<"$alert" | grep -v payer\" | sed -E 's/"name":"([^"]*)".*"state":"([a-z]*)".*/\1 \2 &/; s/ "name.*"cause":"([a-z]*)".*/ \1/; s/ "name.*//' | xargs
done <"$dir/causes/alerts" >"$dir/causes/is"
cat >"$dir/causes/expected" <<'END'
pay.note missing absent f.payer_note missing empty f.payee_note missing key f.both missing expression
pay.note value f.payer_note missing empty f.payee_note missing empty f.both missing expression
pay.note value f.payer_note missing late f.payee_note missing late f.both missing expression
END
same "an alert says why a value was missing" "$dir/causes/expected" "$dir/causes/is"

# The same with every number in quotes, and a mapping that says so; without, it is said.
mkdir -p "$dir/quoted"
for file in calls pays more; do
    sed -E 's/"(t|talk|amount|rate)":(-?[0-9.e+]+)/"\1":"\2"/g' "$data/$file.ndjson" >"$dir/quoted/$file"
done
cp "$data/pack.yaml" "$dir/quoted"
sed -E 's/(format: epoch_ms|unit: (s|major)) \}/\1, quoted: true }/; s,rate: /rate,rate: { from: /rate\, quoted: true },' \
    "$data/tocsin.yaml" >"$dir/quoted/tocsin.yaml"
quoted() { # quoted CONFIG
    "$TSN_BINARY" replay --config "$1" --alerts "$dir/quoted/alerts" --features "$dir/quoted/features" \
        --rejects "$dir/quoted/rejects" --input "calls=$dir/quoted/calls" --input "pays=$dir/quoted/pays" \
        --input "more=$dir/quoted/more" --quiet
}
quoted "$dir/quoted/tocsin.yaml"
same "numbers in quotes give the same features" "$dir/4096/features" "$dir/quoted/features"
same "numbers in quotes give the same alerts" "$dir/4096/alerts" "$dir/quoted/alerts"
quoted "$data/tocsin.yaml"
grep -q -F 'found a number in text: `quoted: true` in its mapping reads those' "$dir/quoted/rejects" ||
    not_ok "a number in quotes that nobody announced is a reject that says what to write" "$(head -3 "$dir/quoted/rejects")"
ok "a number in quotes that nobody announced is a reject that says what to write"

# Ties go to the one named first; what comes first is then another row.
replay "$dir/order" --input "pays=$data/pays.ndjson" --input "calls=$data/calls.ndjson" --quiet
order=$(cut -d, -f 1,2 "$dir/order/features" | sed -n 2,6p | tr '\n' ' ')
if [ "$order" = "calls,1 calls,3 pays,1 calls,6 pays,2 " ]; then
    ok "ties go to the input named first"
else
    not_ok "ties go to the input named first" "$order"
fi

mkdir -p "$dir/pipe"
"$TSN_BINARY" replay --config "$data/tocsin.yaml" --input "calls=$data/calls.ndjson" --input pays=- \
    --input "more=$data/more.ndjson" --features - --alerts "$dir/pipe/alerts" --quiet \
    < <(cat "$data/pays.ndjson") >"$dir/pipe/features"
same "standard input and output are files like others" "$data/features.csv" "$dir/pipe/features"
same "... and the alerts are the same" "$dir/4096/alerts" "$dir/pipe/alerts"

# Empty files: a header and nothing else.
: >"$dir/empty"
replay "$dir/none" --input "calls=$dir/empty" --input "pays=$dir/empty" --quiet
head -1 "$data/features.csv" >"$dir/header"
same "no record gives the header alone" "$dir/header" "$dir/none/features"
[ ! -s "$dir/none/alerts" ] && [ ! -s "$dir/none/rejects" ] || not_ok "no record gives no alert and no reject"

# A record longer than max_bytes is one reject; the line after it keeps its number.
{
    printf '{"t":1700000000000,"ref":"big","a":"X","b":"A","pad":"'
    head -c 20000000 /dev/zero | tr '\0' x
    printf '"}\n{"t":1700000000001,"ref":"after","a":"X","b":"A"}\n'
} >"$dir/big"
replay "$dir/long" --input "calls=$dir/big" --quiet
if grep -q -a '"line":1,"reason":"oversize"' <(cut -c 1-200 "$dir/long/rejects") &&
    grep -q '^calls,2,call,after,1700000000001,' "$dir/long/features"; then
    ok "a line of 20 MB is one reject, and the next has number 2"
else
    not_ok "a line of 20 MB is one reject, and the next has number 2" \
        "$(cut -c 1-200 "$dir/long/rejects")" "$(cat "$dir/long/features")"
fi

# A bar on a terminal; in a file, none.
awk 'BEGIN { for (i = 0; i < 300000; i++)
    printf "{\"t\":%.0f,\"ref\":\"r%d\",\"a\":\"X%d\",\"b\":\"A%d\"}\n", 1.7e12 + i * 10, i, i % 1000, i % 777
}' >"$dir/many"
if command -v script >/dev/null; then
    script -qec "'$TSN_BINARY' replay --config '$data/tocsin.yaml' --input 'calls=$dir/many' \
        --features '$dir/many.csv'" "$dir/typescript" >/dev/null </dev/null
    if grep -q -a -E 'replay: \[#+\.*\] +[0-9]+ %  [0-9]+ records, [0-9]+/s, [0-9]+ alerts' "$dir/typescript" &&
        grep -q -a '300000 events accepted' "$dir/typescript"; then
        ok "a terminal sees a bar, the rate and the alerts"
    else
        not_ok "a terminal sees a bar, the rate and the alerts" "$(tail -c 300 "$dir/typescript")"
    fi
fi
replay "$dir/plain" --input "calls=$dir/many"
if ! grep -q '#' "$dir/plain/stderr" && [ ! -s "$dir/plain/stdout" ]; then
    ok "elsewhere there are plain lines"
else
    not_ok "elsewhere there are plain lines" "$(cat "$dir/plain/stderr")"
fi

# Interrupted while its pipe is silent but open: whole lines, its own exit code.
mkfifo "$dir/endless"
"$TSN_BINARY" replay --config "$data/tocsin.yaml" --input "calls=$dir/endless" \
    --features "$dir/cut.csv" >"$dir/cut.log" 2>&1 &
replay=$!
exec 4>"$dir/endless"
for ((i = 0; i < 2000; i++)); do
    printf '{"t":%d,"ref":"r%d","a":"X","b":"A"}\n' $((1700000000000 + i)) "$i"
done >&4
kill -INT "$replay"
for ((i = 0; i < 100; i++)); do
    kill -0 "$replay" 2>/dev/null || break
    sleep 0.1
done
kill -KILL "$replay" 2>/dev/null || true
status=0
wait "$replay" 2>/dev/null || status=$?
exec 4>&-
if [ "$status" = 130 ] && grep -q '^interrupted' "$dir/cut.log" &&
    [ "$(tail -c 2 "$dir/cut.csv" | od -An -tx1)" = " 0d 0a" ]; then
    ok "an interrupt ends a replay that waits for its pipe, with whole lines (exit 130)"
else
    not_ok "an interrupt ends a replay that waits for its pipe, with whole lines (exit 130)" \
        "exit $status" "$(cat "$dir/cut.log")" "$(tail -c 60 "$dir/cut.csv")"
fi
exit $failed
