#!/usr/bin/env bash
# format: every C file as clang-format writes it (.clang-format), scripts executable.
set -euo pipefail
cd "${TSN_SOURCE_DIR:-$(dirname "$0")/../..}"
status=0
files() { find rules engine connectors bench tests \( -name '*.[ch]' -o -name '*.cc' \) 2>/dev/null | sort || true; }

unformatted=$({ files | xargs clang-format-14 --dry-run -Werror 2>&1 || true; } |
    sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error:.*/\1/p' | sort -u)
if [ -z "$unformatted" ]; then
    echo "ok - every C file is formatted"
else
    echo "not ok - not formatted: ./dev fmt"
    sed 's/^/  /' <<<"$unformatted"
    status=1
fi

# Longer than this is a smell that needs its reason in tests/house/long-files.txt.
longest=900
long=$(files | xargs wc -l | awk -v max=$longest '$2 != "total" && $1 > max { print $2, $1 }' |
    while read -r file lines; do
        grep -q "^$file"$'\t' tests/house/long-files.txt || echo "$file: $lines lines"
    done)
if [ -z "$long" ]; then
    echo "ok - no file is longer than $longest lines without a reason"
else
    echo "not ok - files longer than $longest lines"
    sed 's/^/  /' <<<"$long"
    status=1
fi
exit $status
