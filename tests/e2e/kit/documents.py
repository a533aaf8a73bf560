# SPDX-License-Identifier: MIT
"""What the documents tell their readers to type: every command of README, docs/, the man pages, and of the comments in
conf/ and docker/."""
import collections
import re

from kit.bearerd import ROOT

# What a command may begin with. A program that is not here yet is asked for when a block begins a line with it; from then on
# it is looked for everywhere.
PROGRAMS = (
    "bearerd Invoke-RestMethod apt cat cd chmod cmake curl docker export java journalctl kill kubectl mkdir openssl printf "
    "promtool pytest python3 ssh sudo systemctl systemd-analyze wget"
).split()
START = re.compile(rf"(?:\w+=\S+ )*(?:scripts/\w+|(?:{'|'.join(PROGRAMS)}) (?![\d ]))")
# Lines that are indented as commands may be, and are none: settings, and the programs of clients.md.
NO_COMMAND = re.compile(r"\[\w+ \w+\]$|\w+ = |(?:var|client) |(?:axios|HttpClient|Json)\.")

# kind: "block" is typed line by line, "mention" stands in the midst of a text. note: what is said beside it.
Command = collections.namedtuple("Command", "page line text note kind")


def pages():
    """{path from the root: how to read it}"""
    found = {ROOT / "README.md": of_markdown}
    found |= dict.fromkeys(sorted((ROOT / "docs").glob("*.md")), of_markdown)
    found |= dict.fromkeys(sorted((ROOT / "docs/man").iterdir()), of_man_page)
    for folder in ("conf", "conf/examples", "docker"):
        found |= dict.fromkeys(sorted(path for path in (ROOT / folder).iterdir() if path.is_file()), of_comments)
    return {str(path.relative_to(ROOT)): read for path, read in found.items()}


def commands():
    for page, read in pages().items():
        for number, text, kind in read((ROOT / page).read_text()):
            command, _, note = re.sub(r"(?<=\S)(?: +# +| {3,})", "\0", text.strip(), count=1).partition("\0")
            yield Command(page, number, command, note, kind)


def of_markdown(text):
    fence = None
    for number, line in joined(text):
        bare = line.strip()
        if mark := re.fullmatch(r"```(\w*)", bare):
            fence = (mark[1] or "text") if fence is None else None
        elif fence == "sh" or fence is None and line.startswith("    ") and not NO_COMMAND.match(bare):
            yield number, bare, "block"
        elif fence is not None:
            if START.match(bare):
                yield number, bare, "block"
        else:
            yield from ((number, span, "mention") for span in re.findall(r"`([^`]+)`", line) if START.match(span))


def of_man_page(text):
    is_literal = False
    for number, line in joined(text, r"\e"):
        if line.startswith((".Bd", ".Ed")):
            is_literal = line.startswith(".Bd")
        elif is_literal and START.match(line):
            yield number, line, "block"
        elif line.startswith(".Dq ") and START.match(line[4:]):
            yield number, line[4:].replace(" Ar ", " "), "mention"


def of_comments(text):
    """A line of its own, further in than the text around it, or in quotes."""
    for number, line in joined(text):
        if comment := re.match(r"[;#]( *)(.*)", line):
            indent, said = comment.groups()
            if len(indent) > 2 and START.match(said):
                yield number, said, "block"
            else:
                yield from ((number, span, "mention") for span in re.findall(r'"([^"]+)"', said) if START.match(span))


def joined(text, backslash="\\"):
    """(number, line), of those that go on in the next one the first one's number. In Markdown's tables | ends a line, too."""
    first, begun = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        line = f"{begun} {line.strip()}" if begun else line
        first = first if begun else number
        if line.endswith(backslash) or line.endswith(" |") and not line.startswith("|"):
            begun = line.removesuffix(backslash).rstrip()
        else:
            yield first, line
            begun = ""


def blocks(page, language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
