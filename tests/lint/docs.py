#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the documents name must be there: tests (`test_x` of tests/e2e, `file/test_x` of tests/unit/test_file.c),
files, and what a link leads to. A promise whose test was renamed is found here."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPANS = re.compile(r"`([^`\n]+)`")
LINKS = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
E2E_TEST = re.compile(r"test_\w+")
UNIT_TEST = re.compile(r"(\w+)/(test_\w+)")
# A path from the root, from src/ or from tests/, perhaps with a * in it.
PATH = re.compile(r"(?:[\w.-]+/)+[\w.*-]*\.(?:c|h|py|md|ini|mjs|cmake|service|yaml)|tests/[\w./-]+")
# Of what the reader is to put in.
PLACEHOLDERS = {"test_NAME", "FILE/test_NAME", "tests/unit/test_FILE.c", "tests/e2e/test_x.py"}


class Tree:
    """The tests there are."""

    def __init__(self, root):
        self.root = root
        texts = (path.read_text() for path in (root / "tests/e2e").glob("test_*.py"))
        self.e2e = {name for text in texts for name in re.findall(r"^def (test_\w+)\(", text, re.M)}

    def has_unit(self, name, test):
        path = self.root / f"tests/unit/test_{name}.c"
        # Defined, and named once more where the list of those that run is.
        return path.is_file() and len(re.findall(rf"\b{test}\b", path.read_text())) >= 2

    def has_path(self, name):
        return any(any(base.glob(name)) for base in (self.root, self.root / "src", self.root / "tests"))


def fault_of(span, tree):
    """None, or what is wrong with what stands between backticks."""
    unit = UNIT_TEST.fullmatch(span)
    if span in PLACEHOLDERS:
        return None
    if E2E_TEST.fullmatch(span):
        return None if span in tree.e2e else f"there is no end-to-end test {span}"
    if unit:
        return None if tree.has_unit(*unit.groups()) else f"there is no unit test {span}"
    if PATH.fullmatch(span) and "*" not in span.split("/")[0]:
        return None if tree.has_path(span) else f"there is no {span}"
    return None


def faults_of(path, text, tree):
    for number, line in enumerate(text.splitlines(), 1):
        for span in SPANS.findall(line):
            if fault := fault_of(span, tree):
                yield number, fault
        for link in LINKS.findall(line):
            if "://" not in link and not (path.parent / link).exists():
                yield number, f"the link to {link} leads nowhere"


def main():
    tree = Tree(ROOT)
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    count = 0
    for path in paths:
        for line, what in faults_of(path, path.read_text(), tree):
            print(f"{path.relative_to(ROOT)}:{line}: {what}")
            count += 1
    print(f"docs: {len(paths)} files, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
