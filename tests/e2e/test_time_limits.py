# SPDX-License-Identifier: MIT
"""Every wait has a limit, a setting of its own for it, and an answer of its own:

    header_timeout                     a whole request head              408 client-timeout
    body_timeout, body_min_rate        the request body                  408 client-timeout
    body_timeout, body_min_rate        the client takes its answer       a broken answer
    keepalive_timeout                  the next request                  closed
    token_timeout                      a token                           504 token-timeout
    connect_timeout                    a connection, TLS included        504 upstream-connect-timeout
    queue_timeout                      one that comes free               503 upstream-busy
    first_byte_timeout                 the upstream's answer             504 upstream-timeout
    idle_timeout                       the upstream takes the request    504 upstream-timeout
    idle_timeout                       the rest of its answer            a broken answer
    request_timeout, a route's timeout all of it                         504 request-timeout

The token's is in test_token_faults.py, the queue's in test_limits.py, and of the upstream's some in
test_upstream_faults.py."""
import socket
import threading
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.raw import Broken

MIB = 1 << 20


def drip(client, data, pause=0.05):
    """A byte at a time until the other side has had enough; the bytes sent."""
    sent = 0
    for byte in data:
        try:
            client.send(bytes([byte]))
        except OSError:
            break
        sent += 1
        time.sleep(pause)  # the pace is what is tested
    return sent


def is_late(client, method="GET"):
    answer = client.response(method)
    assert (answer.status, answer.kind) == (408, "client-timeout")
    assert answer.get("Connection") == "close" and client.is_closed_by_peer()
    return True


# -- the request's head


@pytest.mark.parametrize("head", ["G", "GET /x HT", "GET /x HTTP/1.1\r\n", "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b"])
def test_a_head_that_stops_is_408(simple, head):
    daemon = simple("header_timeout = 500ms")
    with daemon.client() as client:
        client.send(head)
        begin = time.monotonic()
        assert is_late(client)
        assert 0.4 < time.monotonic() - begin < 5
    assert daemon.ask().status == 200


def test_a_head_cannot_buy_time_with_single_bytes(simple):
    with simple("header_timeout = 1s").client() as client:
        begin = time.monotonic()
        sent = drip(client, client.head(target="/" + "x" * 2000).encode())
        assert sent < 200 and time.monotonic() - begin < 8
        assert is_late(client)


def test_the_second_head_on_a_connection_has_a_limit_of_its_own(simple):
    with simple("header_timeout = 500ms\nkeepalive_timeout = 20s").client() as client:
        assert client.ask().status == 200
        time.sleep(0.7)  # longer than header_timeout: idle, not slow
        assert client.ask().status == 200
        client.send("GET /x HTTP/1.1\r\nHost:")
        assert is_late(client)


@pytest.mark.parametrize("is_used", [False, True])
def test_nothing_is_said_on_an_idle_connection(simple, is_used):
    """A 408 on it could be taken for the answer to a request that is just being sent."""
    with simple("header_timeout = 500ms\nkeepalive_timeout = 500ms").client() as client:
        if is_used:
            assert client.ask().status == 200
        begin = time.monotonic()
        assert client.is_closed_by_peer()
        assert 0.4 < time.monotonic() - begin < 5


# -- the request's body


def test_a_body_that_stops_is_408(simple, upstream):
    for number, fields in enumerate((["Content-Length: 10"], [f"Content-Length: {MIB * 8}"], ["Transfer-Encoding: chunked"])):
        with simple("body_timeout = 500ms", name=f"{number}.ini").client() as client:
            client.send(client.head("POST", fields=fields) + "3\r\nabc\r\n")
            begin = time.monotonic()
            assert is_late(client, "POST")
            assert 0.4 < time.monotonic() - begin < 5
    upstream.wait_no_connections()


def test_a_body_a_byte_at_a_time_comes_to_its_end(simple, upstream):
    daemon = simple("body_timeout = 1s\nbody_min_rate = 200")
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Content-Length: 100000"]))
        sent = drip(client, b"x" * 1000)
        assert 10 < sent < 400
        assert is_late(client, "POST")
    upstream.wait_no_connections()


@pytest.mark.parametrize("rate, piece", [("none", 1), ("1k", 200)])
def test_a_body_that_is_fast_enough_may_take_long(simple, upstream, rate, piece):
    """Three times body_timeout: it is for pauses. At twice the rate, or at any if there is none."""
    with simple(f"body_timeout = 500ms\nbody_min_rate = {rate}").client() as client:
        client.send(client.head("POST", fields=[f"Content-Length: {20 * piece}"]))
        for _ in range(20):
            client.send(b"x" * piece)
            time.sleep(0.08)
        assert client.response("POST").status == 200
    assert len(upstream.last.body) == 20 * piece


