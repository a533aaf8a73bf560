# SPDX-License-Identifier: MIT
"""Answers that come while the client still sends: they reach it, whole, also when it does not stop sending, or has
stopped and waits; and an answer and its request may go on side by side."""
import signal
import socket
import threading

import pytest
from conftest import one_route
from kit.raw import Broken

PART = b"x" * 1000


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


FRAMINGS = {
    "whole": (b"Content-Length: 3\r\n", [b"big"], b"big"),
    "length": (b"Content-Length: 200000\r\n", [b"y" * 100000, b"z" * 100000], b"y" * 100000 + b"z" * 100000),
    "chunked": (b"Transfer-Encoding: chunked\r\n", [chunk(b"y" * 100000), chunk(b"zz"), b"0\r\nX-Sum: 1\r\n\r\n"], b"y" * 100000 + b"zz"),
    "until close": (b"", [b"y" * 100000, b"z"], b"y" * 100000 + b"z"),
    "empty": (b"Content-Length: 0\r\n", [], b""),
}
SIZES = {"short": 100_000, "long": 64 << 20, "chunked": None}


def refusing(status, framing, after=1000):
    """Answers after the first bytes of the body, then closes its side, and listens until the other closes, too."""
    fields, parts, _ = FRAMINGS[framing]

    def handler(exchange):
        exchange.connection.exactly(after)
        exchange.send(f"HTTP/1.1 {status} X\r\nX-A: b\r\n".encode() + fields + b"\r\n")
        for part in parts:
            exchange.send(part)
        exchange.connection.sock.shutdown(socket.SHUT_WR)
        exchange.wait_peer_closed(20)

    return handler


def start_upload(client, size, fields=()):
    """The head and the first 1000 bytes; returns what turns more bytes into body."""
    framing = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    client.send(client.head("PUT", fields=[framing, *fields]))
    wrap = chunk if size is None else bytes
    client.send(wrap(PART))
    return wrap


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", [413, 401, 307])
def test_it_reaches_a_client_that_has_stopped_and_waits(simple, upstream, framing, size, status):
    upstream.on = refusing(status, framing)
    with simple(proxy="body_timeout = 20s").client() as client:
        start_upload(client, SIZES[size])
        answer = client.response("PUT")
        assert (answer.status, answer.body, answer.get("X-A")) == (status, FRAMINGS[framing][2], "b")
        assert answer.get("Connection") == "close" and client.is_closed_by_peer()


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", ["long", "chunked"])
def test_it_reaches_a_client_that_sends_on_and_reads_later(simple, upstream, framing, size):
    upstream.on = refusing(413, framing)
    with simple().client() as client:
        wrap = start_upload(client, SIZES[size])
        for _ in range(400):
            client.send(wrap(b"x" * 20000))
        answer = client.response("PUT")
    assert (answer.status, answer.body) == (413, FRAMINGS[framing][2])


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_short_upload_is_heard_to_its_end_and_the_connection_kept(simple, upstream, framing):
    upstream.on = refusing(413, framing)
    with simple().client() as client:
        start_upload(client, 100_000)
        client.send(b"x" * 99_000)
        answer = client.response("PUT")
        assert (answer.status, answer.body) == (413, FRAMINGS[framing][2])
        upstream.on = lambda exchange: exchange.answer(body=b"next")
        assert client.ask().body == b"next"


def test_also_one_that_takes_it_slowly(simple, upstream):
    """Far more than sockets hold, while nobody reads; then all of it."""
    blocks, sent = 200, threading.Event()

    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(blocks):
            exchange.send(chunk(bytes([i]) * 100_000))
        exchange.send(b"0\r\n\r\n")
        sent.set()

    upstream.on = handler
    daemon = simple()
    with daemon.client() as client:
        start_upload(client, 64 << 20)
        assert not sent.wait(1), "20 MB are held somewhere"
        assert client.response("PUT").body == b"".join(bytes([i]) * 100_000 for i in range(blocks))


def test_it_streams(simple, upstream):
    """Each part is sent only when the one before has arrived."""
    arrived = threading.Semaphore(0)

    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            exchange.send(chunk(b"part%d" % i))
            assert arrived.acquire(timeout=20)
        exchange.send(b"0\r\n\r\n")

    upstream.on = handler
    with simple().client() as client:
        start_upload(client, None)
        for i in range(5):
            client.read_until(b"part%d" % i)
            arrived.release()
        client.read_until(b"0\r\n\r\n")


