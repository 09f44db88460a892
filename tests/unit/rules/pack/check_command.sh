#!/usr/bin/env bash
# check_command: `tocsin check` as people and scripts see it - what it prints where, and
# its exit codes.
set -u
tocsin=${TSN_BINARY:?}
root=${TSN_SOURCE_DIR:?}
work=${TMPDIR:?}
status=0

ok() { # name condition...
    local name=$1
    shift
    if "$@"; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        status=1
    fi
}

check() { # arguments; leaves $code, out, err
    code=0
    "$tocsin" check "$@" >"$work/out" 2>"$work/err" || code=$?
}

check "$root/rules/packs/telecom-bank.yaml"
ok 'a sound pack is exit code 0' [ "$code" = 0 ]
ok 'each feature is printed as one sentence' \
    grep -q '^  f.since_sim_swap  *time since the last line_lifecycle by msisdn where .* last 72h$' "$work/out"
ok 'what is handed out to whom is a sentence too' \
    grep -q '^  one-ring-recognised: for each of f.lines_rung_1h a hit in wangiri$' "$work/out"
ok 'a sound pack says nothing on stderr' [ ! -s "$work/err" ]

check --quiet "$root/rules/packs/telecom-bank.yaml"
ok '--quiet prints nothing of a sound pack' [ ! -s "$work/out" ]

printf 'pack: p\nevents: { e: { fields: { n: int } } }\nrules:\n  - { id: r, event: e, when: "e.m > 1", reason: x }\n' \
    >"$work/wrong.yaml"
check "$work/wrong.yaml" "$root/rules/packs/telecom-bank.yaml"
ok 'one refused pack among sound ones is exit code 1' [ "$code" = 1 ]
ok 'an error has file, line and column' grep -q "wrong.yaml:4:3[0-9]: error: " "$work/err"
ok 'the sound pack beside it is still described' grep -q '^pack telecom-bank' "$work/out"

mkdir -p "$work/packs"
printf '1\nx\n3\n' >"$work/packs/l.csv"
printf 'pack: p\nevents: { e: { fields: { n: int } } }\nlists: { l: { of: int, file: l.csv } }\n' \
    >"$work/packs/lists.yaml"
check "$work/packs/lists.yaml"
ok 'a bad line of a list file is named' grep -q '/packs/l.csv:2:1: error: line 2 of the list file' "$work/err"

check "$work/nothing.yaml"
ok 'a missing pack is exit code 1' [ "$code" = 1 ]
ok 'a missing pack is named with the reason' \
    grep -q "nothing.yaml: error: the pack cannot be read: there is no such file" "$work/err"

check "$work"
ok 'a folder is no pack' grep -q 'it is a folder' "$work/err"
check
ok 'no pack is exit code 2' [ "$code" = 2 ]
check --frob x
ok 'an unknown option is exit code 2' [ "$code" = 2 ]
check --help
ok '--help is exit code 0' [ "$code" = 0 ]
exit $status
