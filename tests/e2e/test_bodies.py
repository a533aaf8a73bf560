# SPDX-License-Identifier: MIT
"""Messages of every shape, both ways: lengths, chunks, none; streamed, never held; and connections used again."""
import fcntl
import hashlib
import os
import signal
import socket
import struct
import termios
import threading
import time

import pytest
from kit.process import wait_until
from kit.raw import Broken

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def sends(raw):
    """A server that answers each request with these bytes."""

    def handler(exchange):
        exchange.read_body()
        exchange.send(raw)

    return handler


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 70000, 3_000_000])
def test_bodies_with_a_length_pass_both_ways(simple, upstream, size):
    body = os.urandom(size)
    upstream.on = lambda exchange: exchange.answer(body=exchange.read_body()[::-1])
    answer = simple().ask("POST", body=body)
    assert upstream.last.body == body and upstream.last.get("Content-Length") == str(size)
    assert answer.body == body[::-1] and answer.get("Content-Length") == str(size)


@pytest.mark.parametrize("sizes", [[], [1], [1, 2, 3], [70000, 1, 70000], [10] * 500])
def test_chunked_requests(simple, upstream, sizes):
    parts = [os.urandom(size) for size in sizes]
    upstream.on = lambda exchange: exchange.answer(body=exchange.read_body())
    with simple().client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]))
        for part in parts:
            client.send(chunk(part))
        client.send(b"0\r\n\r\n")
        answer = client.response("POST")
        assert answer.body == b"".join(parts)
        # What follows a chunked request is not trusted to libmicrohttpd 0.9's parser: closed, and announced.
        if answer.get("Connection") == "close":
            assert client.is_closed_by_peer()
        else:
            assert client.ask().status == 200
    assert upstream.requests[0].get("Content-Length") is None


@pytest.mark.parametrize("sizes", [[], [1], [1, 2, 3], [70000, 1, 70000], [10] * 500])
def test_chunked_responses(simple, upstream, sizes):
    parts = [os.urandom(size) for size in sizes]
    upstream.on = sends(CHUNKED + b"".join(map(chunk, parts)) + b"0\r\n\r\n")
    with simple().client() as client:
        for _ in range(2):
            answer = client.ask()
            assert answer.body == b"".join(parts) and answer.get("Content-Length") is None
    assert upstream.connections == 1


