# Sourced by the tests of the command line: what is printed and how it ends.
# (No test by itself: it is not executable.)

dir=${TMPDIR:?}
failed=0

ok() { echo "ok - $1"; }
# Goes on: one wrong message hides no other.
not_ok() {
    echo "not ok - $1"
    shift
    printf '# %s\n' "$@"
    failed=1
}

# says NAME EXIT PATTERN COMMAND [ARGUMENT ...]: the command ends with EXIT, and what it
# printed (in $dir/said) has PATTERN (ERE) in it, or each of several lines of patterns.
# $input, if set, is its standard input.
says() {
    local name=$1 code=$2 patterns=$3 status=0 pattern
    shift 3
    timeout 60 "$@" >"$dir/said" 2>&1 <"${input:-/dev/null}" || status=$?
    if [ "$status" != "$code" ]; then
        not_ok "$name" "exit $status, not $code" "$(tail -4 "$dir/said")"
        return
    fi
    while IFS= read -r pattern; do
        if [ -n "$pattern" ] && ! grep -q -E -e "$pattern" "$dir/said"; then
            not_ok "$name" "nothing says: $pattern" "$(tail -6 "$dir/said")"
            return
        fi
    done <<<"$patterns"
    ok "$name"
}

# same NAME FILE FILE
same() {
    if cmp "$2" "$3" >"$dir/cmp" 2>&1; then
        ok "$1"
    else
        not_ok "$1" "$(cat "$dir/cmp")" "$(diff "$2" "$3" | head -10)"
    fi
}
