#!/usr/bin/env bash
# clang-tidy over src/ with a build folder's compile database; prints only what is wrong.
#   tools/lint.sh <build folder> [jobs]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 jobs=${2:-$(nproc)}
[ -f "$build/compile_commands.json" ] || { echo "no compile database in $build" >&2; exit 1; }
mapfile -t files < <(find src -name '*.c' | sort)
status=0
printf '%s\n' "${files[@]}" | xargs -P "$jobs" -n 1 clang-tidy -p "$build" --quiet 2>"$build/lint.log" || status=$?
if [ $status -ne 0 ]; then
    grep -vE '^[0-9]+ warnings?( and [0-9]+ errors?)? generated|^Suppressed|^Use -' "$build/lint.log" >&2 || true
    exit 1
fi
echo "lint: ${#files[@]} files clean"
