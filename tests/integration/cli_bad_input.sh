#!/usr/bin/env bash
# What people get wrong on the command line, and what they are told: where, what, why, what
# to write instead, and the exit code of the README. Servers are another test's (run_refusals),
# except for what the commands beside `run` say about them.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/cli_lib.sh"
tocsin=$TSN_BINARY
data=$TSN_SOURCE_DIR/tests/golden/replay
calls=calls=$data/calls.ndjson
cd "$dir"
cp "$data/pack.yaml" .

# config SCRIPT [FILE]: the sound configuration, edited by sed.
config() { sed "$1" "$data/tocsin.yaml" >"${2:-c.yaml}"; }

# refused NAME EXIT PATTERN SCRIPT: what replay says about a configuration.
refused() {
    config "$4"
    says "$1" "$2" "$3" "$tocsin" replay --config c.yaml --input "$calls"
}

# ---- arguments -----------------------------------------------------------------------
says "no command: usage" 2 'usage: tocsin COMMAND' "$tocsin"
says "an unknown command has its nearest name" 2 "no command 'reply'; did you mean 'replay'" "$tocsin" reply
for command in run topics; do
    says "$command without a configuration" 2 "tocsin $command: --config FILE is missing" "$tocsin" $command
    says "$command with an unknown option" 2 "no option --frob" "$tocsin" $command --frob x
done
says "check without a pack" 2 'usage: tocsin check' "$tocsin" check
says "eval with a wrong number of columns" 2 "cannot use '0'" "$tocsin" eval --columns 0
says "simulate without a folder" 2 'write --out DIR' "$tocsin" simulate
says "simulate with a wrong number" 2 "lines is '-3'; write a whole number from" "$tocsin" simulate --out x --lines -3
says "demo with a wrong number" 2 "seconds is '0'; write a whole number from" "$tocsin" demo --seconds 0
config ''
says "replay without a configuration" 2 'write --config FILE' "$tocsin" replay --input "$calls"
says "replay without records" 2 'write --input SOURCE=FILE' "$tocsin" replay --config c.yaml
says "an input without its source" 2 "input is 'calls'; write SOURCE=FILE" "$tocsin" replay --config c.yaml --input calls
says "an unknown option" 2 "unrecognized option '--frob'" "$tocsin" replay --config c.yaml --input "$calls" --frob
says "standard input twice" 2 'only one input can be standard input' \
    "$tocsin" replay --config c.yaml --input calls=- --input pays=-
says "standard output twice" 2 'only one output can be standard output' \
    "$tocsin" replay --config c.yaml --input "$calls" --alerts - --rejects -
says "a batch of nothing" 2 'write a number from 1 to 65536' "$tocsin" replay --config c.yaml --input "$calls" --batch 0
says "files beside manifests" 2 '--input: no such option beside --manifests' \
    "$tocsin" replay --config c.yaml --manifests --input "$calls"
for command in run topics check replay eval simulate demo broker; do
    says "$command --help" 0 "usage: tocsin $command" "$tocsin" $command --help
done

# ---- files ---------------------------------------------------------------------------
for command in "run" "topics" "replay --input $calls" "replay --manifests"; do
    # shellcheck disable=SC2086
    says "${command%% -*}: a configuration that is not there" 3 \
        'nowhere.yaml: error: the configuration cannot be read: there is no such file' \
        "$tocsin" $command --config nowhere.yaml
done
says "an input that is not there" 3 "input 'nowhere.ndjson' cannot be opened: No such file" \
    "$tocsin" replay --config c.yaml --input calls=nowhere.ndjson
says "an input that is a folder" 3 "input '.' is a folder; name a file of lines" \
    "$tocsin" replay --config c.yaml --input calls=.
says "an unknown source has its nearest name" 3 "$(printf '%s\n' "c.yaml: error: there is no source 'cals'" "did you mean 'calls'")" \
    "$tocsin" replay --config c.yaml --input "cals=$data/calls.ndjson"
echo kept >earlier
says "an unknown source beside an output" 3 "there is no source 'cals'" \
    "$tocsin" replay --config c.yaml --input "cals=$data/calls.ndjson" --alerts earlier