def test_trailers_go_along(simple, upstream):
    upstream.on = refusing(400, "chunked")
    with simple().client() as client:
        start_upload(client, None)
        assert client.read_to_end().endswith(b"\r\n0\r\nX-Sum: 1\r\n\r\n")


@pytest.mark.parametrize("size", ["long", "chunked"])
def test_T25_one_that_breaks_off_is_never_whole(simple, upstream, size):
    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 400 X\r\nContent-Length: 100000\r\n\r\n" + b"y" * 60000)
        exchange.close()

    upstream.on = handler
    with simple().client() as client, pytest.raises(Broken):
        start_upload(client, SIZES[size])
        client.response("PUT")


def test_T25_for_http10_clients_a_reset_tells(simple, upstream):
    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"y" * 1000))
        exchange.server.go_on.wait(20)
        exchange.close()

    upstream.on, upstream.go_on = handler, threading.Event()
    with simple().client() as client:
        client.send(f"PUT / HTTP/1.0\r\nContent-Length: {64 << 20}\r\n\r\n".encode() + PART)
        client.read_until(b"y" * 1000)
        upstream.go_on.set()
        with pytest.raises(ConnectionResetError):
            client.read_to_end()


def test_http10_clients_get_it_to_the_end_of_the_connection(simple, upstream):
    upstream.on = refusing(400, "chunked")
    with simple().client() as client:
        client.send(f"PUT / HTTP/1.0\r\nContent-Length: {64 << 20}\r\n\r\n".encode() + PART)
        head, body = client.read_to_end().split(b"\r\n\r\n", 1)
    assert b"chunked" not in head and body == FRAMINGS["chunked"][2]


def test_bearerd_s_own_refusals_arrive_the_same_way(simple, upstream):
    daemon = simple(proxy="body_limit = 100k")
    with daemon.client() as client:
        wrap = start_upload(client, None)
        for _ in range(400):
            client.send(wrap(b"x" * 20000))
        assert client.response("PUT").kind == "body-too-large"
    with daemon.client() as client:
        client.send(client.head("PUT", fields=[f"Content-Length: {64 << 20}"]))
        for _ in range(400):
            client.send(b"x" * 20000)
        assert client.response("PUT").kind == "body-too-large"
    assert not any(request.get("Content-Length") for request in upstream.requests)


def test_an_impatient_client_of_an_expectation_is_refused_in_one_piece(simple, upstream):
    with simple(proxy="body_limit = 10").client() as client:
        client.send(client.head("PUT", fields=["Transfer-Encoding: chunked", "Expect: 100-continue", "Host: again"]))
        assert client.response("PUT").status == 400
    with simple(proxy="body_limit = 10").client() as client:
        client.send(client.head("PUT", fields=[f"Content-Length: {64 << 20}", "Expect: 100-continue"]))
        data = client.read_to_end()
    assert data.startswith(b"HTTP/1.1 413 ") and data.count(b"HTTP/1.1 ") == 1


def test_the_time_to_stop_sending_is_limited(simple, upstream):
    upstream.on = refusing(413, "whole")
    with simple().client() as client:
        start_upload(client, None)
        assert client.response("PUT").status == 413
        with pytest.raises(OSError):  # it is shut out at last
            for _ in range(200):
                client.send(chunk(b"x"))
                client.sock.settimeout(0.1)
                try:
                    assert client.sock.recv(1) == b""
                    threading.Event().wait(0.1)  # the pace of the sender is what is tested
                except TimeoutError:
                    pass


def test_the_client_may_leave_any_time(simple, upstream):
    gone = threading.Event()

    def endless(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                exchange.send(chunk(b"y" * 10000))
        except OSError:
            gone.set()
            raise

    upstream.on = endless
    daemon = simple()
    for leave in ("close", "reset"):
        gone.clear()
        client = daemon.client()
        start_upload(client, None)
        client.read_until(b"yyy")
        getattr(client, leave)()
        assert gone.wait(20)
    upstream.on = lambda exchange: exchange.answer()
    assert daemon.ask().status == 200


# -- side by side --------------------------------------------------------------------------------


def echo_chunks(exchange):
    """200 before the body; then each chunk comes back as it arrives."""
    connection = exchange.connection
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while size := int(connection.until(b"\r\n"), 16):
        exchange.send(chunk(connection.exactly(size + 2)[:-2]))
    connection.until(b"\r\n")
    exchange.request.body = b""
    exchange.send(b"0\r\n\r\n")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_request_and_answer_may_go_on_side_by_side(start, auth, scripted, certs, tls):
    """A conversation: each part is sent when the answer to the one before has come."""
    server = scripted(echo_chunks, certs=certs if tls else None)
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}" if tls else ""))
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]) + "2\r\nhi\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        client.read_until(b"hi")
        for i in range(20):
            client.send(chunk(b"<part %d>" % i))
            client.read_until(b"<part %d>" % i)
        client.send(b"0\r\n\r\n")
        client.read_until(b"\r\n0\r\n\r\n")
        assert client.is_closed_by_peer()


