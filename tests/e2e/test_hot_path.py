# SPDX-License-Identifier: MIT
"""A request whose token is in the cache, on a connection that stays open, takes no lock and allocates nothing in
bearerd's own code: counted, by a library preloaded into the optimised binary (probe.c)."""
import concurrent.futures
import mmap
import random
import re
import shutil
import struct
import subprocess
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.scripted import token_answer

REQUESTS = 10_000
WARM_UP = 200
COUNTERS = ("alloc", "free", "lock")  # as in probe.c; first bearerd's own calls, then those of its libraries
# What a program could import to allocate or to wait for another thread. Those the probe counts, and those it need
# not count: they make or end things that are there for the life of a thread.
SUSPECT = re.compile(
    r"^(malloc|calloc|realloc\w*|free|\w*memalign|aligned_alloc|valloc|strn?dup|v?asprintf|getline|getdelim|open_memstream"
    r"|pthread_(mutex|rwlock|spin|cond|barrier)\w*|mtx_\w+|cnd_\w+|sem_\w+)$"
)
COUNTED = {"malloc", "calloc", "realloc", "free", "strdup", "pthread_mutex_lock"}
HARMLESS = {"pthread_mutex_init", "pthread_mutex_destroy", "pthread_mutex_unlock"}


class Probe:
    """Reads the counters; since: {(who, counter): calls} since the last mark."""

    FORMAT = f"={2 * len(COUNTERS) + 1}Q"

    def __init__(self, folder):
        self.library, self.file = folder / "probe.so", folder / "probe.counts"
        compiler = shutil.which("gcc") or shutil.which("cc")
        source = __file__.replace("test_hot_path.py", "probe.c")
        flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, "-o", self.library, source, "-ldl"], check=True, timeout=60)
        with open(self.file, "wb") as file:
            file.truncate(struct.calcsize(self.FORMAT))
        with open(self.file, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.mark()

    def environment(self):
        return {"LD_PRELOAD": str(self.library), "PROBE_FILE": str(self.file)}

    def _read(self):
        *values, is_ready = struct.unpack(self.FORMAT, self.memory)
        names = [(who, counter) for who in ("own", "library") for counter in COUNTERS]
        return dict(zip(names, values)), bool(is_ready)

    @property
    def is_ready(self):
        return self._read()[1]

    def mark(self):
        self.at = self._read()[0]

    def since(self):
        return {name: count - self.at[name] for name, count in self._read()[0].items()}


def own(counts):
    return {counter: counts["own", counter] for counter in COUNTERS}


NOTHING = dict.fromkeys(COUNTERS, 0)


@pytest.fixture
def probe(tmp_path):
    return Probe(tmp_path)


@pytest.fixture
def start_probed(start, release, probe):
    def make(ini):
        daemon = start(ini, "workers = 1", env=probe.environment(), binary=release)
        assert probe.is_ready, "the probe was not loaded"
        return daemon

    return make


def settled(probe):
    """Until nothing has been counted for a while: what a request leaves to be done later is counted with it."""
    seen = None

    def is_quiet():
        nonlocal seen
        seen, before = probe.since(), seen
        return seen == before

    wait_until(is_quiet, 10, "a quiet moment")
    return seen


def ask_many(client, count, target="/echo", fields=()):
    request = client.head(target=target, fields=fields).encode()
    for _ in range(count):
        client.send(request)
        head = client.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head).group(1))
        while len(client.data) < length:
            client._fill()
        body, client.data = client.data[:length], client.data[length:]
        assert b"authorization=Bearer " in body


def count_many(probe, daemon, target, fields=()):
    """What REQUESTS requests on one connection cost, once everything is warm."""
    with daemon.client() as client:
        ask_many(client, WARM_UP, target, fields)
        settled(probe)
        probe.mark()
        ask_many(client, REQUESTS, target, fields)
        counts = settled(probe)
    # pytest -rP shows it.
    print({f"{who} {counter} per request": count / REQUESTS for (who, counter), count in counts.items()})
    return counts


@pytest.mark.parametrize(
    "target, fields", [("/echo?a=1", []), ("/echo", [(f"X-Field-{i}", "v" * 50) for i in range(20)])], ids=["plain", "20 fields"]
)
def test_a_cached_token_costs_no_lock_and_no_allocation(start_probed, probe, auth, nginx, target, fields):
    daemon = start_probed(one_route(auth.credential(), nginx.plain_url))
    counts = count_many(probe, daemon, target, fields)
    assert own(counts) == NOTHING, f"in {REQUESTS} requests"
    assert counts["library", "alloc"] > 0, "libmicrohttpd allocates its responses: the probe counts nothing"
    assert len(auth.requests()) == 1