says "a missing input beside an output" 3 "input 'nowhere.ndjson' cannot be opened" \
    "$tocsin" replay --config c.yaml --input calls=nowhere.ndjson --alerts earlier
[ "$(cat earlier)" = kept ] && ok "... which keeps what it held" || not_ok "... which keeps what it held" "$(cat earlier)"
says "an output in no folder" 3 "output 'no/such' cannot be written: No such file" \
    "$tocsin" replay --config c.yaml --input "$calls" --alerts no/such
says "a full disk" 6 'the alerts cannot be written: No space left on device' \
    "$tocsin" replay --config c.yaml --input "$calls" --alerts /dev/full
cp "$data/calls.ndjson" mine
ln -s mine alias
says "an output over an input" 2 "'alias' is an input already" \
    "$tocsin" replay --config c.yaml --input calls=mine --alerts alias
same "... which is still there" "$data/calls.ndjson" mine
says "two outputs in one file" 2 "'out' is another output already" \
    "$tocsin" replay --config c.yaml --input "$calls" --alerts out --rejects out

# ---- configuration -------------------------------------------------------------------
refused "an unknown key has its place and its nearest name" 3 \
    "c.yaml:6:11: error: unknown key of 'engine': 'latenes'; did you mean 'lateness'" 's/lateness: 10m/latenes: 10m/'
refused "an unknown key at the top" 3 \
    "c.yaml:1:1: error: unknown key of the configuration: 'instnce'; did you mean 'instance'" 's/^instance:/instnce:/'
refused "a required field that no mapping names" 3 \
    "c.yaml:8:3: error: source 'calls' says nothing about the required field 'caller'" '/^      caller:/d'
refused "a field that the event type does not have" 3 \
    "$(printf '%s\n' "c.yaml:13:7: error: event type 'call' has no field 'callr'" ' callr: /a' "did you mean 'caller'")" 's/caller: .a/callr: \/a/'
refused "an event type that the pack does not have" 3 \
    "$(printf '%s\n' "pack 'corner' has no event type 'cal'" "did you mean 'call'")" 's/event: call$/event: cal/'
refused "a duration without its unit" 3 \
    "$(printf '%s\n' "field 'talk' is a duration: its unit must be said" 'write .unit: s')" 's/, unit: s }/ }/'
refused "a duration in money" 3 "field 'talk' is a duration: money is no unit of it" 's/unit: s }/unit: minor }/'
config 's/unit: major }/unit: s }/'
says "money in a time" 3 "field 'amount' is money: a time is no unit of it" \
    "$tocsin" replay --config c.yaml --input "pays=$data/pays.ndjson"
refused "a unit that there is not" 3 "c.yaml:15:.*unit.*parsec" 's/unit: s }/unit: parsec }/'
# shellcheck disable=SC2016
refused "an environment variable that is not set" 3 \
    "$(printf '%s\n' 'c.yaml:1:11: error: the environment variable TSN_NOBODY_SETS_THIS is not set' 'set it, or write')" \
    's/^instance: .*/instance: ${TSN_NOBODY_SETS_THIS}/'
[ "$(grep -c error: said)" = 1 ] || not_ok "... is one error" "$(cat said)"
refused "a file that is not YAML" 3 'c.yaml:40:3: error: this is not YAML' '$a\  - x'

# ---- packs ---------------------------------------------------------------------------
refused "a pack that is not there" 3 'gone.yaml: error: the pack cannot be read: there is no such file' 's/^pack: .*/pack: gone.yaml/'
says "check of a pack that is not there" 1 'gone.yaml: error: the pack cannot be read: there is no such file' "$tocsin" check gone.yaml
says "check of a folder" 1 'the pack cannot be read: it is a folder' "$tocsin" check .
sed -e 's/by: callee/by: calle/' -e 's/sum(amount)/sum(amuont)/' -e 's/window: 10m/window: 10/' \
    -e "s/f.calls_10m >= 1/f.calls_1m >= 1/" -e 's/fresh-payee: 20/fresh-paye: 20/' "$data/pack.yaml" >bad.yaml
