#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who may include whom, and which file is the door to which library.

Layers form a DAG: a folder of src/ may include itself and the folders below it, siblings do not see each
other. Each outside library has its door: the only files that may include its header. Headers of ours
include no library at all, so that a door cannot be walked round."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder: the folders directly below it. What those may see, it may see.
BELOW = {
    "base": [],
    "http": ["base"],
    "config": ["base"],
    "token": ["http", "config"],
    "proxy": ["token"],
    "admin": ["token"],
    "daemon": ["proxy", "admin"],
    "cli": ["daemon"],
    "main": ["cli"],
}

# library header: the files that are its door
DOORS = {
    r"microhttpd\.h": r"http/server(_\w+)?\.c",
    r"curl/.*": r"http/(multi|fetch|link|link_tls|tls|trust)\.c",
    r"ini\.h": r"config/reader\.c",
    r"jansson\.h": r"(token/\w+|config/json|cli/json_in)\.c",
    r"openssl/.*": r"(token/\w+|http/(link|link_tls|multi|trust))\.c",
    r"sqlite3\.h": r"token/store_sqlite\.c",
    r"sys/epoll\.h": r"base/loop\.c",
    r"seccomp\.h": r"base/syscalls\.c",
    r"linux/landlock\.h": r"base/landlock\.c",
    r"linux/capability\.h": r"base/rights\.c",
}

# What comes with the compiler and libc: no door needed, headers of ours may use it.
LIBC = re.compile(
    r"(arpa|net|netinet|sys)/\w+\.h|linux/tcp\.h|(assert|ctype|dirent|errno|fcntl|float|getopt|glob|grp|inttypes|limits|"
    r"link|locale|math|netdb|poll|pthread|pwd|sched|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|"
    r"stdio|stdlib|stdnoreturn|string|strings|syslog|termios|time|unistd|malloc)\.h"
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def visible_from(layer):
    seen = {layer}
    for below in BELOW[layer]:
        seen |= visible_from(below)
    return seen


def faults_of(name, text):
    """name: path under src/, text: its contents. Yields (line, message)."""
    layer = name.split("/")[0] if "/" in name else "main"
    if layer not in BELOW:
        yield 1, f"folder {layer}/ is in no layer; give it a place in tests/lint/layers.py"
        return
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        kind, header = match.groups()
        if kind == '"':
            target = header.split("/")[0] if "/" in header else None
            if target is None:
                yield line, f'include "{header}" with its folder: "layer/{header}"'
            elif target not in visible_from(layer):
                yield line, f"{layer}/ must not know {target}/ ({header})"
            continue
        door = next((files for lib, files in DOORS.items() if re.fullmatch(lib, header)), None)
        if door and not re.fullmatch(door, name):
            yield line, f"<{header}> only in files like {door}"
        elif not door and not LIBC.fullmatch(header):
            yield line, f"<{header}>: a library without a door; name one in tests/lint/layers.py"


def main():
    src = ROOT / "src"
    files = sorted(path for path in src.rglob("*") if path.suffix in (".c", ".h"))
    count = 0
    for path in files:
        for line, message in faults_of(path.relative_to(src).as_posix(), path.read_text()):
            print(f"{path.relative_to(ROOT)}:{line}: {message}")
            count += 1
    print(f"layers: {len(files)} files, {count} faults")
    return 1 if count or not files else 0


if __name__ == "__main__":
    sys.exit(main())
