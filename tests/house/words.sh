#!/usr/bin/env bash
# words: what a fraud is about comes from packs. No word of telephones or banks may
# stand in the code of engine/ or rules/ (comments may give examples).
set -euo pipefail
cd "${TSN_SOURCE_DIR:-$(dirname "$0")/../..}"

words='msisdn|imsi|imei|iban|cdr|caller|callee|payer|payee|creditor|debtor|wangiri|e164|telecom|carrier|bank|handset|subscriber|transfer'
status=0
while read -r file; do
    # Comments go, line numbers stay; a string or an identifier may hold the word.
    found=$(gcc -fpreprocessed -dD -E -P -x c -w "$file" 2>/dev/null |
        grep -n -i -E "(^|[^a-z])($words)s?([^a-z]|\$)" || true)
    if [ -n "$found" ]; then
        echo "not ok - $file speaks of one trade:"
        printf '%s\n' "${found//$'\n'/$'\n'}" | sed 's/^/  /'
        status=1
    fi
done < <(find engine rules -name '*.[ch]' -o -name '*.cc' | grep -v -E '^rules/(packs/|expr/function\.c$)' | sort)
[ $status != 0 ] || echo "ok - engine and rules know no trade"
exit $status
