#!/usr/bin/env bash
# Prints line and function coverage of src/ from an instrumented build whose tests have run, folder by folder.
#   tools/coverage.sh <build folder>
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
lcov --quiet --capture --directory "$build" --base-directory . --output-file "$build/all.info" --no-external \
    --directory "$PWD" 2>/dev/null || lcov --quiet --capture --directory "$build" --output-file "$build/all.info"
lcov --quiet --extract "$build/all.info" "$PWD/src/*" --output-file "$build/src.info"
awk -F'[:,]' -v root="$PWD/src/" '
    /^SF:/ { file = substr($0, 4); sub(root, "", file); split(file, part, "/"); folder = part[1] }
    /^DA:/ { lines[folder]++; total++; if ($3 > 0) { hit[folder]++; covered++ } }
    END {
        for (f in lines)
            printf "%-8s %5.1f %% of %5d lines\n", f, 100 * hit[f] / lines[f], lines[f] | "sort"
        close("sort")
        printf "%-8s %5.1f %% of %5d lines\n", "all", total ? 100 * covered / total : 0, total
        exit total == 0
    }' "$build/src.info"
