#!/usr/bin/env python3
"""Functions of at most 100 lines, files of at most 800 (aim: 60 and 600), measured by universal-ctags."""
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tree

FUNCTION_MAX, FILE_MAX = 100, 800


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values):
    return "/".join(str(percentile(values, share)) for share in (0.50, 0.95, 0.99)) + f"/{max(values)}"


def functions(paths):
    """(file, line, name, lines) of every function."""
    output = subprocess.run(
        ["ctags", "-x", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f", "--_xformat=%{line} %{end} %N %F", "-L", "-"],
        input="\n".join(map(str, paths)), capture_output=True, text=True, check=True).stdout
    for row in output.splitlines():
        first, last, name, path = row.split(" ", 3)
        yield path, int(first), name, int(last) - int(first) + 1


def check(root):
    paths = list(tree.files(root, "src", suffixes=[".c", ".h"]))
    problems, file_lengths, function_lengths = [], [], []
    for path in paths:
        length = len(path.read_text(errors="replace").splitlines())
        if path.suffix == ".c":
            file_lengths.append(length)
        if length > FILE_MAX:
            problems.append(f"{path.relative_to(root)}: {length} lines, at most {FILE_MAX}")
    for path, line, name, length in functions(paths) if paths else ():
        function_lengths.append(length)
        if length > FUNCTION_MAX:
            problems.append(f"{Path(path).relative_to(root)}:{line}: {name} has {length} lines, at most {FUNCTION_MAX}")
    if not function_lengths or not file_lengths:
        return ["no function found: is this the right tree?"], ""
    long = 100 * sum(n > 60 for n in function_lengths) / len(function_lengths)
    return problems, (f"{len(function_lengths)} functions p50/p95/p99/max {spread(function_lengths)} lines, "
                      f"{long:.1f} % over 60; {len(file_lengths)} .c files {spread(file_lengths)}")


if __name__ == "__main__":
    tree.finish("lengths", *check(tree.root_from_args()))
