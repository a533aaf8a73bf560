# SPDX-License-Identifier: MIT
"""How much at a time: connections, requests, fields, bytes, descriptors. What is beyond is refused with a reason, or
waits; nothing grows, spins or breaks what is under way."""
import contextlib
import os
import pathlib
import re
import resource
import select
import subprocess
import threading
import time

import pytest
from conftest import one_route
from kit.bearerd import BINARY
from kit.process import wait_until
from kit.raw import RawClient


@pytest.fixture
def gate(upstream):
    """An upstream that answers when gate.set() was called."""
    event = threading.Event()

    def slow(exchange):
        exchange.read_body()
        assert event.wait(30)
        exchange.answer(body=b"done")

    upstream.on = slow
    yield event
    event.set()


def is_turned_away(answer, kind):
    assert (answer.status, answer.kind) == (503, kind)
    assert int(answer.get("Retry-After")) >= 1
    return True


@contextlib.contextmanager
def clients_of(daemon, count):
    clients = [daemon.client() for _ in range(count)]
    yield clients
    for client in clients:
        client.close()


# -- requests


def test_max_requests(simple, upstream, gate):
    """The connection of the one turned away stays of use, and what is refused anyway is refused as ever."""
    daemon = simple("workers = 1\nmax_requests = 2")
    with clients_of(daemon, 2) as busy, daemon.client() as third:
        for client in busy:
            client.request()
        upstream.wait_requests(2)
        assert is_turned_away(third.ask(), "overloaded")
        assert third.ask(target="/x", host="evil.example.test").status == 403
        gate.set()
        assert [client.response().body for client in busy] == [b"done"] * 2
        assert third.ask().body == b"done"
    assert len(upstream.requests) == 3


def test_max_requests_counts_those_that_end_in_any_way(simple, upstream):
    daemon = simple("workers = 1\nmax_requests = 1", route="timeout = 1s")
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    assert daemon.ask().kind == "request-timeout"
    with daemon.client() as gone:
        gone.request()
        upstream.wait_requests(2)
    upstream.wait_no_connections()
    upstream.on = lambda exchange: exchange.close()
    assert daemon.ask().kind == "upstream-closed"
    upstream.on = lambda exchange: exchange.answer()
    assert [daemon.ask().status for _ in range(3)] == [200] * 3


# -- connections


@pytest.mark.parametrize("workers", [1, 2])
def test_max_connections_per_client(simple, workers):
    """Exact, however the workers share the connections; and only for the client that has too many."""
    daemon = simple(f"workers = {workers}\nmax_connections_per_client = 4")
    with clients_of(daemon, 4) as mine:
        assert [client.ask().status for client in mine] == [200] * 4
        for _ in range(5):
            with daemon.client() as further:
                assert is_turned_away(further.response(), "too-many-connections")
                assert further.is_closed_by_peer()
        with RawClient(daemon.port, source="127.0.0.2") as other:
            assert other.ask().status == 200
        assert mine[0].ask().status == 200
        mine[1].close()
        wait_until(lambda: daemon.ask().status == 200, 10, "room for another of this client")


def test_max_connections_per_client_answers_those_who_asked_already(simple):
    """The request is there when the connection is accepted: closing must not reset the answer away."""
    daemon = simple("max_connections_per_client = 1")
    with daemon.client() as mine:
        assert mine.ask().status == 200
        for _ in range(20):
            assert is_turned_away(daemon.ask("POST", body=b"x" * 2000), "too-many-connections")


def test_max_connections_per_client_of_a_unix_socket_is_per_user(simple, tmp_path):
    path = tmp_path / "socket"
    daemon = simple(f"listen = unix:{path}\nlisten = 127.0.0.1:0\nsocket_mode = 0666\nmax_connections_per_client = 1")
    with RawClient(path) as mine:
        assert mine.ask().status == 200
        with RawClient(path) as further:
            assert is_turned_away(further.response(), "too-many-connections")
        assert daemon.ask().status == 200
        if os.getuid() == 0:
            os.chmod(tmp_path, 0o755)
            assert b" 200 " in ask_as_another_user(path)


def ask_as_another_user(path):
    for folder in path.parents:  # pytest's are closed to others
        if folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o77 == 0 and folder != pathlib.Path("/"):
            folder.chmod(folder.stat().st_mode | 0o11)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-si", "--unix-socket", path]
    return subprocess.run([*map(str, command), "http://localhost/"], capture_output=True, timeout=20).stdout


def test_at_max_connections_those_who_idle_make_room(simple):
    daemon = simple("workers = 1\nmax_connections = 4")
    with clients_of(daemon, 4) as held:
        assert [client.ask().status for client in held] == [200] * 4
        assert held[0].ask().status == 200
        with daemon.client() as newcomer:
            assert newcomer.ask().status == 200
            assert held[1].is_closed_by_peer(), "the one that idled longest"
            assert [client.ask().status for client in (held[0], held[2], held[3], newcomer)] == [200] * 4


def test_at_max_connections_newcomers_wait_for_those_who_are_busy(simple, upstream, gate):
    daemon = simple("workers = 1\nmax_connections = 4")
    with clients_of(daemon, 4) as busy, clients_of(daemon, 4) as waiting:
        for client in busy:
            client.request()
        upstream.wait_requests(4)
        for client in waiting:
            client.request()
        busy[0].sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            busy[0].response()
        assert len(upstream.requests) == 4
        busy[0].sock.settimeout(20)
        gate.set()
        assert [client.response().body for client in (*busy, *waiting)] == [b"done"] * 8


