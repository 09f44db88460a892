#!/usr/bin/env bash
# dev: what the entry for people says to what it does not know. Nothing is installed.
set -euo pipefail
. "$TSN_SOURCE_DIR/tests/integration/cli_lib.sh"
dev=$TSN_SOURCE_DIR/dev

says "an unknown command: usage, and its name" 1 "$(printf '%s\n' 'usage: ./dev COMMAND' "there is no command 'biuld'")" "$dev" biuld
says "an unknown part of the tests: the parts" 1 "there is no test part 'units'; the parts are: compilers house unit" "$dev" test units
says "an unknown group of packages: the groups" 1 \
    "there is no group 'all' of packages; the groups are: build demo test$" "$dev" packages build all
says "no group of packages: the groups" 1 'packages of which groups\? There are: build demo test$' "$dev" packages
says "an unknown benchmark: how to list them" 1 "there is no benchmark 'speed'; './dev bench' lists them" "$dev" bench speed
says "a number that is none: an example" 1 '--rounds needs a number, as in: ./dev test kill --rounds 100' "$dev" test kill --rounds many
exit $failed
