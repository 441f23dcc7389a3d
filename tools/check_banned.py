#!/usr/bin/env python3
"""No call that writes past its end or hides its errors, no environment outside of config/, no promise for later, no path
of somebody's machine."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tree

CALLS = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|alloca|__builtin_alloca)\s*\(")
ENVIRONMENT = re.compile(r"\b(getenv|secure_getenv|environ)\b")
HANDS_OVER = "src/app/"  # main gives its environ to config/
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE = re.compile(r"(?<![\w.$}/])/(?:work|root|Users/\w+|home/\w+)/\S*")
TEXT = [".c", ".h", ".py", ".sh", ".mjs", ".js", ".md", ".txt", ".json", ".cmake", ".yml", ".html", ".css", "Makefile",
        "run"]


def check_text(name, text, problems):
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, why in [(LATER, "finish it now"), (MACHINE, "a path of one machine")]:
            match = pattern.search(line)
            if match:
                problems.append(f"{name}:{number}: {match.group()}: {why}")


def check_code(name, text, problems):
    for number, line in enumerate(tree.strip_c(text).splitlines(), 1):
        match = CALLS.search(line)
        if match:
            problems.append(f"{name}:{number}: {match.group(1)}() is banned")
        match = ENVIRONMENT.search(line)
        allowed = name.startswith("src/config/") or (name.startswith(HANDS_OVER) and match and match.group() == "environ")
        if match and name.startswith("src/") and not allowed:
            problems.append(f"{name}:{number}: {match.group(1)}: settings come from config/")


def check(root):
    problems, count = [], 0
    for path in tree.files(root, suffixes=TEXT):
        name, text = str(path.relative_to(root)), path.read_text(errors="replace")
        if name.startswith("tests/fuzz/corpus/") or name.endswith("package-lock.json"):
            continue
        count += 1
        check_text(name, text, problems)
        if path.suffix in (".c", ".h"):
            check_code(name, text, problems)
    if not count:
        problems.append("no file found: is this the right tree?")
    return problems, f"{count} files are clean"


if __name__ == "__main__":
    tree.finish("banned", *check(tree.root_from_args()))
