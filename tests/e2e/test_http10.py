# SPDX-License-Identifier: MIT
"""HTTP/1.0 clients: their connection is kept only when they ask for it and the end of the answer can be told without;
nothing of HTTP/1.1 (chunks, interim responses, trailers) reaches them."""
import pytest

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"


def sends(raw):
    def handler(exchange):
        exchange.read_body()
        exchange.send(raw)

    return handler


def get(client, target="/", fields="", method="GET"):
    client.send(f"{method} {target} HTTP/1.0\r\nHost: {client.host}\r\n{fields}\r\n")


@pytest.mark.parametrize("fields", ["", "Connection: close\r\n"], ids=["silent", "close"])
@pytest.mark.parametrize("raw", [LENGTH, CHUNKED, b"HTTP/1.1 204 No Content\r\n\r\n"], ids=["length", "chunked", "204"])
def test_without_keep_alive_the_connection_ends(simple, upstream, fields, raw):
    upstream.on = sends(raw)
    with simple().client() as client:
        get(client, fields=fields)
        head, body = client.read_to_end().split(b"\r\n\r\n", 1)
    assert body == (b"" if b"204" in raw else b"abc")
    assert b"chunked" not in head.lower() and b"x-sum" not in head.lower()


def test_with_keep_alive_it_stays_where_the_length_is_known(simple, upstream):
    upstream.on = sends(LENGTH)
    with simple().client() as client:
        for _ in range(3):
            get(client, fields="Connection: keep-alive\r\n")
            assert b"\r\nconnection: keep-alive\r\n" in client.read_until(b"\r\n\r\n").lower()
            assert client.read_until(b"abc") == b"abc"
        get(client)
        assert client.read_to_end().endswith(b"\r\n\r\nabc")


def test_with_keep_alive_it_ends_where_the_length_is_not(simple, upstream):
    upstream.on = sends(CHUNKED)
    with simple().client() as client:
        get(client, fields="Connection: keep-alive\r\n")
        head, body = client.read_to_end().split(b"\r\n\r\n", 1)
    assert body == b"abc" and b"connection: close" in head.lower()


def test_pipelined_with_keep_alive(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(body=exchange.request.target.encode())
    with simple().client() as client:
        for i in range(5):
            get(client, f"/{i}", "Connection: keep-alive\r\n")
        for i in range(5):
            client.read_until(b"\r\n\r\n")
            assert client.read_until(b"/%d" % i) == b"/%d" % i


def test_without_Host(simple, upstream):
    with simple().client() as client:
        client.send("GET /x HTTP/1.0\r\n\r\n")
        assert client.read_to_end().startswith(b"HTTP/1.1 200 ")
    assert upstream.last.get("Host") == upstream.authority and upstream.last.version == "HTTP/1.1"


def test_a_body_with_a_length(simple, upstream):
    with simple().client() as client:
        client.send("POST /x HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody")
        assert client.read_to_end().startswith(b"HTTP/1.1 200 ")
    assert upstream.last.body == b"body"


STATUSES = ["200 OK", "204 No Content", "205 Reset Content", "304 Not Modified"]
LENGTHS = ["Content-Length: 0\r\n", "Content-Length: 1234\r\n", ""]
# A GET that is answered with a length has a body, but for 304; with 200 and none, too.
BODILESS = [
    (method, status, length)
    for method in ("GET", "HEAD")
    for status in STATUSES
    for length in LENGTHS
    if method == "HEAD" or status.startswith("304") or "1234" not in length and (status, length) != ("200 OK", "")
]


@pytest.mark.parametrize("method, status, length", BODILESS, ids=lambda value: value.strip() or "no length")
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_answers_without_a_body(simple, upstream, status, length, method, version):
    """Whatever they say of a length: no byte of a body follows, and the next answer can be read where there is one."""
    upstream.on = sends(f"HTTP/1.1 {status}\r\nX-A: b\r\n{length}\r\n".encode())
    with simple().client() as client:
        client.send(f"{method} / {version}\r\nHost: {client.host}\r\nConnection: keep-alive\r\n\r\n")
        head = client.read_until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 " + status[:3].encode()) and b"x-a: b\r\n" in head and b"chunked" not in head
        if "1234" in length and not status.startswith(("204", "205")):
            assert b"content-length: 1234\r\n" in head
        if status.startswith("204"):
            assert b"content-length" not in head
        if b"connection: close" in head:
            assert client.is_closed_by_peer()
        else:
            upstream.on = lambda exchange: exchange.answer(body=b"next")
            assert client.ask().body == b"next"
