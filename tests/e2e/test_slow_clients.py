# SPDX-License-Identifier: MIT
"""T-16: crowds of clients that send a byte now and then, or hardly take their answer. Each can hold its connection and
what belongs to it, for as long as the time limits say; others are served meanwhile. The figures are in
docs/performance.md; pytest -rP shows those of this run. They need the optimised binary."""
import contextlib
import os
import pathlib
import re
import select
import subprocess
import threading
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.raw import RawClient

CROWD = 500
SMALL = "/files/small.txt"


class Normal:
    """A client like any other, beside the slow ones: a connection for each request."""

    def __init__(self, daemon, target):
        self.daemon, self.target, self.answers, self.faults = daemon, target, 0, []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(0.02):
            try:
                assert self.daemon.ask(target=self.target).status == 200
                self.answers += 1
            except Exception as fault:
                self.faults.append(fault)

    def stop(self):
        self._end.set()
        self._thread.join(30)
        assert not self.faults, self.faults[:3]
        return self.answers


@pytest.fixture
def beside():
    """beside(daemon): a normal client while the with block runs, which must be served more than once."""

    @contextlib.contextmanager
    def make(daemon, target="/", at_least=5):
        normal = Normal(daemon, target)
        try:
            yield normal
        finally:
            answers = normal.stop()
        assert answers >= at_least

    return make


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


# -- slowhttptest


MODES = {
    "slow head": ["-H", "-x", "10"],
    "slow body": ["-B", "-x", "10", "-s", "8192"],
    "many ranges": ["-R", "-t", "HEAD", "-a", "10", "-b", "3000"],
    "slow read": ["-X", "-w", "1", "-y", "64", "-n", "1", "-z", "8", "-k", "3"],
}


@contextlib.contextmanager
def slowhttptest(url, *options, connections=200, seconds=10):
    """Runs while the with block does. It calls for the service, too, and says whether that was there."""
    command = ["slowhttptest", "-c", connections, "-r", connections, "-i", "1", "-l", seconds, "-p", "5", "-u", url, *options]
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", process.communicate(timeout=60)[0])
        finally:
            process.kill()
    assert set(re.findall(r"service available:\s+(\w+)", text)) == {"YES"}, text[-2000:]


@pytest.mark.parametrize("mode", MODES)
def test_slowhttptest(start, auth, nginx, beside, mode):
    """Behind it a real nginx with a file large enough not to fit into the sockets' buffers. None of the slow ones is
    there any more while the tool still goes on, or all have gone by themselves."""
    daemon = start(
        one_route(auth.credential(), nginx.plain_url),
        "header_timeout = 3s\nbody_timeout = 3s\nbody_min_rate = 1k\nkeepalive_timeout = 3s",
    )
    target = "/files/big.bin" if mode == "slow read" else SMALL
    with beside(daemon, SMALL), slowhttptest(daemon.url + target, *MODES[mode]) as tool:
        if mode != "many ranges":  # a head of 25 KiB is refused at once
            wait_until(lambda: descriptors(daemon) > 120, 20, "a crowd")
        wait_until(lambda: descriptors(daemon) < 80, 20, "all of them are gone")
        assert tool.poll() is None or mode != "slow read"
    assert daemon.ask(target=SMALL).status == 200


def test_slowhttptest_beyond_max_connections(start, auth, nginx, beside):
    """Who comes has to wait then, for no longer than the slow ones may stay."""
    daemon = start(one_route(auth.credential(), nginx.plain_url), "max_connections = 100\nheader_timeout = 1s")
    with beside(daemon, SMALL, at_least=2), slowhttptest(daemon.url + SMALL, *MODES["slow head"], connections=300):
        wait_until(lambda: descriptors(daemon) > 90, 20, "a crowd")
        assert descriptors(daemon) < 150
    assert daemon.ask(target=SMALL).status == 200


# -- what each of them costs


def resident_kib(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


class Crowd:
    """Clients that begin all at once, and then do a little now and then."""

    def __init__(self, connect, begin, go_on):
        self.clients = [connect() for _ in range(CROWD)]
        for client in self.clients:
            begin(client)
        self._go_on, self._end = go_on, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(0.1):
            for client in self.clients:
                with contextlib.suppress(OSError):
                    self._go_on(client)

    def count_ended(self):
        """Of those that the other side has closed."""
        poll = select.poll()
        for client in self.clients:
            poll.register(client, select.POLLRDHUP)
        return len(poll.poll(0))

    def stop(self):
        self._end.set()
        self._thread.join(20)
        for client in self.clients:
            client.close()


def byte(client):
    client.sock.send(b"x")


def take_little(client):
    client.sock.recv(64)


def head_of_them(client):
    client.send(client.head()[:-2] + "X-Slow: ")


def body_of_them(client):
    client.send(client.head("POST", "/slow", fields=["Content-Length: 100000"]) + "x")


def read_of_them(client):
    client.request(target="/large")


# The bound: KiB of memory for each. An idle connection has its pool, header_limit; a request comes with its own and
# the upstream's buffers; an answer on its way with the block that libmicrohttpd reads into, too.
KINDS = {"head": (head_of_them, byte, 16 + 3), "body": (body_of_them, byte, 16 + 26), "reader": (read_of_them, take_little, 16 + 100)}


@pytest.mark.parametrize("kind", KINDS)
def test_500_slow_clients(start, auth, scripted, release, beside, tmp_path, kind):
    begin, go_on, bound = KINDS[kind]
    upstream = scripted(backlog=2 * CROWD)
    limits = "header_timeout = 8s\nbody_timeout = 8s\nbody_min_rate = 100k\nkeepalive_timeout = 2s"
    # Readers on a unix socket, whose buffers are small: the kernel would take a whole answer from bearerd else.
    path = tmp_path / "socket"
    daemon = start(
        one_route(auth.credential(), upstream.url, upstream=f"max_connections = {2 * CROWD}\nidle_timeout = 30s"),
        f"workers = 1\nlisten = 127.0.0.1:0\nlisten = unix:{path}\n{limits}",
        binary=release,
    )

    def answer(exchange):
        exchange.answer(body=bytes(1 << 20) if exchange.request.target == "/large" else b"")

    upstream.on = answer
    connect = (lambda: RawClient(path)) if kind == "reader" else daemon.client
    assert daemon.ask().status == 200
    before = resident_kib(daemon)
    with beside(daemon):
        crowd = Crowd(connect, begin, go_on)
        if kind != "head":
            upstream.wait_requests(CROWD + 1, timeout=30)
        time.sleep(1)
        assert crowd.count_ended() == 0
        each = (resident_kib(daemon) - before) / CROWD
        print(f"{kind}: {each:.1f} KiB for each of {CROWD}")
        assert each < bound
        wait_until(lambda: crowd.count_ended() == CROWD, 40, "all were given up")
    crowd.stop()
    wait_until(lambda: descriptors(daemon) < 100, 20, "their connections are gone")
    assert daemon.ask().status == 200