def test_chunk_extensions_and_trailers_do_no_harm(simple, upstream):
    upstream.on = sends(CHUNKED + b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    with simple().client() as client:
        for _ in range(2):
            assert client.ask().body == b"abc"
    assert upstream.connections == 1


def test_a_response_that_ends_with_the_connection(simple, upstream):
    def until_close(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        exchange.close()

    upstream.on = until_close
    with simple().client() as client:
        for _ in range(2):
            assert client.ask().body == b"all of it"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("fields", ["", "ETag: x\r\n"])
def test_responses_without_a_body(simple, upstream, status, fields):
    upstream.on = sends(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode())
    daemon = simple("workers = 1")
    for _ in range(3):
        with daemon.client() as client:
            answer = client.ask()
            assert (answer.status, answer.body) == (int(status[:3]), b"")
            assert answer.get("ETag") == (fields and "x" or None)
            if answer.get("Connection") == "close":
                assert client.is_closed_by_peer()
            else:
                assert client.ask().status == answer.status
    assert upstream.connections == 1


def test_304_keeps_its_length(simple, upstream):
    upstream.on = sends(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: x\r\n\r\n")
    with simple().client() as client:
        client.request()
        head = client.read_until(b"\r\n\r\n")
        assert b"304" in head and b"chunked" not in head
        assert b"content-length: 1234" in head.lower() or b"content-length" not in head.lower()
        upstream.on = lambda exchange: exchange.answer(body=b"next")
        assert client.ask().body == b"next"


def test_205_has_no_body(simple, upstream):
    upstream.on = sends(b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
    with simple().client() as client:
        for _ in range(2):
            assert client.ask().status == 205


@pytest.mark.parametrize("framing", [b"Content-Length: 5000\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_HEAD(simple, upstream, framing):
    upstream.on = sends(b"HTTP/1.1 200 OK\r\nX-A: b\r\n" + framing + b"\r\n")
    with simple().client() as client:
        client.request("HEAD")
        head = client.read_until(b"\r\n\r\n")
        if b"5000" in framing:
            assert b"content-length: 5000\r\n" in head.lower()
        if b"connection: close" in head.lower():
            assert client.is_closed_by_peer()
        else:  # nothing of a body may be on the connection: the next answer must be readable
            upstream.on = lambda exchange: exchange.answer(body=b"next")
            assert client.ask().body == b"next"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PROPFIND", "PATCH", "OPTIONS"])
def test_any_method_may_have_a_body_or_none(simple, upstream, method):
    daemon = simple()
    assert daemon.ask(method).status == 200
    assert upstream.last.method == method
    assert upstream.last.get("Transfer-Encoding") is None
    assert daemon.ask(method, body=b"body").status == 200
    assert upstream.last.body == b"body"


def test_expect_continue(simple, upstream):
    with simple().client() as client:
        client.send(client.head("POST", fields=["Content-Length: 5", "Expect: 100-continue"]))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"hello")
        assert client.response("POST").status == 200
    assert upstream.last.body == b"hello"


def test_expect_continue_is_not_answered_when_refused(simple, upstream):
    daemon = simple("body_limit = 10")
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Content-Length: 11", "Expect: 100-continue"]))
        assert client.read_until(b"\r\n").startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("framing", ["Content-Length: 1001", "Transfer-Encoding: chunked"])
def test_body_limit(simple, upstream, framing):
    with simple("body_limit = 1000").client() as client:
        client.send(client.head("POST", fields=[framing]))
        client.send(b"x" * 1001 if "Length" in framing else chunk(b"x" * 1001) + b"0\r\n\r\n")
        refused = client.response("POST")
    assert (refused.status, refused.kind) == (413, "body-too-large")


def test_interim_responses_do_not_end_a_request(simple, upstream):
    upstream.on = sends(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    with simple().client() as client:
        for _ in range(2):
            assert client.ask().body == b"ok"


def test_pipelined_requests_are_answered_in_order(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(body=exchange.request.target.encode())
    with simple().client() as client:
        client.send("".join(client.head(target=f"/{i}") for i in range(20)))
        assert [client.response().body for _ in range(20)] == [b"/%d" % i for i in range(20)]


def test_upstream_connections_are_used_again(simple, upstream):
    daemon = simple("workers = 1")
    with daemon.client() as client:
        for i in range(20):
            assert client.ask("POST" if i % 2 else "GET", body=b"x" * i if i % 2 else None).status == 200
    for _ in range(5):
        assert daemon.ask().status == 200
    assert upstream.connections == 1


def test_connection_close_of_the_client_ends_only_its_own(simple, upstream):
    daemon = simple("workers = 1")
    for _ in range(3):
        with daemon.client() as client:
            assert client.ask(fields=["Connection: close"]).status == 200
            assert client.is_closed_by_peer()
    assert upstream.connections == 1


def test_connection_close_of_the_upstream_is_kept_to(simple, upstream):
    upstream.on = sends(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    with simple("workers = 1").client() as client:
        for _ in range(3):
            assert client.ask().status == 200
    assert upstream.connections == 3


def test_keepalive_none(simple, upstream):
    daemon = simple("workers = 1", upstream_lines="keepalive = 0")
    for _ in range(3):
        assert daemon.ask().status == 200
    assert upstream.connections == 3


def test_http10_clients(simple, upstream):
    upstream.on = sends(CHUNKED + chunk(b"abc") + b"0\r\n\r\n")
    with simple().client() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        head, body = client.read_to_end().split(b"\r\n\r\n", 1)
        assert b"chunked" not in head.lower()
        assert body == b"abc"
    assert upstream.last.version == "HTTP/1.1"
    assert upstream.last.get("Via").startswith("1.0 ")


def test_http10_upstreams(simple, upstream):
    def old(exchange):
        exchange.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")
        exchange.close()

    upstream.on = old
    daemon = simple()
    for _ in range(2):
        assert daemon.ask().body == b"old"


def test_T24_events_arrive_as_they_are_sent(simple, upstream):
    """Each event is sent only after the one before has reached the client: a buffer anywhere would hang this."""
    arrived = threading.Semaphore(0)

    def events(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            exchange.send(chunk(b"data: %d\n\n" % i))
            assert arrived.acquire(timeout=20)
        exchange.send(b"0\r\n\r\n")

    upstream.on = events
    with simple().client() as client:
        client.request()
        for i in range(5):
            client.read_until(b"data: %d\n\n" % i)
            arrived.release()
        assert client.read_until(b"0\r\n\r\n")


def test_T24_the_head_arrives_before_the_body(simple, upstream):
    arrived = threading.Event()

    def slow_body(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        assert arrived.wait(20)
        exchange.send(b"late")

    upstream.on = slow_body
    with simple().client() as client:
        client.request()
        client.read_until(b"\r\n\r\n")
        arrived.set()
        assert client.read_until(b"late") == b"late"


def test_T24_uploads_are_streamed(simple, upstream):
    """The upstream sees the first part before the client sends the second."""
    seen = threading.Event()

    def reader(exchange):
        assert exchange.connection.exactly(5) == b"first"
        seen.set()
        assert exchange.connection.exactly(6) == b"second"
        exchange.request.body = b""
        exchange.answer()

    upstream.on = reader
    with simple().client() as client:
        client.send(client.head("PUT", fields=["Content-Length: 11"]))
        client.send(b"first")
        assert seen.wait(20)
        client.send(b"second")
        assert client.response("PUT").status == 200


def test_an_answer_before_the_body_is_over(simple, upstream):
    """A 413 of the upstream reaches a client that goes on sending."""

    def refuse(exchange):
        exchange.connection.exactly(1000)
        exchange.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        exchange.wait_peer_closed(20)

    upstream.on = refuse
    with simple().client() as client:
        client.send(client.head("POST", fields=["Content-Length: 200000"]))
        client.send(b"x" * 200000)
        answer = client.response("POST")
    assert (answer.status, answer.body) == (413, b"big")


def short_length(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 60000)
    exchange.close()


def short_length_reset(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 60000)
    time.sleep(0.2)  # lets the data through before the reset overtakes it
    exchange.reset()


def no_last_chunk(exchange):
    exchange.send(CHUNKED + chunk(b"x" * 50000))
    exchange.close()


def half_a_chunk(exchange):
    exchange.send(CHUNKED + b"1000\r\nabc")
    exchange.close()


def bad_chunk(exchange):
    exchange.send(CHUNKED + chunk(b"abc") + b"zz\r\n")
    exchange.wait_peer_closed()


def no_trailer_end(exchange):
    exchange.send(CHUNKED + chunk(b"abc") + b"0\r\n")
    exchange.close()


@pytest.mark.parametrize(
    "fault", [short_length, short_length_reset, no_last_chunk, half_a_chunk, bad_chunk, no_trailer_end]
)
def test_T25_a_response_that_breaks_off_is_never_complete(simple, upstream, fault):
    upstream.on = fault
    daemon = simple()
    with daemon.client() as client, pytest.raises(Broken) as broken:
        client.ask()
    assert broken.value.response is None or broken.value.response.status == 200
    upstream.on = lambda exchange: exchange.answer()
    assert daemon.ask().status == 200


def test_T25_with_http10_clients_too(simple, upstream):
    """There the end of the connection is the end of the body: only a reset can say that it is none."""
    upstream.on = no_last_chunk
    with simple().client() as client, pytest.raises(ConnectionResetError):
        client.send("GET / HTTP/1.0\r\n\r\n")
        client.read_to_end()


def test_client_gone_before_the_answer_cancels_the_upstream_leg(simple, upstream):
    gone = threading.Event()

    def wait(exchange):
        exchange.wait_peer_closed(20)
        gone.set()

    upstream.on = wait
    with simple().client() as client:
        client.request()
        upstream.wait_requests(1)
    assert gone.wait(20)


@pytest.mark.parametrize("rude", [False, True])
def test_client_gone_during_the_answer_cancels_the_upstream_leg(simple, upstream, rude):
    gone = threading.Event()

    def endless(exchange):
        exchange.send(CHUNKED)
        try:
            while True:
                exchange.send(chunk(b"x" * 10000))
        except OSError:
            gone.set()
            raise

    upstream.on = endless
    client = simple().client()
    client.request()
    client.read_until(b"xxx")
    client.reset() if rude else client.close()
    assert gone.wait(20)


def test_client_gone_during_an_upload_cancels_the_upstream_leg(simple, upstream):
    gone = threading.Event()

    def reader(exchange):
        exchange.wait_peer_closed(20)
        gone.set()

    upstream.on = reader
    client = simple().client()
    client.send(client.head("POST", fields=["Content-Length: 1000000"]) + "x" * 1000)
    upstream.wait_requests(1)
    client.close()
    assert gone.wait(20)


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_cut_upload_is_not_made_whole(simple, upstream, framing):
    """The client breaks off: the upstream must not take what came for the whole body."""
    ends = []

    def reader(exchange):
        try:
            exchange.read_body()
            ends.append("whole")
        except Exception as end:
            ends.append(end)
            raise

    upstream.on = reader
    client = simple().client()
    client.send(client.head("POST", fields=[framing]) + ("5\r\nhello\r\n" if "chunked" in framing else "hello"))
    upstream.wait_requests(1)
    client.close()
    wait_until(lambda: ends, 20, "the end of the upload")
    assert ends[0] != "whole"


def test_back_pressure_of_the_client_reaches_the_upstream(simple, upstream):
    """A client that takes nothing: the upstream is stopped after what sockets and one buffer hold; nothing is lost."""
    sent = [0]
    total = 64 << 20
    block = os.urandom(1 << 16)

    def large(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            exchange.send(block)
            sent[0] += len(block)

    upstream.on = large
    with simple().client() as client:
        client.request()
        upstream.wait_requests(1)
        stalled_at = wait_stalled(sent)
        assert stalled_at < 32 << 20
        assert hashlib.sha256(client.response().body).digest() == hashlib.sha256(block * (total // len(block))).digest()


def test_back_pressure_of_the_upstream_reaches_the_client(simple, upstream):
    go_on, sent, total = threading.Event(), [0], 64 << 20
    block = os.urandom(1 << 16)
    digest = hashlib.sha256()

    def reader(exchange):
        assert go_on.wait(60)
        left = total
        while left:
            data = exchange.connection.exactly(min(left, 1 << 16))
            digest.update(data)
            left -= len(data)
        exchange.request.body = b""
        exchange.answer()

    upstream.on = reader
    with simple().client(timeout=60) as client:
        client.send(client.head("POST", fields=[f"Content-Length: {total}"]))

        def send():
            while sent[0] < total:
                client.send(block)
                sent[0] += len(block)

        sender = threading.Thread(target=send)
        sender.start()
        upstream.wait_requests(1)
        assert wait_stalled(sent) < 32 << 20
        go_on.set()
        assert client.response("POST").status == 200
        sender.join(20)
    assert digest.digest() == hashlib.sha256(block * (total // len(block))).digest()


def wait_stalled(counter, quiet=0.5):
    """Until the counter has not moved for a while; its value then."""
    last, since = counter[0], time.monotonic()

    def is_quiet():
        nonlocal last, since
        if counter[0] != last or not counter[0]:
            last, since = counter[0], time.monotonic()
        return time.monotonic() - since > quiet

    wait_until(is_quiet, 30, "the sender has stalled")
    return last


def data_segments(sock):
    """That came in so far, as the kernel counted them (tcpi_data_segs_in of linux/tcp.h)."""
    return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 152)[0]


def segments_counted(upstream):
    """The list to which the upstream adds, with each request, how many have come on its connection."""
    counts = []

    def answer(exchange):
        exchange.read_body()
        counts.append(data_segments(exchange.connection.sock))
        exchange.answer()

    upstream.on = answer
    return counts


def test_head_and_body_that_came_together_go_on_together(simple, upstream):
    """In one write, which on loopback is one segment: each more costs both sides as much as all the rest of a request."""
    counts = segments_counted(upstream)
    with simple("workers = 1").client() as client:
        assert client.ask().status == 200  # gets the token
        for _ in range(3):
            assert client.ask("POST", body=b"x" * 1000).status == 200
    assert upstream.connections == 1
    assert [after - before for before, after in zip(counts, counts[1:])] == [1, 1, 1]


def unsent(sock):
    """Bytes that the other side's kernel has not taken."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def test_pieces_of_a_body_that_lie_ready_go_on_together(simple, upstream):
    """libmicrohttpd reads 8 KiB at a time; the upstream gets the pieces of a body of 40 in one write, not in five."""
    counts = segments_counted(upstream)
    daemon = simple("workers = 1")
    with daemon.client() as client:
        assert client.ask().status == 200  # gets the token
        daemon.process.signal(signal.SIGSTOP)  # until all of the request lies ready
        client.send(client.head("POST", fields=["Content-Length: 40000"]))
        client.send(b"x" * 40000)
        wait_until(lambda: not unsent(client.sock), 10, "the request does not reach the proxy")
        daemon.process.signal(signal.SIGCONT)
        assert client.response("POST").status == 200
    assert upstream.connections == 1
    assert counts[1] - counts[0] <= 2  # the kernel may cut what is written once
