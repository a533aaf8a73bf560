# SPDX-License-Identifier: MIT
"""Responses before the response (1xx): passed on at once to those who can read them, and to nobody else."""
import threading

import pytest
from conftest import one_route

FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nKeep-Alive: x\r\nX-Hop: y\r\nConnection: x-hop\r\n\r\n"


class Held:
    """Sends `first`, and the final response only when the test says so."""

    def __init__(self, first, final=FINAL):
        self.first, self.final, self.go_on = first, final, threading.Event()

    def __call__(self, exchange):
        exchange.read_body()
        exchange.send(self.first)
        assert self.go_on.wait(20)
        exchange.send(self.final)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_HS12_early_hints_arrive_before_the_answer_is_sent(start, auth, scripted, certs, tls):
    held = Held(HINTS)
    server = scripted(held, certs=certs if tls else None)
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}" if tls else ""), "workers = 1")
    with daemon.client() as client:
        for _ in range(3):
            held.go_on.clear()
            client.request()
            head = client.read_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 103 Early Hints\r\n") and b"Link: </a.css>; rel=preload\r\n" in head
            assert b"keep-alive" not in head.lower() and b"x-hop" not in head.lower()
            held.go_on.set()
            assert client.response().body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("wait", [0.0, 0.3], ids=["at once", "after a while"])
def test_HS12_also_to_a_client_that_has_waited_long(simple, upstream, wait):
    """After a while without an answer bearerd watches the client in another way."""
    begin, held = threading.Event(), Held(HINTS)

    def late(exchange):
        begin.wait(wait)
        held(exchange)

    upstream.on = late
    with simple().client() as client:
        client.request()
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
        held.go_on.set()
        assert client.response().body == b"ok"


def test_HS12_during_an_upload(simple, upstream):
    """102 says that the upstream is still there, while the client still sends."""

    def processing(exchange):
        exchange.connection.exactly(5)
        exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        exchange.connection.exactly(6)
        exchange.request.body = b""
        exchange.answer(body=b"done")

    upstream.on = processing
    with simple().client() as client:
        client.send(client.head("PUT", fields=["Content-Length: 11"]) + "first")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 102 Processing\r\n")
        client.send("second")
        assert client.response("PUT").body == b"done"


def test_HS12_several_in_their_order(simple, upstream):
    upstream.on = Held(b"".join(b"HTTP/1.1 103 Early Hints\r\nX-Number: %d\r\n\r\n" % i for i in range(20)))
    upstream.on.go_on.set()
    with simple().client() as client:
        client.request()
        for i in range(20):
            assert b"X-Number: %d\r\n" % i in client.read_until(b"\r\n\r\n")
        assert client.response().body == b"ok"


@pytest.mark.parametrize("status", ["103 Early Hints", "100 Continue"])
def test_HS12_but_no_more_than_twenty(simple, upstream, status):
    upstream.on = Held(f"HTTP/1.1 {status}\r\n\r\n".encode() * 21)
    upstream.on.go_on.set()
    answer = simple().ask()
    assert (answer.status, answer.kind) == (502, "upstream-malformed")


def test_HS12_no_1xx_for_http10(simple, upstream):
    upstream.on = Held(HINTS + b"HTTP/1.1 102 Processing\r\n\r\n")
    upstream.on.go_on.set()
    with simple().client() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.read_to_end().startswith(b"HTTP/1.1 200 ")


def test_HS12_a_100_that_nobody_asked_the_upstream_for_ends_with_bearerd(simple, upstream):
    upstream.on = Held(b"HTTP/1.1 100 Continue\r\n\r\n")
    upstream.on.go_on.set()
    with simple().client() as client:
        client.send(client.head("PUT", fields=["Content-Length: 1", "Expect: 100-continue"]))
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send("x")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert upstream.last.get("Expect") is None


@pytest.mark.parametrize("fields", [[], ["Connection: upgrade", "Upgrade: x"]], ids=["unasked", "not allowed"])
def test_HS12_a_101_that_bearerd_did_not_ask_for_is_refused(simple, upstream, fields):
    upstream.on = Held(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"")
    upstream.on.go_on.set()
    answer = simple().ask(fields=fields)
    assert (answer.status, answer.kind) == (502, "upstream-malformed")


def test_a_dead_connection_is_not_tried_again_once_it_has_spoken(simple, upstream):
    """A 1xx is a byte of the response: what follows is no connection that had died while it idled."""

    def handler(exchange):
        if exchange.request.target == "/second":
            exchange.send(HINTS)
            exchange.close()
        else:
            exchange.answer()

    upstream.on = handler
    daemon = simple(proxy="workers = 1")
    assert daemon.ask(target="/first").status == 200
    assert daemon.ask(target="/second").kind == "upstream-closed"
    assert [request.target for request in upstream.requests] == ["/first", "/second"]


def test_expect_continue_is_answered_once_the_request_may_go_on(simple, upstream, token_server):
    """By bearerd itself, when caller, route and token are settled; the upstream sees no expectation."""
    gate = threading.Event()
    tokens = token_server()
    answer = tokens.on

    def late(exchange):
        assert gate.wait(10)
        answer(exchange)

    tokens.on = late
    with simple(credential=tokens.credential()).client() as client:
        client.send(client.head("POST", fields=["Content-Length: 5", "Expect: 100-continue"]))
        tokens.wait_requests(1)
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(20)
        gate.set()
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send("hello")
        assert client.response("POST").status == 200
    assert upstream.last.body == b"hello" and upstream.last.get("Expect") is None


def test_an_expectation_of_something_else_is_not_forwarded_or_answered(simple, upstream):
    assert simple().ask("POST", body=b"x", fields=["Expect: 200-ok"]).status == 200
    assert upstream.last.get("Expect") is None


def test_http10_clients_are_sent_no_100(simple, upstream):
    with simple().client() as client:
        client.send("POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab")
        assert client.read_to_end().startswith(b"HTTP/1.1 200 ")
    assert upstream.last.body == b"ab"
