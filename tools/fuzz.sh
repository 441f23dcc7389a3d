#!/usr/bin/env bash
# Runs every libFuzzer program of a build for some seconds on its corpus; fails when one finds something.
#   tools/fuzz.sh <build folder> <seconds> [jobs]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2 jobs=${3:-$(nproc)}

one() {
    local program=$1 stem=${1##*/fuzz_} found log
    found=$build/found/$stem
    log=$build/found/$stem.log
    mkdir -p "$found"
    local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1
        -artifact_prefix="$build/found/$stem-")
    [ ! -f "tests/fuzz/$stem.dict" ] || options+=(-dict="tests/fuzz/$stem.dict")
    if "$program" "${options[@]}" "$found" "tests/fuzz/corpus/$stem" >"$log" 2>&1; then
        echo "ok   $stem: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        echo "FAIL $stem: the input that shows it is in $build/found/$stem-*"
        tail -n 60 "$log"
        return 1
    fi
}
export -f one
export build seconds

mapfile -t programs < <(find "$build/tests/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort)
[ ${#programs[@]} -gt 0 ] || { echo "no fuzz programs in $build" >&2; exit 1; }
printf '%s\n' "${programs[@]}" | xargs -P "$jobs" -I{} bash -c 'one {}'
