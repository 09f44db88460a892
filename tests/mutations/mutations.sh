#!/usr/bin/env bash
# Deliberate faults in the code of recovery: each patch is applied to a scratch copy,
# built, and the suite that its head names must fail. A patch that no longer applies or
# builds is a failure too: write it anew for the code as it is.
#
#   TSN_MUTATION=WORD  only those whose name contains it
#   TSN_MUTATION_SEEDS=n  schedules of the crash test (default 3000; CI runs 10,000)
#
# The release build without sanitizers. README.md lists what found which.
set -euo pipefail
dir=${TMPDIR:?}
here=$TSN_SOURCE_DIR/tests/mutations
copy=$dir/copy
seeds=${TSN_MUTATION_SEEDS:-3000}
failed=0

targets=()
suites=()
for patch in "$here"/*.patch; do
    suite=$(sed -n 's/^Found by: //p' "$patch")
    [[ $suite != crash ]] || suite=crash/test_run
    suites+=("$suite")
    targets+=("${suite//\//_}")
done
mapfile -t targets < <(printf '%s\n' "${targets[@]}" | sort -u)

build() {
    cmake --build "$copy/build/release" -j "${TSN_JOBS:-$(nproc)}" --target "$1" >"$dir/build.log" 2>&1
}

# The suite ends with a failed test: not with a hang, nor because it could not start.
run_suite() {
    mkdir -p "$dir/tmp"
    (
        cd "$copy"
        export TMPDIR=$dir/tmp TSN_SOURCE_DIR=$copy TSN_BINARY=$copy/build/tocsin
        TSN_SEEDS=$seeds TSN_POINT_STEP=8 timeout 600 "build/release/tests/$1"
    ) >"$dir/suite.log" 2>&1
}

mkdir -p "$copy"
(cd "$TSN_SOURCE_DIR" && git ls-files -z | xargs -0 cp --parents -t "$copy")
git init -q "$copy"
(cd "$copy" && cmake --preset release >"$dir/cmake.log" 2>&1)
for target in "${targets[@]}"; do
    build "$target" || { tail -20 "$dir/build.log"; exit 1; }
done
for suite in $(printf '%s\n' "${suites[@]}" | sort -u); do
    if run_suite "$suite"; then
        echo "ok - without a fault $suite passes"
    else
        echo "not ok - without a fault $suite passes"
        tail -5 "$dir/suite.log"
        exit 1
    fi
done

for patch in "$here"/*.patch; do
    name=$(basename "$patch" .patch)
    [[ $name == *${TSN_MUTATION:-}* ]] || continue
    suite=$(sed -n 's/^Found by: //p' "$patch")
    [[ $suite != crash ]] || suite=crash/test_run
    fault=$(sed -n 's/^Fault: //p' "$patch")
    why=
    if ! git -C "$copy" apply "$patch" 2>"$dir/apply.log"; then
        why="the patch does not apply: $(head -1 "$dir/apply.log")"
    elif ! build "${suite//\//_}"; then
        why="it does not build: $(grep -m 1 'error' "$dir/build.log" || true)"
        git -C "$copy" apply -R "$patch"
    else
        ! run_suite "$suite" || why="$suite passes with it"
        grep -q -a -E 'FAILED|not ok [0-9]' "$dir/suite.log" || why=${why:-"$suite did not say what failed"}
        git -C "$copy" apply -R "$patch"
    fi
    if [ -z "$why" ]; then
        echo "ok - $name is found"
        echo "#   $fault"
        echo "#   $suite: $(grep -a -m 1 -E 'seed [0-9]+:|crash at point|\[ +ERROR +\] ---' "$dir/suite.log" | cut -c 1-200)"
    else
        echo "not ok - $name is found: $why"
        echo "#   $fault"
        failed=1
    fi
done
exit $failed
