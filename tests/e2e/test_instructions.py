# SPDX-License-Identifier: MIT
"""Guards against slow decay: the instructions that bearerd's own code takes for a request, counted by callgrind in the
optimised binary, must be those that are written down in instructions.json, give or take TOLERANCE. Instructions, not
time, so that the figure is the same on a busy machine; bearerd's own, not its libraries', so that it is the same on
another processor. Compilers differ, so the figures are kept by the compiler's version.

To write down new figures, on purpose:   INSTRUCTIONS=write scripts/test e2e test_instructions.py"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import one_route

FIGURES = pathlib.Path(__file__).with_name("instructions.json")
TOLERANCE = 0.02
FEW, MANY = 100, 600
CASES = {
    "plain": {"target": "/echo?a=1"},
    "20 request fields": {"target": "/echo", "fields": [(f"X-Field-{i}", "v" * 50) for i in range(20)]},
    "escaped path": {"target": "/echo/a%2Cb"},
    "POST of 10 KiB": {"target": "/echo", "method": "POST", "body": b"x" * 10240},
}


def compiler_of(binary):
    """What it was built with, as the compiler left it in the binary."""
    text = subprocess.run(["readelf", "-p", ".comment", binary], capture_output=True, text=True, check=True).stdout
    return re.search(r"(GCC|clang)[^\n]*?(\d+)\.\d+\.\d+", text).expand(r"\1 \2") if text else "unknown"


def own_instructions(out, binary):
    """Self cost of all functions of one object in a callgrind file. Names are given once and then by number."""
    names, is_own, is_call, total = {}, False, False, 0
    for line in out.read_text().splitlines():
        named = re.match(r"ob=\((\d+)\)(?: (.+))?$", line)
        if named:
            if named.group(2):
                names[named.group(1)] = named.group(2)
            is_own = names[named.group(1)] == str(binary)
        elif (called := re.match(r"cob=\((\d+)\) (.+)$", line)):
            names[called.group(1)] = called.group(2)
        elif line.startswith("calls="):
            is_call = True  # the next line is what the callee cost
        elif re.match(r"[+*\-\d]", line):
            if is_own and not is_call:
                total += int(line.split()[-1])
            is_call = False
    return total


@pytest.fixture
def count(start, auth, nginx, release, tmp_path):
    """count(requests, request): own instructions of a run with so many requests on one connection."""
    valgrind = shutil.which("valgrind") or pytest.fail("valgrind is missing; scripts/deps --test installs it")

    def run(requests, request):
        out, wrapper = tmp_path / f"callgrind.{requests}", tmp_path / "bearerd-counted"
        wrapper.write_text(
            f'#!/bin/sh\nexec {valgrind} --quiet --tool=callgrind --callgrind-out-file={out} {release} "$@"\n'
        )
        wrapper.chmod(0o755)
        # Everything takes fifty times as long; and a sandbox is not for tracing.
        ini = one_route(
            auth.credential(timeout="1m", connect_timeout="1m"),
            nginx.plain_url,
            upstream="connect_timeout = 1m\nfirst_byte_timeout = 1m",
        )
        daemon = start(ini, "workers = 1\nsandbox = off\ntoken_timeout = 1m\nrequest_timeout = 5m", binary=wrapper)
        with daemon.client(timeout=60) as client:
            for _ in range(requests):
                assert client.ask(**request).status == 200
        daemon.stop()
        return own_instructions(out, release)

    return run


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", CASES)
def test_instructions_for_a_request(count, release, name):
    each = (count(MANY, CASES[name]) - count(FEW, CASES[name])) / (MANY - FEW)
    compiler = compiler_of(release)
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    print(f"{name}: {each:.0f} instructions, {compiler}")
    assert each > 1000, "nothing was counted"
    if os.environ.get("INSTRUCTIONS") == "write":
        figures.setdefault(compiler, {})[name] = round(each)
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        return
    if compiler not in figures:
        pytest.skip(f"no figures are written down for {compiler}")
    known = figures[compiler][name]
    assert abs(each / known - 1) < TOLERANCE, f"{each:.0f} instructions, {known} are written down"
