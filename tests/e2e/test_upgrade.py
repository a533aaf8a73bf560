# SPDX-License-Identifier: MIT
"""Upgrade, at the level of bytes: what is offered to the upstream, what is taken for its consent, and that nothing behind
the question is ever read as a request. (With a real WebSocket server: test_websocket.py.)"""
import hashlib
import os
import signal
import socket
import ssl
import threading

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.raw import RawClient
from kit.scripted import token_answer

ASK = ["Connection: Upgrade", "Upgrade: websocket"]
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Accept: y\r\n\r\n"


class Switching:
    """Answers the handshake, then does `then(connection)` with the bytes."""

    def __init__(self, then=None, answer=AGREED):
        self.then, self.answer = then or self.echo, answer

    def __call__(self, exchange):
        if exchange.request.target == "/smuggled":
            exchange.answer(body=b"SMUGGLED")
            return
        exchange.send(self.answer)
        self.then(exchange)
        exchange.connection.sock.close()

    @staticmethod
    def echo(exchange):
        connection = exchange.connection
        while True:
            connection.sock.sendall(connection.data)
            connection.data = b""
            connection.more()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def switching(request, start, auth, scripted, certs):
    """switching(then=…, lines=…): a daemon in front of a scripted upstream that agrees; the upstream is daemon.upstream."""

    def make(then=None, proxy="", lines="", **options):
        server = scripted(Switching(then, **options), certs=certs if request.param else None)
        lines += f"\nca_file = {certs.ca}" if request.param else ""
        daemon = start(one_route(auth.credential(), server.url, upstream=lines), proxy)
        daemon.upstream, daemon.tls = server, request.param
        return daemon

    return make


def switch(client, fields=ASK, behind=b"", **options):
    client.send(client.head(fields=fields, **options).encode() + behind)
    head = client.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
    return head


# -- the question and its answer -----------------------------------------------------------------


def test_HS12_HS13_both_sides_agree(switching):
    daemon = switching()
    with daemon.client() as client:
        head = switch(client).lower()
        assert b"connection: upgrade\r\n" in head and b"upgrade: websocket\r\n" in head and b"x-accept: y\r\n" in head
        assert b"content-length" not in head and b"transfer-encoding" not in head
        client.send(b"hello")
        assert client.read_until(b"hello")
    request = daemon.upstream.last
    assert request.get("Upgrade") == "websocket" and request.get("Connection") == "Upgrade"
    assert request.token and request.get("Content-Length") is None


@pytest.mark.parametrize(
    "lines, asked, offered",
    [
        ("", "websocket", "websocket"),
        ("", "WebSocket", "WebSocket"),
        ("", "h2c, websocket, foo/2", "websocket"),
        ("upgrade = websocket foo/2 bar", "bar, Foo/2,foo/1", "bar, Foo/2"),
        ("", "h2c", None),
        ("", "websocket/13", None),
        ("upgrade = none", "websocket", None),
        ("upgrade = none", "none", None),
        ("upgrade = foo", "websocket", None),
    ],
)
def test_HS13_only_what_is_allowed_is_offered(simple, upstream, lines, asked, offered):
    answer = simple(upstream_lines=lines).ask(fields=["Connection: keep-alive, Upgrade", f"Upgrade: {asked}", "HTTP2-Settings: x"])
    assert answer.status == 200 and answer.get("Upgrade") is None and answer.get("Connection") == "close"
    assert upstream.last.get("Upgrade") == offered
    assert upstream.last.get("Connection") == ("Upgrade" if offered else None)
    assert upstream.last.get("HTTP2-Settings") is None


@pytest.mark.parametrize(
    "fields, version, body",
    [
        (["Upgrade: websocket"], "HTTP/1.1", b""),
        (["Connection: Upgrade"], "HTTP/1.1", b""),
        (ASK, "HTTP/1.0", b""),
        ([*ASK, "Content-Length: 0"], "HTTP/1.1", b""),
        ([*ASK, "Content-Length: 4"], "HTTP/1.1", b"body"),
        ([*ASK, "Transfer-Encoding: chunked"], "HTTP/1.1", b"0\r\n\r\n"),
    ],
    ids=["no Connection", "no Upgrade", "HTTP/1.0", "length 0", "length", "chunked"],
)
def test_HS13_nothing_is_offered_that_could_not_be_kept(simple, upstream, fields, version, body):
    with simple().client() as client:
        client.send(client.head("POST", fields=fields, version=version).encode() + body)
        assert client.response("POST").status == 200
    assert upstream.last.get("Upgrade") is None and upstream.last.get("Connection") is None


