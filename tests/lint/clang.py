#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang-format and clang-tidy over the C sources, with the rules in the root. Both change their mind between
versions, so only the version the tree is kept with is asked; any other is named and passed over.

A file that clang-tidy found clean is not looked at again until it, a header, or the rules change."""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = "14"


def version_of(tool):
    out = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"version (\d+)", out).group(1)


def is_right_version(tool):
    found = version_of(tool)
    if found != VERSION:
        print(f"{tool}: version {found} here, the tree is kept with {VERSION}: not run")
    return found == VERSION


def format_check():
    files = [p for top in ("src", "tests/unit", "tests/fuzz") for p in (ROOT / top).rglob("*.[ch]")]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *sorted(files)], cwd=ROOT)
    print(f"clang-format: {len(files)} files{', not all as it wants them' if run.returncode else ''}")
    return run.returncode == 0


def tidy_one(path, build):
    command = ["clang-tidy", "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option", path]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return run.returncode == 0, run.stdout


def tidy_check(build):
    sources = sorted((ROOT / "src").rglob("*.c"))
    shared = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for header in sorted((ROOT / "src").rglob("*.h")):
        shared.update(header.read_bytes())
    seen = build / "tidy"
    seen.mkdir(exist_ok=True)

    def check(path):
        key = shared.copy()
        key.update(path.read_bytes())
        stamp = seen / key.hexdigest()
        if stamp.exists():
            return True, ""
        clean, text = tidy_one(path, build)
        if clean:
            stamp.touch()
        return clean, text

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(check, sources))
    for clean, text in results:
        if not clean:
            print(text, end="")
    bad = sum(not clean for clean, _ in results)
    print(f"clang-tidy: {len(sources)} files, {bad} with faults")
    return bad == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev", help="has compile_commands.json")
    parser.add_argument("--format-only", action="store_true")
    options = parser.parse_args()
    good = not is_right_version("clang-format") or format_check()
    if not options.format_only and is_right_version("clang-tidy"):
        good = tidy_check(options.build.resolve()) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
