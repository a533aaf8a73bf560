# SPDX-License-Identifier: MIT
"""What a core file would hold, without the file: all writable memory of a running process, looked through for byte
strings. The process must be ours to trace: root, for one that cannot be dumped."""
import pathlib
import re
import time

CHUNK = 1 << 24
OVERLAP = 1 << 13  # longer than anything looked for


def areas(pid):
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        start, end, mode, name = int(match[1], 16), int(match[2], 16), match[3], match[4]
        if mode.startswith("rw") and name not in ("[vvar]", "[vsyscall]"):
            yield start, end, name or "(anonymous)"


def chunks(pid):
    """(address, name of the area, bytes), overlapping, so that nothing is cut in two."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, name in areas(pid):
            for at in range(start, end, CHUNK):
                try:
                    memory.seek(at)
                    yield at, name, memory.read(min(CHUNK + OVERLAP, end - at))
                except OSError:  # given back meanwhile
                    pass


def find(pid, wanted):
    """{name: ["heap address: what is around it", …]} of those that were found; wanted: {name: bytes}."""
    found = {}
    for at, area, data in chunks(pid):
        for name, needle in wanted.items():
            for match in re.finditer(re.escape(needle), data):
                around = data[max(0, match.start() - 48) : match.end() + 16]
                found.setdefault(name, []).append(f"{area} {at + match.start():#x}: {around!r}")
    return found


def wait_gone(pid, wanted, timeout=10):
    """Until none of them is there, twice in a row: what is freed may come back in a copy that is still used."""
    deadline, clean = time.monotonic() + timeout, 0
    while clean < 2:
        found = find(pid, wanted)
        clean = 0 if found else clean + 1
        if found and time.monotonic() > deadline:
            lines = "\n".join(f"{name}: {place}" for name, places in found.items() for place in places)
            raise AssertionError(f"still in memory after {timeout} s:\n{lines}")
        time.sleep(0.2)
