#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Log events are an interface: every one in the sources stands in docs/logs.md, with its levels and its fields, and
nothing stands there that the sources do not have.

A row of its tables: | `event` | level | `field` `field` | what it means |"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/logs.md"
CALL = re.compile(r"\blog_(?:put_)?(debug|info|warn|error)\s*\(")
EVENT = re.compile(r'\s*"([a-z_]+(?:\.[a-z_]+)*)"')
FIELD = re.compile(r'\bF_(?:STR|TEXT|NUM)\s*\(\s*(?:"([a-z_]+)")?')
ROW = re.compile(r"^\| `([\w.]+)` \| ([\w, ]+) \|([^|]*)\|([^|]*)\|$", re.M)


def arguments(text, start):
    """What stands between the bracket that opens before `start` and the one that closes it; strings are passed over."""
    depth, at = 1, start
    while depth and at < len(text):
        if text[at] == '"':
            at = re.compile(r'"(?:\\.|[^"\\])*"').match(text, at).end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[start : at - 1]


def events_of(text):
    """Yields (line, level, event, fields); event None where it is no literal."""
    for call in CALL.finditer(text):
        if text[text.rfind("\n", 0, call.start()) + 1 : call.start()].lstrip().startswith(("#define", "//")):
            continue
        inside = arguments(text, call.end())
        event = EVENT.match(inside)
        fields = [field.group(1) for field in FIELD.finditer(inside)]
        yield text.count("\n", 0, call.start()) + 1, call.group(1), event and event.group(1), fields


def documented(page):
    """{event: (line, levels, fields)}"""
    return {
        row.group(1): (
            page.count("\n", 0, row.start()) + 1,
            set(re.findall(r"\w+", row.group(2))),
            set(re.findall(r"`(\w+)`", row.group(3))),
        )
        for row in ROW.finditer(page)
    }


def faults_of(sources, page):
    """sources: {name: text}. Yields messages."""
    known, seen = documented(page), {}
    for name, text in sources.items():
        for line, level, event, fields in events_of(text):
            if not event or None in fields:
                yield f"{name}:{line}: names of events and fields are literals, so that they can be found"
                continue
            levels, all_fields = seen.setdefault(event, (set(), set()))
            levels.add(level)
            all_fields.update(fields)
            if event not in known:
                wanted = f"| `{event}` | {level} | {' '.join(f'`{field}`' for field in fields)} | … |"
                yield f"{name}:{line}: {PAGE} does not know this event; a row for it: {wanted}"
    for event, (line, levels, fields) in known.items():
        if event not in seen:
            yield f"{PAGE}:{line}: no source has the event {event}"
            continue
        for what, there, here in (("level", seen[event][0], levels), ("field", seen[event][1], fields)):
            for name in sorted(there - here):
                yield f"{PAGE}:{line}: {event} also has the {what} {name}"
            for name in sorted(here - there):
                yield f"{PAGE}:{line}: {event} has no {what} {name}"


def main():
    paths = sorted((ROOT / "src").rglob("*.c"))
    sources = {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}
    page = (ROOT / PAGE).read_text()
    faults = list(faults_of(sources, page))
    for fault in faults:
        print(fault)
    print(f"logs: {len(documented(page))} events, {len(faults)} faults")
    return 1 if faults or not documented(page) else 0


if __name__ == "__main__":
    sys.exit(main())