says "check says all that is wrong with a pack, with places and nearest names" 1 "$(printf '%s\n' \
    "bad.yaml:25:[0-9]+: error: unknown field of call: 'calle'; did you mean 'caller'" \
    "bad.yaml:25:[0-9]+: error: 'window' must be a duration, not '10'" \
    "bad.yaml:26:[0-9]+: error: unknown field of pay: 'amuont'; did you mean 'amount'" \
    "bad.yaml:37:[0-9]+: error: .*calls_1m" \
    "bad.yaml:44:[0-9]+: error: unknown rule 'fresh-paye'; did you mean 'fresh-payee'" \
    '^ +\^$' \
    'bad.yaml: refused, [0-9]+ errors')" "$tocsin" check bad.yaml
says "one bad pack among sound ones" 1 'bad.yaml: refused' "$tocsin" check pack.yaml bad.yaml
says "a sound pack, in sentences" 0 "$(printf '%s\n' 'pack corner, version 1' 'f.calls_10m +count')" "$tocsin" check pack.yaml
says "... and quietly" 0 '' "$tocsin" check --quiet "$TSN_SOURCE_DIR/rules/packs/terminal/terminal.yaml"
[ ! -s said ] || not_ok "--quiet says nothing about a sound pack" "$(cat said)"
sed "s/f.calls_10m >= 1/f.calls_10m >= 1 \&\& pay.amount \/ f.calls_10m > 2/" "$data/pack.yaml" >odd.yaml
says "a warning has its place and refuses nothing" 0 "$(printf '%s\n' \
    'odd.yaml:[0-9]+:[0-9]+: warning: an int divided by an int drops the fraction' '^ +\^$' 'pack corner')" "$tocsin" check odd.yaml
says "... but under --strict" 1 'odd.yaml: refused, [0-9]+ warnings? and --strict' "$tocsin" check --strict odd.yaml
says "check --portable says what standard CEL does not have" 0 \
    'terminal.yaml:[0-9]+:[0-9]+: warning: not standard CEL: coalesce\(\) is tocsin.s own' \
    "$tocsin" check --portable "$TSN_SOURCE_DIR/rules/packs/terminal/terminal.yaml"
refused "a pack with errors stops a replay as well" 3 "bad.yaml:25:.*calle" 's/^pack: .*/pack: bad.yaml/'
mkdir -p parts
sed -n '1,/^events:/{/^events:/!p}' "$data/pack.yaml" >split.yaml
sed -n '/^events:/,$p' "$data/pack.yaml" >parts/body.yaml
echo 'imports: [parts/body.yaml]' >>split.yaml
says "a pack in two files is the pack" 0 "$("$tocsin" check pack.yaml 2>/dev/null | head -1)" "$tocsin" check split.yaml
sed -i 's/by: callee/by: calle/' parts/body.yaml
says "an error in an imported file has that file's place" 1 \
    "parts/body.yaml:[0-9]+:[0-9]+: error: unknown field of call: 'calle'; did you mean 'caller'" "$tocsin" check split.yaml
echo 'imports: [../split.yaml]' >>parts/body.yaml
says "files that import each other" 1 \
    "parts/body.yaml:[0-9]+:11: error: 'split.yaml' imports itself: split.yaml -> parts/body.yaml -> split.yaml" \
    "$tocsin" check split.yaml
rm parts/body.yaml
says "an import that is not there" 1 \
    "split.yaml:[0-9]+:11: error: the import 'parts/body.yaml' cannot be read: there is no such file" "$tocsin" check split.yaml
