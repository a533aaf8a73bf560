# SPDX-License-Identifier: MIT
"""Each rule of the lint is shown here to find what it is there to find, and to let the good twin pass."""
import pathlib

import clang
import docs
import gates
import layers
import logs
import pytest
import words

LICENCE = "// SPDX-License-Identifier: MIT\n// What it owns.\n"


def messages(faults):
    return [fault[-1] for fault in faults]


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("http/h1.c", '#include "config/config.h"', "must not know config/"),  # siblings
        ("base/buf.c", '#include "http/h1.h"', "must not know http/"),  # upwards
        ("http/h1.c", '#include "h1.h"', "with its folder"),
        ("proxy/route.c", "#include <curl/curl.h>", "only in files like"),
        ("http/fetch.h", "#include <curl/curl.h>", "only in files like"),
        ("http/h1.c", "#  include <microhttpd.h>", "only in files like"),
        ("proxy/route.c", "#include <jansson.h>", "only in files like"),
        ("base/mem.c", "#include <sys/epoll.h>", "only in files like"),
        ("base/mem.c", "#include <zlib.h>", "a library without a door"),
        ("stray/x.c", "", "is in no layer"),
    ],
)
def test_layers_finds(name, text, why):
    assert why in "".join(messages(layers.faults_of(name, text)))


@pytest.mark.parametrize(
    "name, text",
    [
        ("token/grant.c", '#include <jansson.h>\n#include "base/buf.h"\n#include "http/fetch.h"'),
        ("http/link.c", "#include <curl/curl.h>"),
        ("main.c", '#include "cli/command.h"\n#include <stdio.h>'),
    ],
)
def test_layers_passes(name, text):
    assert messages(layers.faults_of(name, text)) == []


def function(body):
    return f"static int noun_verb(int a,\n                     int b)\n{{\n{body}}}\n"


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("src/a.c", "int a;\n", "first line must be the licence"),
        ("src/a.c", "// SPDX-License-Identifier: MIT\nint a;\n", "after the licence line"),
        ("scripts/a", "#!/bin/sh\necho\n", "first line must be the licence"),
        ("tests/unit/a.c", LICENCE + "x = strcpy (a, b);\n", "strcpy() is banned"),
        ("src/a.c", LICENCE + "x = alloca(8);\n", "alloca() is banned"),
        ("src/a.c", LICENCE + function("    ;\n" * 57), "noun_verb(): 61 lines"),
        ("src/a.c", LICENCE + function("    if (a && b)\n        a = b ? 1 : 2;\n" * 5), "16 branches"),
        ("src/a.c", LICENCE + "int x;\n" * 499, "501 lines"),
    ],
)
def test_gates_finds(name, text, why):
    assert why in "".join(messages(gates.file_faults(name, text, [])))


@pytest.mark.parametrize(
    "text",
    [
        function("    ;\n" * 56),
        function('    f("if if strcpy(x)"); // strcpy(y) && && &&\n' * 50),
        function("    switch (a) {\n" + "    case 1:\n" * 20 + "        b = 1;\n    }\n"),
        "static const struct row table[] = {\n" + "    {1},\n" * 100 + "};\n",
        "int x = file->strcpy(1);\n",
    ],
)
def test_gates_passes(text):
    assert messages(gates.file_faults("src/a.c", LICENCE + text, [])) == []


def test_gates_measures_a_function():
    (found,) = gates.functions_of(LICENCE + function("    return a;\n"))
    assert (found.name, found.first, found.lines, found.branches) == ("noun_verb", 3, 5, 1)


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("a.md", "see /ro" + "ot/notes.txt", "path of somebody's machine"),
        ("a.md", "see /srv/build/tree/x", "path of this machine"),
        ("a.c", "ey" + "J" + "a" * 30 + ".eyJ" + "b" * 30 + ".c", "JSON web token"),
        ("a/package-lock.json", ' "resolved": "https://registry.example"', "download address"),
        ("a.md", "one\n" + "<" * 7 + " HEAD\n", "conflict"),
    ],
)
def test_words_finds(name, text, why):
    assert why in "".join(messages(words.faults_of(name, text, "/srv/build/tree/")))