def test_side_by_side_under_back_pressure_both_ways(simple, upstream):
    """More than all buffers hold, each way, at once."""
    upstream.on = echo_chunks
    total, block = 400, b"z" * 65536
    with simple().client(timeout=60) as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]))

        def send():
            for _ in range(total):
                client.send(chunk(block))
            client.send(b"0\r\n\r\n")

        sender = threading.Thread(target=send)
        sender.start()
        answer = client.response("POST")
        sender.join(30)
    assert answer.status == 200 and len(answer.body) == total * len(block)


def test_side_by_side_the_answer_may_end_first(simple, upstream):
    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        exchange.wait_peer_closed(20)

    upstream.on = handler
    with simple().client() as client:
        wrap = start_upload(client, 64 << 20)
        answer = client.response("PUT")
        assert (answer.status, answer.body) == (200, b"ok")
        client.send(wrap(PART))
    upstream.wait_no_connections()


def test_side_by_side_idle_timeout_ends_a_silent_pair(simple, upstream):
    def silent(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"hello"))
        exchange.wait_peer_closed(20)

    upstream.on = silent
    with simple(upstream_lines="idle_timeout = 300ms").client() as client, pytest.raises(Broken):
        start_upload(client, None)
        client.response("PUT")


def test_side_by_side_body_limit_breaks_it_off(simple, upstream):
    upstream.on = echo_chunks
    with simple(proxy="body_limit = 5000").client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]) + "2\r\nhi\r\n")
        client.read_until(b"hi")
        client.send(chunk(b"x" * 5000))
        assert b"0\r\n\r\n" not in client.read_to_end(reset_is_fine=True)
    upstream.wait_no_connections()


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_side_by_side_an_end_ends_the_other(simple, upstream, side):
    ended = threading.Event()

    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"hello"))
        if side == "upstream":
            exchange.reset()
        else:
            exchange.wait_peer_closed(20)
        ended.set()

    upstream.on = handler
    client = simple().client()
    start_upload(client, None)
    if side == "client":
        client.read_until(b"hello")
        client.close()
    else:
        assert b"0\r\n\r\n" not in client.read_to_end(reset_is_fine=True)
    assert ended.wait(20)


def test_side_by_side_malformed_trailers_break_it_off(simple, upstream):
    whole = []

    def handler(exchange):
        echo_chunks(exchange)
        whole.append(True)

    upstream.on = handler
    with simple().client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]) + "2\r\nhi\r\n")
        client.read_until(b"hi")
        client.send("0\r\nX A: b\r\n\r\n")
        assert b"0\r\n\r\n" not in client.read_to_end(reset_is_fine=True)
    upstream.wait_no_connections()
    assert not whole


def test_side_by_side_the_client_s_half_close_is_an_end(simple, upstream):
    """As elsewhere: who closes his side in the midst of a request has given it up."""
    gone = threading.Event()

    def handler(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"hello"))
        exchange.wait_peer_closed(20)
        gone.set()

    upstream.on = handler
    with simple().client() as client:
        start_upload(client, None)
        client.read_until(b"hello")
        client.sock.shutdown(socket.SHUT_WR)
        assert gone.wait(20)


def test_draining_waits_for_both(simple, upstream):
    upstream.on = echo_chunks
    daemon = simple(proxy="drain_timeout = 20s")
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]) + "2\r\nhi\r\n")
        client.read_until(b"hi")
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("stopping")
        client.send(chunk(b"more"))
        client.read_until(b"more")
        client.send(b"0\r\n\r\n")
        client.read_until(b"\r\n0\r\n\r\n")
        daemon.check_end(daemon.process.wait_exit())


def test_at_the_end_of_the_drain_they_are_cut(simple, upstream):
    upstream.on = echo_chunks
    daemon = simple(proxy="drain_timeout = 300ms")
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]) + "2\r\nhi\r\n")
        client.read_until(b"hi")
        daemon.process.signal(signal.SIGTERM)
        assert b"0\r\n\r\n" not in client.read_to_end(reset_is_fine=True)
        daemon.check_end(daemon.process.wait_exit())
