"""What the checks share: the files of the tree, C text without comments and strings, and how a check ends."""
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = {".git", "node_modules", "data", "found", "__pycache__", "coverage", "out"}


def root_from_args():
    """The tree to check: the first argument, or the one this file lies in."""
    return Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT


def files(root, *folders, suffixes=None):
    """Paths below the folders (the whole tree without any), sorted, without build and vendor folders."""
    for top in [root / folder for folder in folders] or [root]:
        for folder, names, found in os.walk(top):
            names[:] = sorted(n for n in names if n not in NOT_OURS and n != "build" and not n.startswith("build-"))
            for name in sorted(found):
                if suffixes is None or name.endswith(tuple(suffixes)):
                    yield Path(folder) / name


def strip_c(text):
    """Comments and the insides of literals as spaces; line numbers stay."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def finish(name, problems, summary):
    """Prints the problems or the summary and leaves with the exit status."""
    for problem in problems:
        print(f"{name}: {problem}", file=sys.stderr)
    if not problems:
        print(f"{name}: {summary}")
    sys.exit(1 if problems else 0)