@pytest.mark.parametrize("root, path", [("/data/x/tree", "/data/x/"), ("/tmp/tree", "/tmp/tree/"), ("/w/tree", "/w/")])
def test_words_knows_where_it_is(root, path):
    assert words.workplace(pathlib.PurePath(root)) == path


def test_words_passes():
    assert messages(words.faults_of("a.md", "/etc/bearerd, /run/bearerd, eyJ0", "/srv/build/tree/")) == []


@pytest.fixture
def tree(tmp_path):
    """A tree with one end-to-end test, two unit tests of which one runs, and a source."""
    for name, text in {
        "tests/e2e/test_a.py": "def test_there(start):\n    pass\n\n\ndef helper_test_x():\n    pass\n",
        "tests/unit/test_route.c": "static void test_match(void **s)\n\n{test_match}\nstatic void test_idle(void **s)",
        "src/proxy/route.c": "",
        "docs/a.md": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return docs.Tree(tmp_path)


@pytest.mark.parametrize(
    "text, why",
    [
        ("shown by `test_gone`", "no end-to-end test test_gone"),
        ("`test_there`, `test_x`", "no end-to-end test test_x"),
        ("`route/test_other`", "no unit test"),
        ("`route/test_idle`", "no unit test"),  # is not among those that run
        ("`trie/test_match`", "no unit test"),
        ("`proxy/trie.c`", "there is no proxy/trie.c"),
        ("`tests/e2e/kit/x`", "there is no"),
        ("see [b](b.md#part)", "leads nowhere"),
    ],
)
def test_docs_finds(tree, text, why):
    assert why in "".join(messages(docs.faults_of(tree.root / "docs/a.md", text, tree)))


@pytest.mark.parametrize(
    "text",
    ["`test_there` `route/test_match`", "`proxy/route.c`, `proxy/*.c`", "`/etc/a/b.ini` `x/y`", "[b](../src), [c](https://x/y)"],
)
def test_docs_passes(tree, text):
    assert messages(docs.faults_of(tree.root / "docs/a.md", text, tree)) == []


def test_clang_format_finds_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(clang, "ROOT", tmp_path)
    (tmp_path / ".clang-format").write_text("BasedOnStyle: LLVM\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text("int a;\n")
    assert clang.format_check()
    (tmp_path / "src/a.c").write_text("int   a;\n")
    assert not clang.format_check()


def test_clang_tidy_finds_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(clang, "ROOT", tmp_path)
    (tmp_path / ".clang-tidy").write_text("Checks: '-*,bugprone-*'\nWarningsAsErrors: '*'\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "build/compile_commands.json").write_text(
        f'[{{"directory": "{tmp_path}", "file": "src/a.c", "command": "cc -c src/a.c"}}]'
    )
    (tmp_path / "src/a.c").write_text("int f(int a)\n{\n    return a;\n}\n")
    assert clang.tidy_check(tmp_path / "build")
    (tmp_path / "src/a.c").write_text(
        "int f(int a)\n{\n    if (a)\n        return a;\n    else\n        return a;\n}\n"
    )
    assert not clang.tidy_check(tmp_path / "build")


PAGE = "| `a.b` | info, warn | `x` `y` | when |\n| `c` | error | | when |\n"
SOURCE = 'log_info("a.b", F_TEXT("x", ")")); log_warn("a.b", F_NUM("y", f(1))); log_error("c");'


def test_logs_passes():
    assert list(logs.faults_of({"a.c": SOURCE}, PAGE)) == []


@pytest.mark.parametrize(
    "source, page, why",
    [
        (SOURCE + 'log_debug("d", F_NUM("n", 1));', PAGE, "a row for it: | `d` | debug | `n` |"),
        (SOURCE, PAGE + "| `d` | debug | | when |\n", "no source has the event d"),
        (SOURCE.replace('"x"', '"z"'), PAGE, "a.b also has the field z"),
        (SOURCE.replace('"x"', '"z"'), PAGE, "a.b has no field x"),
        (SOURCE.replace("log_warn", "log_error"), PAGE, "a.b also has the level error"),
        (SOURCE.replace('"c"', "name"), PAGE, "are literals"),
        (SOURCE.replace('F_TEXT("x"', "F_TEXT(name"), PAGE, "are literals"),
    ],
)
def test_logs_finds(source, page, why):
    assert why in "\n".join(logs.faults_of({"a.c": source}, page))