def test_trailers_and_upgrade_in_one_question(simple, upstream):
    simple().ask(fields=["Connection: TE, Upgrade", "TE: trailers", "Upgrade: websocket"])
    assert upstream.last.get("Connection") == "TE, Upgrade" and upstream.last.get("TE") == "trailers"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=repr,
)
def test_HS12_another_protocol_than_those_offered_is_refused(simple, upstream, answer):
    upstream.on = Switching(lambda exchange: exchange.wait_peer_closed(), answer)
    refused = simple().ask(fields=ASK)
    assert (refused.status, refused.kind) == (502, "upstream-malformed")
    upstream.wait_no_connections()


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "426 Upgrade Required", "500 X"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_HS14_another_answer_is_an_ordinary_one_and_ends_the_connection(simple, upstream, status, framing):
    """What the client sent behind its question may be of the other protocol: it is no request."""
    heads = {"length": b"Content-Length: 5\r\n\r\nhello", "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "close": b"\r\nhello"}

    def handler(exchange):
        exchange.send(f"HTTP/1.1 {status}\r\nX-A: b\r\n".encode() + heads[framing])
        if framing == "close":
            exchange.close()

    upstream.on = handler
    daemon = simple()
    with daemon.client() as client:
        client.send(client.head(fields=ASK) + client.head(target="/smuggled"))
        answer = client.response()
        assert (answer.status, answer.body, answer.get("X-A")) == (int(status[:3]), b"hello", "b")
        assert answer.get("Connection") == "close" and client.is_closed_by_peer()
    assert daemon.ask(target="/after").status == int(status[:3])
    assert [request.target for request in upstream.requests] == ["/", "/after"]


def test_a_refused_token_is_renewed_before_the_switch(start, token_server, scripted):
    tokens = token_server(token_answer("first"), token_answer("second"))
    agree = Switching()

    def handler(exchange):
        if exchange.request.token == "first":
            exchange.answer("401 Unauthorized", fields=[("WWW-Authenticate", "Bearer")])
        else:
            agree(exchange)

    server = scripted(handler)
    with start(one_route(tokens.credential(), server.url)).client() as client:
        switch(client)
        client.send(b"hello")
        assert client.read_until(b"hello")
    assert server.tokens() == ["first", "second"]
    assert [request.get("Upgrade") for request in server.requests] == ["websocket"] * 2


def test_HS12_interim_responses_may_come_first(switching):
    daemon = switching(answer=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + AGREED)
    with daemon.client() as client:
        client.request(fields=ASK)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        client.send(b"hello")
        assert client.read_until(b"hello")


def test_requests_before_it_on_the_same_connection(switching):
    daemon = switching()
    agree, server = daemon.upstream.on, daemon.upstream
    server.on = lambda exchange: agree(exchange) if exchange.request.get("Upgrade") else exchange.answer(body=b"plain")
    with daemon.client() as client:
        client.send(client.head(target="/1") + client.head(target="/2") + client.head(target="/3", fields=ASK) + "early")
        assert client.response().body == b"plain" and client.response().body == b"plain"
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.read_until(b"early")


# -- bytes ---------------------------------------------------------------------------------------


def test_bytes_behind_the_question_wait_for_the_answer(switching):
    """They reach the upstream, in their order, but not before it has agreed."""
    asked, go_on, seen = threading.Event(), threading.Event(), []

    class Late(Switching):
        def __call__(self, exchange):
            asked.set()
            assert go_on.wait(20)
            sock = exchange.connection.sock
            if not isinstance(sock, ssl.SSLSocket):
                sock.setblocking(False)
                with pytest.raises(BlockingIOError):
                    sock.recv(1)
                sock.setblocking(True)
            seen.append(exchange.connection.data)
            super().__call__(exchange)

    daemon = switching()
    daemon.upstream.on = Late()
    behind = b"first" + os.urandom(40_000) + b"last"
    with daemon.client() as client:
        client.send(client.head(fields=ASK).encode() + behind[:10_000])
        assert asked.wait(20)
        client.send(behind[10_000:])
        go_on.set()
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.read_until(b"last") == behind
    assert seen == [b""]


def test_bytes_behind_the_answer_come_along(switching):
    def then(exchange):
        exchange.wait_peer_closed()

    daemon = switching(then, answer=AGREED + b"early bird")
    with daemon.client() as client:
        switch(client)
        assert client.read_until(b"early bird") == b"early bird"


def test_bytes_of_any_kind_pass_unchanged(switching):
    daemon = switching()
    data = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(range(256)) + b"\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    with daemon.client() as client:
        switch(client)
        for byte in data:
            client.send(bytes([byte]))
        client.send(b"<end>")
        assert client.read_until(b"<end>") == data + b"<end>"


def test_large_amounts_both_ways_at_once(switching):
    daemon = switching()
    total, block = 64 << 20, os.urandom(1 << 16)
    with daemon.client(timeout=60) as client:
        switch(client)

        def send():
            for _ in range(total // len(block)):
                client.send(block)

        sender = threading.Thread(target=send)
        sender.start()
        got, digest = len(client.data), hashlib.sha256(client.data)
        while got < total:
            data = client.sock.recv(1 << 20)
            assert data
            got += len(data)
            digest.update(data)
        sender.join(30)
    assert digest.digest() == hashlib.sha256(block * (total // len(block))).digest()


def stalled(counter):
    """Until the counter stands still; its value then."""
    last = [-1, 0]

    def is_still():
        last[1] = last[1] + 1 if counter[0] == last[0] else 0
        last[0] = counter[0]
        return counter[0] and last[1] > 50

    wait_until(is_still, 30, "the sender stands still")
    return counter[0]


def test_back_pressure_of_the_client_stops_the_upstream(switching):
    sent, total, block = [0], 64 << 20, os.urandom(1 << 16)

    def then(exchange):
        while sent[0] < total:
            exchange.send(block)
            sent[0] += len(block)

    daemon = switching(then)
    with daemon.client(timeout=60) as client:
        switch(client)
        assert stalled(sent) < 32 << 20
        got = client.data + client._fill_exactly(total - len(client.data))
        assert got == block * (total // len(block))
        wait_until(lambda: sent[0] == total, 20, "all is sent")


def test_back_pressure_of_the_upstream_stops_the_client(switching):
    go_on, sent, total, block, got = threading.Event(), [0], 64 << 20, b"z" * (1 << 16), []

    def then(exchange):
        assert go_on.wait(60)
        got.append(sum(len(exchange.connection.exactly(1 << 16)) for _ in range(total >> 16)))
        exchange.send(b"thanks")

    daemon = switching(then)
    with daemon.client(timeout=60) as client:
        switch(client)

        def send():
            while sent[0] < total:
                client.send(block)
                sent[0] += len(block)

        sender = threading.Thread(target=send)
        sender.start()
        assert stalled(sent) < 32 << 20
        go_on.set()
        assert client.read_until(b"thanks")
        sender.join(20)
    assert got == [total]


# -- ends ----------------------------------------------------------------------------------------


def test_half_close_of_the_client(switching):
    """The upstream sees the end of what the client sends, and can still answer."""
    got = []

    def then(exchange):
        try:
            while True:
                exchange.connection.more()
        except Exception:
            got.append(exchange.connection.data)
        exchange.send(b"the last word")

    daemon = switching(then)
    with daemon.client() as client:
        switch(client)
        client.send(b"all of it")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b"the last word"
    assert got == [b"all of it"]
    daemon.wait_log('event=tunnel.closed .*bytes_up=9 bytes_down=13')


def test_half_close_of_the_upstream(start, auth, scripted):
    got = []

    def then(exchange):
        exchange.send(b"the last word")
        exchange.connection.sock.shutdown(socket.SHUT_WR)
        got.append(exchange.connection.exactly(5))

    server = scripted(Switching(then))
    with start(one_route(auth.credential(), server.url)).client() as client:
        switch(client)
        assert client.read_to_end() == b"the last word"
        client.send(b"still")
        wait_until(lambda: got == [b"still"], 10, "it arrives")


@pytest.mark.parametrize("rude", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("side", ["client", "upstream"])
def test_an_end_of_either_side_ends_the_other(switching, side, rude):
    def then(exchange):
        if side == "upstream":
            exchange.connection.exactly(1)
            exchange.reset() if rude else exchange.close()
        else:
            exchange.wait_peer_closed(20)

    daemon = switching(then)
    with daemon.client() as client:
        switch(client)
        if side == "client":
            client.reset() if rude else client.close()
        else:
            client.send(b"x")
            client.read_to_end(reset_is_fine=True)
    daemon.upstream.wait_no_connections()
    daemon.wait_log("event=tunnel.closed")
    assert daemon.ask(target="/smuggled").body == b"SMUGGLED"


def test_idle_tunnels_are_closed(switching):
    daemon = switching(lines="tunnel_idle_timeout = 300ms")
    with daemon.client() as client:
        switch(client)
        assert client.read_to_end(reset_is_fine=True) == b""
    daemon.wait_log('event=tunnel.closed .*tunnel_idle_timeout')
    daemon.upstream.wait_no_connections()


def test_and_only_idle_ones(switching):
    """Longer than the limit in all, with bytes one way only."""
    daemon = switching(lambda exchange: exchange.wait_peer_closed(20), lines="tunnel_idle_timeout = 1500ms")
    with daemon.client() as client:
        switch(client)
        for _ in range(8):
            threading.Event().wait(0.3)  # the pace of the sender is what is tested
            client.send(b"x")
        client.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.sock.recv(1)


def test_request_timeout_ends_with_the_handshake(switching):
    daemon = switching(proxy="request_timeout = 500ms\nbody_timeout = 500ms\nkeepalive_timeout = 500ms", lines="idle_timeout = 500ms")
    with daemon.client() as client:
        switch(client)
        threading.Event().wait(1.2)
        client.send(b"hello")
        assert client.read_until(b"hello")


def test_but_holds_for_the_handshake(simple, upstream):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    assert simple(proxy="request_timeout = 300ms").ask(fields=ASK).kind == "request-timeout"


def test_tunnels_count_as_connections(switching):
    daemon = switching(proxy="workers = 1\nmax_connections = 1")
    first = daemon.client()
    switch(first)
    with daemon.client() as second:
        second.request(target="/smuggled")
        second.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            second.sock.recv(1)
        first.close()
        second.sock.settimeout(20)
        assert second.response().body == b"SMUGGLED"


def test_draining_lets_them_go_on_for_a_while_and_no_longer(switching):
    daemon = switching(proxy="drain_timeout = 1s")
    with daemon.client() as client:
        switch(client)
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("stopping")
        client.send(b"still there")
        assert client.read_until(b"still there")
        assert client.read_to_end(reset_is_fine=True) == b""
        daemon.check_end(daemon.process.wait_exit())


def test_draining_ends_with_the_last_of_them(switching):
    daemon = switching(proxy="drain_timeout = 60s")
    with daemon.client() as client:
        switch(client)
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("stopping")
    daemon.check_end(daemon.process.wait_exit(20))


def test_a_client_that_leaves_before_the_answer(switching):
    asked = threading.Event()

    def handler(exchange):
        asked.set()
        exchange.wait_peer_closed(20)

    daemon = switching()
    daemon.upstream.on = handler
    with daemon.client() as client:
        client.request(fields=ASK)
        assert asked.wait(20)
    daemon.upstream.wait_no_connections()


def test_over_a_unix_socket(start, auth, scripted, tmp_path):
    server = scripted(Switching())
    daemon = start(one_route(auth.credential(), server.url), f"listen = unix:{tmp_path}/proxy.sock")
    with RawClient(f"{tmp_path}/proxy.sock") as client:
        switch(client)
        client.send(b"hello")
        assert client.read_until(b"hello")
    daemon.wait_log("event=tunnel.closed")


def test_a_reload_leaves_what_is_open(start, auth, scripted):
    server = scripted(Switching())
    daemon = start(one_route(auth.credential(), server.url))
    with daemon.client() as first:
        switch(first)
        daemon.reload(one_route(auth.credential(), server.url, upstream="upgrade = none"))
        first.send(b"still there")
        assert first.read_until(b"still there")
        server.on = lambda exchange: exchange.answer()
        assert daemon.ask(fields=ASK).status == 200
        assert server.last.get("Upgrade") is None
    daemon.wait_log("event=tunnel.closed to=api")


def test_one_after_the_other(switching):
    """Nothing of an ended one is left for the next."""
    daemon = switching(proxy="workers = 1")
    for number in range(3):
        with daemon.client() as client:
            switch(client)
            client.send(b"hello %d" % number)
            assert client.read_until(b"hello %d" % number)
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read_to_end() == b""
        wait_until(lambda: daemon.log.count("bytes_up=7 bytes_down=7") == number + 1, 10, "its end is logged")