def test_an_upload_that_the_upstream_holds_up_is_not_the_clients_fault(simple, upstream):
    go_on = threading.Event()

    def slow(exchange):
        assert go_on.wait(20)
        exchange.read_body(keep=False)
        exchange.answer()

    upstream.on = slow
    with simple("body_timeout = 300ms\nbody_min_rate = 1m").client() as client:
        client.send(client.head("PUT", fields=[f"Content-Length: {32 * MIB}"]))
        sender = threading.Thread(target=lambda: client.send(bytes(32 * MIB)))
        sender.start()
        time.sleep(1.5)  # several times body_timeout
        go_on.set()
        assert client.response("PUT").status == 200
        sender.join(20)


# -- the client takes its answer


def read_slowly(client, piece, pause, pieces):
    """Bytes got, and whether it was broken off."""
    got = 0
    for _ in range(pieces):
        try:
            data = client.sock.recv(piece)
        except OSError:
            return got, True
        if not data:
            return got, True
        got += len(data)
        time.sleep(pause)
    return got, False


@pytest.fixture
def downloading(simple, upstream):
    """A client with small buffers that has asked for much."""

    def make(proxy):
        upstream.on = lambda exchange: exchange.answer(body=bytes(16 * MIB))
        client = simple(proxy).client()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.request()
        return client

    return make


def test_an_answer_taken_fast_enough_may_take_long(downloading):
    """Writes come seldom then, for the kernel holds much: what counts is what the client's side took."""
    with downloading("body_timeout = 2s\nbody_min_rate = 5k") as client:
        begin = time.monotonic()
        got, is_over = read_slowly(client, 4096, 0.1, 60)
        assert not is_over and got > 60_000 and time.monotonic() - begin > 5


@pytest.mark.parametrize("rate", ["none", "5k"])
def test_an_answer_that_is_not_taken_is_broken_off(downloading, upstream, rate):
    with downloading(f"body_timeout = 500ms\nbody_min_rate = {rate}"):
        upstream.wait_requests(1)
        upstream.wait_no_connections()


def test_an_answer_taken_too_slowly_is_broken_off(downloading, upstream):
    """What has reached the client it may read to the end."""
    with downloading("body_timeout = 500ms\nbody_min_rate = 100k") as client:
        upstream.wait_requests(1)
        wait_until(lambda: read_slowly(client, 1024, 0.1, 1) and not upstream.open_count(), 20, "its end")


@pytest.mark.parametrize("status", ["200 OK", "413 Content Too Large"])
@pytest.mark.parametrize("is_stuck", [True, False])
def test_an_answer_before_the_requests_end_has_the_same_limits(simple, upstream, status, is_stuck):
    """It goes another way through bearerd. What of the request follows is no excuse, nor that nothing follows."""

    def early(exchange):
        exchange.send(f"HTTP/1.1 {status}\r\nContent-Length: {64 * MIB}\r\n\r\n".encode())
        for _ in range(64):
            exchange.send(bytes(MIB))

    upstream.on = early
    with simple("body_timeout = 500ms\nbody_min_rate = 100k").client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]) + "3\r\nabc\r\n")
        client.read_until(b"\r\n\r\n")
        client.send("0\r\n\r\n")
        upstream.wait_requests(1)
        wait_until(lambda: (is_stuck or read_slowly(client, 1024, 0.1, 1)) and not upstream.open_count(), 20, "its end")


def test_an_answer_that_trickles_is_not_the_clients_fault(simple, upstream):
    def trickle(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            time.sleep(0.08)
            exchange.send(b"x")

    upstream.on = trickle
    assert simple("body_timeout = 300ms\nbody_min_rate = 1m").ask().body == b"x" * 20


# -- the upstream


@pytest.fixture
def mute():
    """A listener that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("lines", ["url = https://127.0.0.1:{port}", "url = https://api.example.test\nproxy = http://127.0.0.1:{port}"])
def test_a_connection_includes_tls_and_the_proxy(start, auth, mute, lines):
    text = f"{auth.credential()}\n[upstream api]\n{lines.format(port=mute)}\nconnect_timeout = 500ms\n[route all]\nmatch = /**\nscopes = api:read\n"
    begin = time.monotonic()
    refused = start(text).ask()
    assert (refused.status, refused.kind) == (504, "upstream-connect-timeout")
    assert time.monotonic() - begin < 5


def test_an_upstream_that_takes_no_bytes(start, auth, mute):
    daemon = start(one_route(auth.credential(), f"http://127.0.0.1:{mute}", upstream="idle_timeout = 500ms"))
    with daemon.client() as client:
        client.send(client.head("PUT", fields=[f"Content-Length: {64 * MIB}"]))
        sender = threading.Thread(target=lambda: drip_until_closed(client))
        sender.start()
        refused = client.response("PUT")
        assert (refused.status, refused.kind) == (504, "upstream-timeout")
        sender.join(20)


def drip_until_closed(client):
    try:
        client.send(bytes(64 * MIB))
    except OSError:
        pass


def test_the_whole_request_includes_the_answer(simple, upstream):
    def trickle(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            exchange.send(b"x")
            time.sleep(0.02)

    upstream.on = trickle
    begin = time.monotonic()
    with pytest.raises(Broken):
        simple("request_timeout = 1s").ask()
    assert time.monotonic() - begin < 10
