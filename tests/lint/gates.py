#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Size and shape of the sources: length of functions and files, branches per function, functions that C
should not have, the licence line and the comment at the top of each file.

tests/lint/allow.txt lists the exceptions, `PATH:FUNCTION MEASURE VALUE` (or `PATH MEASURE VALUE`). It may only
shrink: an entry that is not needed any more is a fault, and so is one that was not in the file when it was
first committed, or is larger than it was then."""
import argparse
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOW = "tests/lint/allow.txt"
LIMITS = {"lines": 60, "branches": 15, "file-lines": 500}
BANNED = (
    "strcpy strncpy stpcpy strcat strncat sprintf vsprintf strtok gets alloca atoi atol atoll atof scanf "
    "sscanf fscanf system popen tmpnam tempnam mktemp rand srand random setjmp longjmp gethostbyname "
    "asctime ctime gmtime localtime bcopy bzero"
).split()
BANNED_CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
# several labels on one branch of a switch count once
BRANCH = re.compile(r"\b(?:if|for|while)\b|\bcase\b[^:]*:(?:\s*case\b[^:]*:)*|&&|\|\||\?")
# comments, string and character literals: blanked, so that what they say is not taken for code
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
SCRIPTS = (".py", ".sh", ".mjs", ".cmake", ".ini")


def blanked(text):
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


class Function:
    def __init__(self, name, first, last, branches):
        self.name, self.first, self.lines, self.branches = name, first, last - first + 1, branches


def functions_of(text):
    """Relies on clang-format's shape: a function's braces, and only they and those of types and tables, stand in
    the first column."""
    lines = blanked(text).split("\n")
    open_at = None
    for number, line in enumerate(lines):
        if line.startswith("{"):
            open_at = number
        elif line.startswith("}") and open_at is not None:
            first = open_at
            while first > 0 and lines[first - 1].strip() and not re.search(r"[;}]\s*$|^#", lines[first - 1]):
                first -= 1
            head = " ".join(lines[first:open_at])
            name = re.search(r"(\w+)\s*\(", head)
            body = "\n".join(lines[open_at : number + 1])
            yield Function(name.group(1) if name else "?", first + 1, number + 1, 1 + len(BRANCH.findall(body)))
            open_at = None


def top_faults(name, text):
    lines = text.split("\n")
    if lines[0].startswith("#!"):
        lines = lines[1:]
    if not re.match(r"(//|#|;) SPDX-License-Identifier: MIT$", lines[0]):
        yield "first line must be the licence: SPDX-License-Identifier: MIT"
    elif len(lines) < 2 or not re.match(r'(//|#|;|"""|/\*)', lines[1]):
        yield "after the licence line: what the file owns, what it does not know, its invariant"


def file_faults(name, text, lengths):
    """Yields (key for the allow list or None, line, measure, value or None, message)."""
    for message in top_faults(name, text):
        yield None, 1, "top", None, message
    if not name.endswith((".c", ".h")):
        return
    code = blanked(text)
    for match in BANNED_CALL.finditer(code):
        yield None, code.count("\n", 0, match.start()) + 1, "banned", None, f"{match.group(1)}() is banned"
    if not name.startswith("src/"):
        return
    count = text.count("\n")
    if count > LIMITS["file-lines"]:
        yield name, 1, "file-lines", count, f"{count} lines, at most {LIMITS['file-lines']}"
    for function in functions_of(text):
        lengths.append(function.lines)
        for measure in ("lines", "branches"):
            value = getattr(function, measure)
            if value > LIMITS[measure]:
                message = f"{function.name}(): {value} {measure}, at most {LIMITS[measure]}"
                yield f"{name}:{function.name}", function.first, measure, value, message


def allow_parse(text):
    entries = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            key, measure, value = line.split()
            entries[key, measure] = int(value)
    return entries


def git(*args):
    run = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)
    return run.stdout if run.returncode == 0 else ""


def allow_first():
    """The allow list as it was first committed; None while it is not, or its history is not here."""
    commits = git("log", "--diff-filter=A", "--format=%H", "--", ALLOW).split()
    if not commits or git("rev-parse", "--is-shallow-repository").strip() == "true":
        return None
    return allow_parse(git("show", f"{commits[-1]}:{ALLOW}"))


def sources():
    for top in ("src", "tests", "scripts", "bench"):
        for path in sorted((ROOT / top).rglob("*")):
            if "node_modules" in path.parts or "corpus" in path.parts or not path.is_file():
                continue
            is_script = top == "scripts" or path.suffix in SCRIPTS and path.name != "__init__.py"
            if path.suffix in (".c", ".h") or is_script and "__pycache__" not in path.parts:
                yield path


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    allowed = allow_parse((ROOT / ALLOW).read_text()) if (ROOT / ALLOW).exists() else {}
    first, unused, lengths, faults = allow_first(), dict(allowed), [], []
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        for key, line, measure, value, message in file_faults(name, path.read_text(), lengths):
            if value is not None and value <= allowed.get((key, measure), 0):
                if value == unused.pop((key, measure), None):
                    continue
                message = f"{message}; it got better: lower {ALLOW} to {value}"
            faults.append(f"{name}:{line}: {message}")
    faults += [f"{ALLOW}: {key} {measure} is not needed any more" for key, measure in unused]
    if first is not None:
        faults += [
            f"{ALLOW}: {key} {measure} {value}: the list may only shrink"
            for (key, measure), value in allowed.items()
            if value > first.get((key, measure), 0)
        ]
    for fault in faults:
        print(fault)
    lengths.sort()
    p90 = lengths[len(lengths) * 9 // 10] if lengths else 0
    median = statistics.median(lengths) if lengths else 0
    print(f"gates: {len(lengths)} functions, median {median:g} lines, p90 {p90}; {len(faults)} faults")
    return 1 if faults or not lengths else 0


if __name__ == "__main__":
    sys.exit(main())
