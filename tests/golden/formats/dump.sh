#!/usr/bin/env bash
# bash dump.sh SOCKET: what a Redis holds, as commands for redis-cli: how the checkpoints in
# this folder were written (TSN_WRITE_FIXTURES=1, tests/integration/test_checkpoint_format.c).
set -euo pipefail
ask() { redis-cli -s "$socket" --no-raw "$@"; }
socket=$1
redis-cli -s "$socket" --scan | LC_ALL=C sort | while IFS= read -r key; do
    case $(redis-cli -s "$socket" type "$key") in
    hash) echo "HSET \"$key\" $(ask hgetall "$key" | sed -E 's/^ *[0-9]+\) //' | paste -s -d ' ')" ;;
    string) echo "SET \"$key\" $(ask get "$key")" ;;
    *) exit 1 ;;
    esac
done
