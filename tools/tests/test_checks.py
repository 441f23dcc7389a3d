"""Each check passes a good tree and fails on every bad one: a check that cannot fail checks nothing."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent

GOOD = {
    "src/base/CMakeLists.txt": "module(base LIBS m)\n",
    "src/base/a.h": "/* sprintf( in a comment is fine */\nint a(void);\n",
    "src/base/a.c": '#include "base/a.h"\n\nint a(void)\n{\n    return 1;\n}\n',
    "src/loop/CMakeLists.txt": "module(loop DEPS base LIBS PkgConfig::UV)\n",
    "src/loop/loop.h": '#include "base/a.h"\n',
    "src/loop/loop_impl.h": '#include "loop/loop.h"\n',
    "src/loop/loop.c": '#include "loop/loop_impl.h"\n',
    "src/wire/CMakeLists.txt": "module(wire DEPS base)\n",
    "src/wire/w.h": "",
    "src/store/CMakeLists.txt": "module(store DEPS loop)\n",
    "src/store/store.h": '#include "base/a.h"\n',
    "src/store/store_driver.h": '#include "store/store.h"\n',
    "src/store/sqlite/sqlite.h": '#include "store/store_driver.h"\n',
    "src/store/sqlite/sqlite.c": '#include "store/sqlite/sqlite.h"\n',
    "src/app/CMakeLists.txt": "add_executable(parley main.c)\ntarget_link_libraries(parley PRIVATE base store)\n",
    "src/app/main.c": '#include "store/sqlite/sqlite.h"\nconst char *s = "atoi(";\n',
    "src/config/CMakeLists.txt": "module(config DEPS base)\n",
    "src/config/env.c": "char *e(void)\n{\n    return getenv(0);\n}\n",
    "docs/ARCHITECTURE.md": "# Map\n\n## The `folders`\n\nbase/ loop/ wire/ store/ app/ config/, see [up](../README.md#why-parley)\n",
    "docs/DEPENDENCIES.md": "[map](ARCHITECTURE.md#the-folders)\n",
    "docs/CONFIGURATION.md": "",
    "README.md": "# Why parley?\n\n```\n[not a link](nowhere.md)\n```\n[site](https://example.org/x)\n",
    "CHANGELOG.md": "",
    "CONTRIBUTING.md": "",
    "SECURITY.md": "",
    "LICENSE": "",
}


def run(check, changes=None):
    """Exit status and output of a check on the good tree with some files changed (None: removed)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**GOOD, **(changes or {})}.items():
            if text is not None:
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        done = subprocess.run([sys.executable, str(TOOLS / f"check_{check}.py"), folder], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Checks(unittest.TestCase):
    def good(self, check):
        status, output = run(check)
        self.assertEqual(status, 0, output)

    def bad(self, check, name, text, says):
        status, output = run(check, {name: text})
        self.assertEqual(status, 1, f"{name} was accepted: {output}")
        self.assertIn(says, output)
        self.assertNotIn("Traceback", output)

    def test_a_good_tree_passes(self):
        for check in ("layers", "lengths", "banned", "docs"):
            self.good(check)

    def test_layers(self):
        include = '#include "{}"\n'.format
        for name, text, says in [
            ("src/base/b.c", include("loop/loop.h"), "base/ (level 0) may not include loop/ (level 1)"),
            ("src/wire/b.c", include("loop/loop.h"), "wire/ (level 1) may not include loop/ (level 1)"),
            ("src/store/b.c", include("wire/w.h"), "wire/ is not among the DEPS of store/"),
            ("src/store/b.c", include("loop/loop_impl.h"), "private to loop/"),
            ("src/app/b.c", include("store/store_driver.h"), "private to store/"),
            ("src/store/b.c", include("store/sqlite/sqlite.h"), "names a driver"),
            ("src/store/mongo/b.c", include("store/sqlite/sqlite.h"), "names a driver"),
            ("src/base/b.c", include("a.h"), "must be spelled from src/"),
            ("src/store/b.c", include("store/../base/a.h"), "must be spelled from src/"),
            ("src/base/b.c", "  #  include \"base/none.h\"\n", "does not exist"),
            ("src/loop/CMakeLists.txt", "module(loop DEPS base wire)\n", "DEPS names wire/"),
            ("src/loop/CMakeLists.txt", "module(loop DEPS base\n    store LIBS x)\n", "DEPS names store/"),
            ("src/base/a.h", include("base/b.h") + include("base/a.h"), "#include cycle: base/a.h -> base/a.h"),
            ("src/extra/x.c", include("base/a.h"), "src/extra/ has no level"),
        ]:
            self.bad("layers", name, text, says)

    def test_a_long_include_cycle_is_found(self):
        status, output = run("layers", {"src/base/a.h": '#include "base/b.h"\n', "src/base/b.h": '#include "base/c.h"\n',
                                        "src/base/c.h": '#include "base/a.h"\n'})
        self.assertEqual(status, 1)
        self.assertIn("#include cycle: base/a.h -> base/b.h -> base/c.h -> base/a.h", output)

    def test_lengths(self):
        body = "    a();\n"
        self.bad("lengths", "src/base/b.c", "int b(void)\n{\n" + body * 98 + "}\n", "b has 101 lines")
        self.bad("lengths", "src/base/b.h", "int x;\n" * 801, "801 lines")
        self.assertEqual(run("lengths", {"src/base/b.c": "int b(void)\n{\n" + body * 97 + "}\n"})[0], 0)
        self.assertEqual(run("lengths", {"src/base/b.h": "int x;\n" * 800})[0], 0)

    def test_banned(self):
        for call in ("strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "gets", "alloca"):
            self.bad("banned", "src/base/b.c", f"void b(void)\n{{\n    {call} (x);\n}}\n", f"src/base/b.c:3: {call}()")
            self.bad("banned", "tests/unit/b.c", f"int b = {call}(x);\n", f"{call}()")
        self.bad("banned", "src/base/b.c", "char *b = getenv(x);\n", "settings come from config/")
        self.bad("banned", "src/base/b.c", "extern char **environ;\n", "settings come from config/")
        for word in ("TO" + "DO", "FIX" + "ME"):
            self.bad("banned", "src/base/b.c", f"/* {word}: later */\n", word)
            self.bad("banned", "docs/x.md", f"{word} write\n", word)
        for path in ("/ro" + "ot/x", "/ho" + "me/me/y"):
            self.bad("banned", "tools/x.sh", f"cd {path}\n", "a path of one machine")
        fine = "int snprintf_like(void);\nint x = my_atoi(1) + fgets(a, b, c);\nchar *s = \"strcpy(\"; /* gets( */\n"
        self.assertEqual(run("banned", {"src/base/b.c": fine})[0], 0)

    def test_docs(self):
        self.bad("docs", "README.md", "[x](docs/none.md)\n", "README.md:1: docs/none.md does not exist")
        self.bad("docs", "README.md", "a\n\n[x]: docs/none.md\n", "README.md:3: docs/none.md does not exist")
        self.bad("docs", "docs/deep/x.md", "![pic](pic.png)\n", "pic.png does not exist")
        self.bad("docs", "CHANGELOG.md", "[x](docs/ARCHITECTURE.md#nowhere)\n", "no such heading")
        self.bad("docs", "CHANGELOG.md", "[x](#nowhere)\n", "no such heading")
        self.bad("docs", "docs/ARCHITECTURE.md", "base/ loop/ wire/ store/ app/\n", "does not name src/config/")
        self.bad("docs", "docs/ARCHITECTURE.md", None, "docs/ARCHITECTURE.md is missing")
        self.bad("docs", "LICENSE", None, "LICENSE is missing")


if __name__ == "__main__":
    unittest.main()
