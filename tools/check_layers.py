#!/usr/bin/env python3
"""Holds every #include of src/ to the layers: to a lower level or the own folder only, allowed by the module's DEPS, no
cycle; drivers are named by app/ alone; *_driver.h and *_impl.h stay in their folder."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tree

# docs/ARCHITECTURE.md explains them. Folders of one level never see each other.
LEVELS = [
    ["base"],
    ["loop", "wire", "auth", "config"],
    ["net"],
    ["server", "client"],
    ["store", "llm", "speech", "iot", "rtc", "cluster"],
    ["chat"],
    ["api"],
    ["app"],
]
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}
HAVE_DRIVERS = set(LEVELS[4])
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


def declared_deps(root):
    """What each folder's CMakeLists.txt says it uses: {folder: set of folders}."""
    deps = {}
    for path in sorted((root / "src").glob("*/CMakeLists.txt")):
        text = re.sub(r"#[^\n]*", "", path.read_text())
        module = re.search(r"\bmodule\(\s*(\S+?)(?:\s+DEPS\s+([^)]*?))?(?:\s+LIBS\s[^)]*)?\)", text)
        program = re.search(r"target_link_libraries\(\s*\S+\s+PRIVATE\s+([^)]*)\)", text)
        words = (module.group(2) or "") if module else program.group(1) if program else ""
        deps[path.parent.name] = {word for word in words.split() if word in LEVEL}
    return deps


def reachable(deps, folder):
    seen, todo = set(), [folder]
    while todo:
        for dep in deps.get(todo.pop(), ()):
            if dep not in seen:
                seen.add(dep)
                todo.append(dep)
    return seen


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_include(root, deps, path, target):
    """What is wrong with one include of a file, both relative to src/; None when nothing is."""
    folder, other = path.parts[0], target.parts[0]
    if len(target.parts) < 2 or ".." in target.parts:
        return f'"{target}" must be spelled from src/'
    if not (root / "src" / target).is_file():
        return f'"{target}" does not exist'
    if len(target.parts) > 2 and other in HAVE_DRIVERS and folder != "app" and path.parts[:2] != target.parts[:2]:
        return f'"{target}" names a driver: only app/ may'
    if folder == other:
        return None
    if target.stem.endswith(("_driver", "_impl")):
        return f'"{target}" is private to {other}/'
    if LEVEL[folder] <= LEVEL.get(other, -1):
        return f"{folder}/ (level {LEVEL[folder]}) may not include {other}/ (level {LEVEL[other]})"
    if other not in reachable(deps, folder):
        return f"{other}/ is not among the DEPS of {folder}/"
    return None


def find_cycle(graph):
    """One cycle of the graph as a list, or None. Iterative: include chains may be long."""
    state = {}
    for start in sorted(graph):
        if start in state:
            continue
        stack = [(start, iter(sorted(graph[start])))]
        state[start] = "open"
        while stack:
            node, rest = stack[-1]
            following = next((n for n in rest if n in graph), None)
            if following is None:
                state[node] = "done"
                stack.pop()
            elif state.get(following) == "open":
                trail = [n for n, _ in stack]
                return trail[trail.index(following):] + [following]
            elif following not in state:
                state[following] = "open"
                stack.append((following, iter(sorted(graph[following]))))
    return None


def check(root):
    src, problems, edges = root / "src", [], {}
    deps = declared_deps(root)
    count = 0
    for folder in sorted(p.name for p in src.iterdir() if p.is_dir()):
        if folder not in LEVEL:
            problems.append(f"src/{folder}/ has no level: add it to LEVELS and to docs/ARCHITECTURE.md")
        if folder not in deps:
            problems.append(f"src/{folder}/ has no CMakeLists.txt")
    for folder, wanted in sorted(deps.items()):
        for dep in sorted(wanted):
            if LEVEL[dep] >= LEVEL.get(folder, -1):
                problems.append(f"src/{folder}/CMakeLists.txt: DEPS names {dep}/, which is no lower level")
    for path in tree.files(root, "src", suffixes=[".c", ".h"]):
        relative, text = path.relative_to(src), path.read_text(errors="replace")
        edges[relative] = set()
        if relative.parts[0] not in LEVEL:
            continue
        for match in INCLUDE.finditer(text):
            count += 1
            target = Path(match.group(1))
            edges[relative].add(target)
            wrong = check_include(root, deps, relative, target)
            if wrong:
                problems.append(f"src/{relative}:{line_of(text, match.start())}: {wrong}")
    for name, graph in [("DEPS", deps), ("#include", edges)]:
        cycle = find_cycle(graph)
        if cycle:
            problems.append(f"{name} cycle: {' -> '.join(str(n) for n in cycle)}")
    if not count:
        problems.append("no #include found: is this the right tree?")
    return problems, f"{count} includes of {len(edges)} files point downwards"


if __name__ == "__main__":
    tree.finish("layers", *check(tree.root_from_args()))