# -- connections to the upstream


def test_max_queue(simple, upstream, gate):
    """One is served, two wait, three are turned away, whichever these are."""
    daemon = simple("workers = 1", upstream_lines="max_connections = 1\nmax_queue = 2\nqueue_timeout = 20s")
    with clients_of(daemon, 6) as clients:
        for client in clients:
            client.request()
        ready, left = [], list(clients)
        while len(ready) < 3:
            ready += select.select(left, [], [], 20)[0]
            left = [client for client in clients if client not in ready]
        assert all(is_turned_away(client.response(), "upstream-busy") for client in ready)
        gate.set()
        assert [client.response().body for client in left] == [b"done"] * 3
        assert ready[0].ask().body == b"done"
    assert upstream.connections == 1 and len(upstream.requests) == 4


def test_max_queue_0(simple, upstream, gate):
    daemon = simple("workers = 1", upstream_lines="max_connections = 1\nmax_queue = 0")
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        assert is_turned_away(daemon.ask("POST", body=b"x"), "upstream-busy")
        gate.set()
        assert client.response().body == b"done"
    assert daemon.ask().body == b"done"


def test_queue_timeout(simple, upstream, gate):
    daemon = simple("workers = 1", upstream_lines="max_connections = 1\nqueue_timeout = 500ms\nconnect_timeout = 20s")
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        begin = time.monotonic()
        assert is_turned_away(daemon.ask(), "upstream-busy")
        assert 0.4 < time.monotonic() - begin < 5
        gate.set()
        assert client.response().body == b"done"
    assert len(upstream.requests) == 1


# -- bytes and fields


def test_a_chunked_body_beyond_the_limit_is_refused_while_it_streams(simple, upstream):
    """The upstream must not take what it got for the whole of it."""
    daemon = simple("body_limit = 100k")
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]))
        piece = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
        sender = threading.Thread(target=send_until_closed, args=[client, piece])
        sender.start()
        refused = client.response("POST")
        assert (refused.status, refused.kind) == (413, "body-too-large")
        sender.join(20)
    upstream.wait_no_connections()
    assert upstream.last.body is None, "the scripted server read it to an end"


def send_until_closed(client, piece):
    with contextlib.suppress(OSError):
        while True:
            client.send(piece)


@pytest.mark.parametrize("count, status", [(127, 200), (128, 431), (300, 431)])
def test_HM20_the_number_of_fields(simple, count, status):
    """128 with Host."""
    answer = simple("header_limit = 64k").ask(fields=[f"X-{i}: y" for i in range(count)])
    assert answer.status == status
    assert status == 200 or answer.kind == "malformed-request"


# -- descriptors


@pytest.fixture
def few_descriptors(tmp_path):
    """few_descriptors(limit): a program that runs bearerd with so many."""

    def make(limit):
        script = tmp_path / f"limit-{limit}"
        script.write_text(f'#!/bin/sh\nulimit -S -n {min(limit, 64)}\nulimit -H -n {limit}\nexec {BINARY} "$@"\n')
        script.chmod(0o755)
        return script

    return make


def set_descriptor_limit(daemon, limit):
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    return before[0]


def processor_time(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_descriptor_limit_is_raised_to_what_is_needed(simple, few_descriptors):
    daemon = simple("workers = 2\nmax_connections = 1000", upstream_lines="keepalive = 8", binary=few_descriptors(4000))
    limit, _ = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    assert 2000 < limit <= 4000
    assert "process.descriptor_limit" not in daemon.log


def test_clients_leave_descriptors_for_their_requests(start, auth, certs, scripted, few_descriptors):
    """300 for 4096 clients: a warning, fewer clients, and each of those is served, over TLS."""
    server = scripted(certs=certs)
    text = one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}")
    daemon = start(text, "workers = 1", binary=few_descriptors(300))
    taken = int(daemon.wait_log(r"event=process.descriptor_limit.* max_connections=4096 taken=(\d+)").group(1))
    assert 10 < taken < 100
    with clients_of(daemon, 200) as clients:
        for client in clients:
            client.request()
        # As those that are served idle, the next ones get their place.
        assert [client.response().status for client in clients] == [200] * 200
    assert daemon.ask().status == 200


def test_running_out_of_descriptors_is_survived(simple, upstream):
    """No crash, no spinning, and all is well when there are some again."""
    daemon = simple("workers = 1")
    assert daemon.ask().status == 200
    used = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    before = set_descriptor_limit(daemon, used + 3)
    with clients_of(daemon, 10) as clients:
        for client in clients:
            client.send("GET / HTTP/1.1\r\n")  # no idle ones that could make room
        daemon.wait_log("event=listener.cannot_accept")
        spent = processor_time(daemon)
        time.sleep(1)
        assert processor_time(daemon) - spent < 0.5
        set_descriptor_limit(daemon, before)
        for client in clients:
            client.send(f"Host: {client.host}\r\n\r\n")
        assert [client.response().status for client in clients] == [200] * 10
    assert daemon.log.count("event=listener.cannot_accept") < 5


def test_no_descriptor_for_the_upstream_is_503(simple, upstream, scripted):
    daemon = simple("workers = 1", upstream_lines="keepalive = 0")
    with daemon.client() as client:
        assert client.ask().status == 200
        upstream.wait_no_connections()
        before = set_descriptor_limit(daemon, 3)
        refused = client.ask()
        assert is_turned_away(refused, "overloaded")
        set_descriptor_limit(daemon, before)
        assert client.ask().status == 200
