#!/usr/bin/env bash
# symbols: what the compiled layers call and export. The includes say what a file may
# know (tests/unit/house); this says what it does.
set -euo pipefail
cd "${TSN_SOURCE_DIR:-$(dirname "$0")/../..}"
libraries=$(dirname "${TSN_BINARY:-build/asan/tocsin}")
status=0

ok() { echo "ok - $1"; }
wrong() {
    echo "not ok - $1"
    sed 's/^/  /' <<<"$2"
    status=1
}

# The outside world: files, clocks, threads, randomness, sockets, log, environment.
world='stdin|stdout|stderr|fopen|fdopen|open|openat|read|write|fread|printf|puts|perror|time|clock|gettimeofday|clock_gettime|localtime|localtime_r|gmtime|tzset|getenv|rand|rand_r|random|drand48|getrandom|arc4random|pthread_create|pthread_mutex_lock|socket|connect|send|recv|sleep|usleep|nanosleep|syslog|system|popen|fork|exit|__printf_chk|setlocale'
for layer in rules engine; do
    archive=$libraries/libtsn_$layer.a
    # must.c says what went wrong and aborts: the one place that may speak; zone_file.c
    # reads the system's time zones while a pack is compiled. C++ shims
    # carry what their library's headers inline. Printing into a stream that the caller
    # gives (fprintf) is no I/O of its own.
    called=$(nm -A -u "$archive" 2>/dev/null | grep -v -E ':(must\.c\.o|zone_file\.c\.o|[a-z0-9_]+\.cc\.o):' |
        awk '{ print $NF, $1 }' | sed 's/@[^ ]*//' | grep -E "^($world) " || true)
    if [ -z "$called" ]; then
        ok "$layer calls nothing of the outside world"
    else
        wrong "$layer calls the outside world" "$called"
    fi
done

for layer in rules engine connectors; do
    foreign=$(nm -A -g --defined-only "$libraries/libtsn_$layer.a" 2>/dev/null |
        grep -v '\.cc\.o:' | awk '$NF !~ /^(tsn_|__odr_asan|_?__asan|__sanitizer)/ { print $NF, $1 }' || true)
    if [ -z "$foreign" ]; then
        ok "$layer exports only tsn_ names"
    else
        wrong "$layer exports names without tsn_" "$foreign"
    fi
done
exit $status