def test_an_escaped_path_costs_no_lock(start_probed, probe, auth, nginx):
    """A path with more than one reading is judged in each of them, in memory that is given back. Nothing of that
    grows with the number of requests, and none of it is for the token."""
    daemon = start_probed(one_route(auth.credential(), nginx.plain_url))
    counts = own(count_many(probe, daemon, "/echo/a%2Cb"))
    assert counts["lock"] == 0
    assert counts["alloc"] == counts["free"] <= 3 * REQUESTS


def test_the_probe_sees_a_request_that_waits_for_a_token(start_probed, probe, token_server, nginx):
    """The other side of the proof. The token is of no use after a second; the request that has to wait for the next
    one takes locks and memory, and the ones behind it do not."""
    server = token_server(token_answer("one", 2), token_answer("two", 3600))
    credential = server.credential(clock_skew="1s", refresh_before="1ms")
    daemon = start_probed(one_route(credential, nginx.plain_url))
    with daemon.client() as client:
        ask_many(client, WARM_UP)
        wait_until(lambda: ask_many(client, 1) or len(server.requests) == 2, 10, "a second token request")
        settled(probe)
        waited = own(probe.since())
        ask_many(client, WARM_UP)
        probe.mark()
        ask_many(client, WARM_UP)
        assert own(settled(probe)) == NOTHING
    assert all(count > 0 for count in waited.values()), waited


def test_the_probe_knows_all_that_bearerd_imports(release):
    """A new way to allocate or to lock must not slip past the count."""
    table = subprocess.run(["nm", "-D", "--undefined-only", release], capture_output=True, text=True, check=True).stdout
    imported = {line.split()[-1].split("@")[0] for line in table.splitlines()}
    assert {"calloc", "free", "pthread_mutex_lock"} <= imported
    assert {name for name in imported if SUSPECT.match(name)} <= COUNTED | HARMLESS



def answer_later(exchange):
    """After X-Delay seconds, with the request line and the length of the body; in one piece, so that TCP's delays stay out."""
    text = exchange.request.line.encode() + b" %d" % len(exchange.read_body())
    time.sleep(float(exchange.request.get("X-Delay") or 0))
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))


def test_waits_of_all_lengths_side_by_side(simple, upstream):
    """How a request waits for its answer depends on how long that takes and on how many others wait, and a head may
    take one read or more: none of it may keep a request from its own answer, or hold it up."""
    chance = random.Random(1)
    plans = [[(chance.choice([0, 0, 0.002, 0.02, 0.1]), chance.choice([10, 7000, 11000])) for _ in range(10)] for _ in range(100)]

    def play(number):
        late = 0
        with daemon.client() as client:
            for step, (delay, size) in enumerate(plans[number]):
                began = time.monotonic()
                answer = client.ask(target=f"/{number}/{step}", fields=[("X-Delay", str(delay)), ("X-Pad", "p" * size)])
                late = max(late, time.monotonic() - began - delay)
                assert (answer.status, answer.text) == (200, f"GET /{number}/{step} HTTP/1.1 0")
        return late

    upstream.on = answer_later
    daemon = simple("workers = 1\nheader_limit = 32k", upstream_lines="max_connections = 200")
    with concurrent.futures.ThreadPoolExecutor(len(plans)) as pool:
        assert max(pool.map(play, range(len(plans)))) < 5


def ask_small(client):
    assert client.ask().status == 200


def ask_with_large_head(client):
    assert client.ask(fields=[("X-Pad", "p" * 20_000)]).status == 200


def ask_with_100(client):
    client.send(client.head("PUT", "/", [("Content-Length", "3"), ("Expect", "100-continue")]))
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    client.send("abc")
    assert client.response("PUT").text == "PUT / HTTP/1.1 3"


def ask_two_in_one(client):
    client.send(client.head() * 2)
    assert [client.response().status, client.response().status] == [200, 200]


@pytest.mark.parametrize("ask", [ask_small, ask_with_large_head, ask_with_100, ask_two_in_one])
def test_a_waiting_request_holds_up_no_other(simple, upstream, ask):
    """Nor on an otherwise quiet server, where nothing else happens that makes it look again."""
    upstream.on = answer_later
    daemon = simple("workers = 1\nheader_limit = 32k")
    took = []
    with daemon.client() as waiting, daemon.client() as client:
        ask_small(client)
        ask_small(waiting)
        for _ in range(10):
            waiting.request(fields=[("X-Delay", "0.05")])
            began = time.monotonic()
            ask(client)
            took.append(time.monotonic() - began)
            assert waiting.response().status == 200
    assert sorted(took)[5] < 0.008, took
