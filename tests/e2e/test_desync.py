# SPDX-License-Identifier: MIT
"""No two messages may run into each other, and nothing may wait without a limit: what connections that are used again,
answers before the end of a request, and bytes behind a message could do."""
import signal
import socket
import threading
import time

import pytest
from conftest import one_route
from kit.raw import Broken
from kit.scripted import ScriptedServer

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Poison: 1\r\n\r\nPOISON"


def at_once(exchange, *pieces):
    """Records of their own where it is TLS, but one segment: what comes only later could be the answer to a later request,
    for all that anybody can tell."""
    sock = exchange.connection.sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    for piece in pieces:
        exchange.send(piece)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def stray_behind_a_long_body(exchange):
    exchange.read_body()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + b"a" * 100)
    exchange.server.go_on.wait(10)
    at_once(exchange, b"a" * 39900, POISON)


def stray_behind_a_short_body(exchange):
    exchange.read_body()
    at_once(exchange, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", POISON)


def stray_behind_the_last_chunk(exchange):
    exchange.read_body()
    at_once(exchange, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", POISON)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("stray", [stray_behind_a_long_body, stray_behind_a_short_body, stray_behind_the_last_chunk])
def test_HM16_bytes_behind_a_response_are_no_response(start, auth, scripted, certs, stray, tls):
    server = scripted(stray, certs=certs if tls else None)
    server.go_on = threading.Event()
    lines = f"ca_file = {certs.ca}" if tls else ""
    daemon = start(one_route(auth.credential(), server.url, upstream=lines), proxy="workers = 1")
    for number in range(3):
        with daemon.client() as client:
            client.request("POST" if number else "GET", f"/{number}", body=b"" if number else None)
            client.read_until(b"\r\n\r\n")
            server.go_on.set()
            client.read_until(b"a" * 100 if stray is stray_behind_a_long_body else b"ok")
        with daemon.client() as client:
            got = client.ask(target=f"/again{number}")
            assert got.get("X-Poison") is None and got.body != b"POISON"


@pytest.mark.parametrize("then", ["close", "stall"])
def test_an_early_success_that_stops_reading_does_not_hang(simple, upstream, then):
    over = threading.Event()

    def early(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if then == "stall":
            over.wait(20)
        exchange.close()

    upstream.on = early
    with simple(upstream_lines="idle_timeout = 500ms").client() as client:
        client.send(client.head("PUT", "/x", [("Content-Length", str(8 << 20))]))
        begin = time.monotonic()
        try:
            for _ in range(8 * 16):
                client.send(b"x" * (1 << 16))
            got = client.response().status
        except (OSError, Broken):
            got = None  # broken off
        assert got in (200, None) and time.monotonic() - begin < 10
    over.set()
    upstream.wait_no_connections()


def test_tls_upload_against_an_upstream_that_is_slow_to_read(start, auth, scripted, certs):
    """TLS writes that could not be finished are taken up again, wherever the bytes lie by then."""
    def slow(exchange):
        left = int(exchange.request.get("Content-Length")) - len(exchange.connection.data)
        while left > 0:
            time.sleep(0.002)  # the pace of the reader is what is tested
            left -= len(exchange.connection.sock.recv(4096))
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = scripted(slow, certs=certs)
    server._socket.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF: a small window
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}"))
    with daemon.client() as client:
        client.send(client.head("PUT", "/x", [("Content-Length", "1600000")]))
        for _ in range(400):
            client.send(b"x" * 4000)
        assert client.response().status == 200


@pytest.mark.parametrize("keepalive", [0, 1])
def test_those_who_wait_for_a_connection_all_get_one(simple, upstream, keepalive):
    daemon = simple(upstream_lines=f"max_connections = 1\nkeepalive = {keepalive}\nconnect_timeout = 5s", proxy="workers = 1")
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(daemon.ask().status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 8


@pytest.mark.parametrize("head", ["CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
                                  "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"])
def test_HS14_bytes_behind_connect_or_upgrade_are_no_request(simple, upstream, head):
    daemon = simple()
    with daemon.client() as client:
        head = head.replace("localhost", client.host)
        client.send(head + client.head(target="/smuggled"))
        client.read_to_end(reset_is_fine=True)
    assert daemon.ask(target="/after").status == 200
    assert not [request for request in upstream.requests if b"/smuggled" in request.head]


def test_a_request_that_was_answered_is_not_sent_after_all(start, token_server, upstream):
    """The route's time is over before the token comes: the token then must not send the request on its way."""
    gate = threading.Event()
    tokens = token_server()
    answer = tokens.on

    def late(exchange):
        gate.wait(10)
        answer(exchange)

    tokens.on = late
    daemon = start(one_route(tokens.credential(), upstream.url, route="timeout = 300ms"))
    with daemon.client() as client:
        assert client.ask("POST", "/x", body=b"abc").kind == "request-timeout"
        gate.set()
        daemon.wait_log("token.fetched")
        assert daemon.ask(target="/marker").status == 200
    assert [request.head.split(b" ")[1] for request in upstream.requests] == [b"/marker"]


def test_an_early_refusal_reaches_a_client_that_goes_on_sending(simple, upstream):
    def refuse(exchange):
        exchange.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        exchange.close()

    upstream.on = refuse
    with simple().client() as client:
        client.send(client.head("PUT", "/x", [("Content-Length", str(8 << 20))]) + "x" * 1000)
        answer = client.response()
        assert (answer.status, answer.body) == (413, b"big")


def test_first_byte_timeout_is_not_moved_by_a_trickle(simple, upstream):
    def trickle(exchange):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 400:
            exchange.send(bytes([byte]))
            time.sleep(0.05)

    upstream.on = trickle
    begin = time.monotonic()
    refused = simple(upstream_lines="first_byte_timeout = 500ms").ask()
    assert (refused.status, refused.kind) == (504, "upstream-timeout") and time.monotonic() - begin < 5


def test_draining_does_not_wait_for_idle_clients(simple, upstream):
    gate = threading.Event()

    def slow(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        gate.wait(10)
        exchange.send(b"cd")

    upstream.on = slow
    daemon = simple(proxy="drain_timeout = 20s")
    with daemon.client() as client:
        client.request()
        client.read_until(b"ab")
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("stopping")
        gate.set()
        begin = time.monotonic()
        assert client.read_to_end() == b"cd"
        daemon.check_end(daemon.process.wait_exit())
        assert time.monotonic() - begin < 10
