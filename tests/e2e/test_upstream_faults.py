# SPDX-License-Identifier: MIT
"""Upstreams that are down or slow, or that close at the wrong moment. Malformed answers are in test_hostile_upstreams.py,
what idle connections do in test_idle_upstreams.py."""
import socket
import threading
import time

import pytest
from conftest import one_route
from kit.process import free_port, wait_until
from kit.scripted import ScriptedServer


def closes(exchange):
    exchange.close()


def test_down_and_up_again(start, auth):
    port = free_port()
    daemon = start(one_route(auth.credential(), f"http://127.0.0.1:{port}"))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (502, "upstream-unreachable")
    server = ScriptedServer(port=port)
    assert daemon.ask().status == 200
    server.stop()
    assert (
        wait_until(lambda: (got := daemon.ask()).status == 502 and got, 10, "down again").kind == "upstream-unreachable"
    )


def test_a_name_that_does_not_resolve(start, auth):
    daemon = start(one_route(auth.credential(), "https://no-such-host.invalid"))
    refused = daemon.ask()
    assert refused.status == 502 and "no-such-host.invalid" in refused.problem["detail"]


def test_slow_to_answer(simple, upstream):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    begin = time.monotonic()
    refused = simple(upstream_lines="first_byte_timeout = 500ms").ask()
    assert (refused.status, refused.kind) == (504, "upstream-timeout")
    assert 0.4 < time.monotonic() - begin < 3
    upstream.wait_no_connections()


def test_slow_to_accept(simple, start, auth):
    """A listener whose queue is full: nothing is refused, nothing is accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        daemon = start(one_route(auth.credential(), f"http://127.0.0.1:{port}", upstream="connect_timeout = 500ms"))
        refused = daemon.ask()
        assert (refused.status, refused.kind) == (504, "upstream-connect-timeout")
        for filler in fillers:
            filler.close()


def test_idle_within_an_answer(simple, upstream):
    def stall(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        exchange.wait_peer_closed(20)

    upstream.on = stall
    with simple(upstream_lines="idle_timeout = 500ms").client() as client:
        client.request()
        client.read_until(b"abc")
        with pytest.raises((ConnectionResetError, AssertionError)):
            client.read_until(b"more")
    upstream.wait_no_connections()


@pytest.mark.parametrize(
    "proxy, route",
    [("", "timeout = 500ms"), ("request_timeout = 500ms", ""), ("request_timeout = 1m", "timeout = 500ms")],
)
def test_the_whole_request_has_a_limit(simple, upstream, proxy, route):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    refused = simple(proxy, route).ask()
    assert (refused.status, refused.kind) == (504, "request-timeout")


def test_closes_without_an_answer(simple, upstream):
    upstream.on = closes
    refused = simple().ask()
    assert (refused.status, refused.kind) == (502, "upstream-closed")
    assert len(upstream.requests) == 1, "a fresh connection's failure is no reason to try again"


OK = b"HTTP/1.1 200 OK\r\n"


def test_bytes_behind_an_answer_do_not_become_the_next_one(simple, upstream):
    """What the upstream sends beyond its answer belongs to nobody."""
    split = OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 5\r\n\r\nEVIL!"

    def once(exchange):
        upstream.on = lambda later: later.answer(body=b"mine")
        exchange.send(split)
        exchange.wait_peer_closed()

    upstream.on = once
    with simple("workers = 1").client() as client:
        assert client.ask().body == b"ok"
        assert client.ask().body == b"mine"
    assert upstream.connections == 2


def second_request_dies(exchange):
    """Keeps a connection after its first answer, then closes it when the next request has come on it."""
    number = sum(request.connection == exchange.connection.number for request in exchange.server.requests)
    if number == 1:
        exchange.answer(body=b"conn %d" % exchange.connection.number)
    else:
        exchange.close()


@pytest.mark.parametrize("method, body", [("GET", None), ("HEAD", None), ("PUT", None), ("DELETE", None)])
def test_a_dead_reused_connection_is_retried_once(simple, upstream, method, body):
    upstream.on = second_request_dies
    daemon = simple("workers = 1")
    assert daemon.ask().body == b"conn 1"
    assert daemon.ask(method, body=body).status == 200
    assert [request.connection for request in upstream.requests] == [1, 1, 2]


@pytest.mark.parametrize("body", [None, b"short", b"x" * 500_000], ids=["none", "short", "long"])
def test_a_post_on_a_dead_connection_is_not_sent_twice(simple, upstream, body):
    """RFC 9110 9.2.2: the upstream may have acted on it."""

    def dies_after_reading(exchange):
        exchange.read_body()
        second_request_dies(exchange)

    upstream.on = dies_after_reading
    daemon = simple("workers = 1")
    assert daemon.ask().status == 200
    refused = daemon.ask("POST", body=body)
    assert (refused.status, refused.kind) == (502, "upstream-closed")
    assert [request.method for request in upstream.requests] == ["GET", "POST"]


def test_a_body_streamed_away_is_not_retried(simple, upstream):
    def dies_mid_body(exchange):
        if exchange.request.method == "PUT":
            exchange.connection.exactly(1_000_000)  # more than bearerd holds
            exchange.close()
        else:
            exchange.answer()

    upstream.on = dies_mid_body
    daemon = simple("workers = 1")
    assert daemon.ask().status == 200
    assert daemon.ask("PUT", body=b"x" * 2_000_000).status == 502
    assert [request.method for request in upstream.requests] == ["GET", "PUT"]


def test_at_most_max_connections(simple, upstream):
    """The third of three requests waits for one of two connections, and none is refused."""
    go_on = threading.Event()

    def slow(exchange):
        assert go_on.wait(20)
        exchange.answer()

    upstream.on = slow
    daemon = simple("workers = 1", upstream_lines="max_connections = 2")
    clients = [daemon.client() for _ in range(6)]
    for client in clients:
        client.request()
    upstream.wait_requests(2)
    go_on.set()
    assert [client.response().status for client in clients] == [200] * 6
    assert upstream.connections == 2
    for client in clients:
        client.close()