refused "... stops a replay as well" 3 "the import 'parts/body.yaml' cannot be read" 's/^pack: .*/pack: split.yaml/'
head -c 1048576 /dev/zero | tr '\0' '[' >brackets.yaml
says "a mebibyte of brackets" 1 'brackets.yaml:1:17: error: nested deeper than 16 levels' "$tocsin" check brackets.yaml
{ cat "$data/pack.yaml"; head -c 1048576 /dev/zero | tr '\0' '#'; } >large.yaml
says "a pack of more than a mebibyte" 1 'large.yaml: error: the file has [0-9]+ bytes; at most 1048576 are read' "$tocsin" check large.yaml
deep=$(head -c 10000 /dev/zero | tr '\0' '(')
sed "s/f.calls_10m >= 1/$deep f.calls_10m >= 1/" "$data/pack.yaml" >deep.yaml
says "an expression nested 10,000 deep" 1 'deep.yaml:[0-9]+:[0-9]+: error: .*nested deeper than 64' "$tocsin" check deep.yaml
seq 1000000 | sed '777777s/.*/seven/' >million.csv
printf 'pack: p\nevents: { e: { fields: { n: int } } }\nlists: { l: { of: int, file: million.csv } }\n' >million.yaml
says "a list file of a million lines with one bad" 1 'million.csv:777777:1: error: line 777777 of the list file holds a value that is no whole number' \
    "$tocsin" check million.yaml
head -c 100000 /dev/urandom >noise.yaml
says "noise" 1 'noise.yaml' "$tocsin" check noise.yaml

# ---- keys ----------------------------------------------------------------------------
(umask 077 && head -c 32 /dev/zero >key)
chmod 644 key
config 's/^insecure: true/key_file: key/'
says "a key file that others may read" 3 'key file .*key has mode 0644.*chmod 600' "$tocsin" run --config c.yaml
says "... is no reason not to replay, which says what that costs" 0 \
    "$(printf '%s\n' 'has mode 0644' 'alert ids will not be')" "$tocsin" replay --config c.yaml --input "$calls"
(umask 077 && echo short >short)
config 's/^insecure: true/key_file: short/'
says "a key file of another length" 3 'short holds 6 bytes that are neither 32 raw bytes nor 64 hex.*make one with' "$tocsin" run --config c.yaml
config 's/^insecure: true/key_file: nokey/'
says "a key file that is not there" 3 'nokey: No such file or directory; make one with' "$tocsin" run --config c.yaml
config '/^insecure: true/d; s/^state: memory/state: redis/'
says "state in Redis without a key" 3 'no key_file: .*write .key_file: .*insecure: true' "$tocsin" run --config c.yaml

# ---- servers -------------------------------------------------------------------------
config '$a\start_timeout: 1s'
says "run: a broker that is down (exit 4)" 4 'bootstrap.servers: 127.0.0.1:1.*gave up after start_timeout, 1 s' "$tocsin" run --config c.yaml
says "topics: a broker that is down is waited for as long as the configuration says (exit 4)" 4 \
    'cannot list the topics .bootstrap.servers: 127.0.0.1:1.*is the broker up.*gave up after start_timeout, 1 s' "$tocsin" topics --config c.yaml
says "replay --manifests: a broker that is down (exit 4)" 4 'bootstrap.servers: 127.0.0.1:1.*is the broker up' "$tocsin" replay --config c.yaml --manifests

# ---- eval ----------------------------------------------------------------------------
# Garbage is answered line by line, in order, and ends nothing.
{
    printf 'garbage\n{"expr":3}\n[1]\n"x"\n{"expr":"1 +"}\n{"expr":"1/0"}\n\377\376\n{"expr":"1+1","bindings":7}\n'
    printf '{"expr":"x","bindings":{"x":{"type":"int","value":"zz"}}}\n\0\n'
    head -c 3000000 /dev/zero | tr '\0' '('
    printf '\n{"expr":"'
    head -c 20000 /dev/zero | tr '\0' '('
    printf '"}\n{"expr":"2+2"}\n{"expr":"2"'
} >garbage
for columns in "" "--columns 65"; do
    status=0
    # shellcheck disable=SC2086
    timeout 60 "$tocsin" eval $columns <garbage >answers 2>complaints || status=$?
    stages=$(sed -E 's/.*"stage": "([a-z]+)".*/\1/; s/.*"value": 4\}.*/four/' answers | tr '\n' ' ')
    expected="input input input input check eval input input input input input check four input "
    if [ "$status" = 0 ] && [ "$stages" = "$expected" ] && [ ! -s complaints ]; then
        ok "eval ${columns:-by row} answers garbage with an error a line"
    else
        not_ok "eval ${columns:-by row} answers garbage with an error a line" "exit $status" "$stages" "$(head -c 300 complaints)"
    fi
done
exit $failed
