#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What must not stand in any file that git knows: paths of the machine somebody worked on, things that look
like real credentials, conflicts of a merge. Also: an npm lock file must not name download addresses."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The left side of each is split, so that this file does not find itself.
PATTERNS = {
    r"/(?:ro" r"ot|ho" r"me/\w+|Us" r"ers/\w+)/[\w.]": "path of somebody's machine",
    r"-----BEGIN (?:\w+ )?PRIV" r"ATE KEY-----\n[A-Za-z0-9+/=\n]{64}": "private key",
    r"\bey" r"J[\w-]{20,}\.ey" r"J[\w-]{20,}\.": "JSON web token",
    r"^(?:<{7}|>{7}|={7}$)": "conflict that nobody settled",
    r"\b(?:AK" r"IA[0-9A-Z]{16}|gh[pousr]_\w{36}|xox[bp]-\d{8,})": "credential of a known service",
}
# Folders that texts name for their own reasons: a tree that lies right below one is looked for by its whole path.
ORDINARY = {"/", "/tmp", "/var/tmp", "/srv", "/opt", "/src", "/usr/src", "/usr/local/src", "/home", "/mnt", "/builds"}
# Keys printed in RFCs as examples: the tests of signatures need them.
PUBLISHED = re.compile(r"tests/unit/data/jose/rfc[\w.-]+\.pem")
LOCK_FILE = re.compile(r'^\s*"resolved":', re.M)


def workplace(root):
    """The path that gives away where the tree happens to lie: the folder above it, if that one is telling."""
    return f"{root if str(root.parent) in ORDINARY else root.parent}/"


def faults_of(name, text, here):
    """here: what workplace() says."""
    found = {**PATTERNS, re.escape(here): "path of this machine"}
    for pattern, what in found.items():
        for match in re.finditer(pattern, text, re.M):
            yield text.count("\n", 0, match.start()) + 1, what
    if name.endswith("package-lock.json"):
        for match in LOCK_FILE.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, "download address in a lock file"


def main():
    listing = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    count = 0
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            for line, what in faults_of(name, text, workplace(ROOT)):
                if what == "private key" and PUBLISHED.fullmatch(name):
                    continue
                print(f"{name}:{line}: {what}")
                count += 1
    print(f"words: {len(names)} files, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
