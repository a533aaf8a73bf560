# SPDX-License-Identifier: MIT
"""Time that does not pass as expected: a process that did not run for a while, a wall clock that somebody set."""
import mmap
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import one_route
from kit.keys import private_key, read_jwt
from kit.process import wait_until
from kit.scripted import send_json, token_answer

DAYS = 2 * 24 * 3600


class Issuer:
    """Gives a new token each time, and knows when each of them ends."""

    def __init__(self, token_server, lifetime_s):
        self.ends, self.lifetime_s = {}, lifetime_s
        self.server = token_server(self.answer)

    def answer(self, exchange):
        token = f"token-{len(self.ends)}"
        self.ends[token] = time.monotonic() + self.lifetime_s
        send_json(exchange, token_answer(token, self.lifetime_s))


def test_T37_a_process_that_did_not_run_uses_no_dead_token(start, token_server, scripted):
    """As on a laptop that slept, or in a container without processor time: no renewal ran, and requests wait already
    when it goes on."""
    issuer = Issuer(token_server, 3)
    late = []

    def on(exchange):
        late.append(time.monotonic() - issuer.ends[exchange.request.token])
        exchange.answer()

    upstream = scripted(on=on)
    daemon = start(one_route(issuer.server.credential(clock_skew="500ms"), upstream.url))
    with daemon.client() as kept, daemon.client() as other:
        assert kept.ask().status == other.ask().status == 200
        daemon.process.signal(signal.SIGSTOP)
        time.sleep(3.2)
        for client in (kept, other):
            client.request()
        daemon.process.signal(signal.SIGCONT)
        assert kept.response().status == other.response().status == 200
        assert daemon.ask().status == 200
    assert len(late) == 5 and max(late) < 0
    assert len(issuer.server.requests) == 2


@pytest.fixture
def clock(tmp_path):
    """(environment, set): set(seconds) moves the wall clock."""
    library, path = tmp_path / "clock.so", tmp_path / "clock"
    compiler = shutil.which("gcc") or shutil.which("cc")
    source = __file__.replace("test_clocks.py", "clock.c")
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", library, source], check=True, timeout=60)
    path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 8)
    return {"LD_PRELOAD": str(library), "CLOCK_FILE": str(path)}, lambda seconds: struct.pack_into("=q", memory, 0, seconds)


@pytest.mark.parametrize("shift", [DAYS, -DAYS], ids=["ahead", "back"])
def test_T37_setting_the_clock_changes_no_tokens_life(start, release, token_server, upstream, certs, clock, shift):
    """Neither is a good token given up nor a dead one used; only what tells the time to others follows the clock."""
    environment, set_clock = clock
    issuer = Issuer(token_server, 6)
    key = private_key(certs.folder, "ES256")
    more = {"auth_method": "private_key_jwt", "signing_key": f"file:{key}", "signing_alg": "ES256", "clock_skew": "1s"}
    credential = issuer.server.credential(**more).replace("client_secret = secret\n", "")
    daemon = start(one_route(credential, upstream.url), env=environment, binary=release)
    assert daemon.ask().status == 200
    set_clock(shift)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert daemon.ask().status == 200
    assert upstream.tokens() == ["token-0"] * len(upstream.requests)
    wait_until(lambda: daemon.ask().status == 200 and "token-1" in upstream.tokens(), 6, "the renewal")
    assert time.monotonic() < issuer.ends["token-0"]
    issued = [read_jwt(request.body.decode().split("client_assertion=")[1].split("&")[0])[1]["iat"] for request in issuer.server.requests]
    assert abs(issued[0] - time.time()) < 60 and abs(issued[1] - time.time() - shift) < 60
