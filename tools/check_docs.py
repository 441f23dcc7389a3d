#!/usr/bin/env python3
"""Links of all Markdown files lead somewhere, anchors included, and docs/ARCHITECTURE.md names every folder of src/."""
import re
import sys
from pathlib import Path
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tree

FENCE = re.compile(r"^(```|~~~).*?^\1", re.S | re.M)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]\n]*\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]\n]+\]:\s*(\S+)", re.M)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.M)
REQUIRED = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "docs/ARCHITECTURE.md",
            "docs/DEPENDENCIES.md", "docs/CONFIGURATION.md"]


def prose(text):
    """Code as blanks, so that nothing in it counts as a link or a heading; line numbers stay."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())
    return CODE.sub(blank, FENCE.sub(blank, text))


def anchors(text):
    """The anchors GitHub gives the headings."""
    found = {}
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {slug if n == 0 else f"{slug}-{n}" for slug, count in found.items() for n in range(count + 1)}


def check_links(root, path, problems):
    text, count = path.read_text(errors="replace"), 0
    for match in LINK.finditer(prose(text)):
        target = unquote(match.group(1) or match.group(2))
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        count += 1
        where = f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start()) + 1}"
        name, _, anchor = target.partition("#")
        other = (root / name.lstrip("/") if name.startswith("/") else path.parent / name) if name else path
        if not other.exists():
            problems.append(f"{where}: {target} does not exist")
        elif anchor and other.suffix == ".md" and anchor not in anchors(other.read_text(errors="replace")):
            problems.append(f"{where}: {target} has no such heading")
    return count


def check(root):
    problems = [f"{name} is missing" for name in REQUIRED if not (root / name).is_file()]
    links = sum(check_links(root, path, problems) for path in tree.files(root, suffixes=[".md"]))
    architecture = root / "docs/ARCHITECTURE.md"
    text = architecture.read_text() if architecture.is_file() else ""
    folders = sorted(p.name for p in (root / "src").iterdir() if p.is_dir())
    for folder in folders if text else ():
        if not re.search(rf"(?<![\w/]){re.escape(folder)}/|src/{re.escape(folder)}\b", text):
            problems.append(f"docs/ARCHITECTURE.md does not name src/{folder}/")
    return problems, f"{links} links lead somewhere, {len(folders)} folders are on the map"


if __name__ == "__main__":
    tree.finish("docs", *check(tree.root_from_args()))
