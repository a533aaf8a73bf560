# SPDX-License-Identifier: MIT
"""A gibibyte each way with a peer that stalls first and then is fast: under 30 MiB. Needs the optimised binary,
since the sanitizers keep freed memory."""
import threading

import pytest
from test_bodies import wait_stalled

GIB = 1 << 30
BLOCK = bytes(1 << 20)
LIMIT_KIB = 30 * 1024


@pytest.fixture
def optimised(simple, release):
    return lambda *args, **options: simple(*args, binary=release, **options)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gibibyte_up_through_a_slow_upstream(optimised, upstream, workers):
    go_on, sent = threading.Event(), [0]

    def reader(exchange):
        assert go_on.wait(60)
        exchange.read_body(keep=False)
        exchange.answer()

    upstream.on = reader
    daemon = optimised(f"workers = {workers}")
    with daemon.client(timeout=80) as client:
        client.send(client.head("PUT", fields=[f"Content-Length: {GIB}"]))

        def send():
            while sent[0] < GIB:
                client.send(BLOCK)
                sent[0] += len(BLOCK)

        sender = threading.Thread(target=send)
        sender.start()
        wait_stalled(sent)
        go_on.set()
        assert client.response("PUT").status == 200
        sender.join(20)
        assert daemon.memory_peak_kib() < LIMIT_KIB


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_gibibyte_down_to_a_slow_client(optimised, upstream, framing):
    sent = [0]

    def large(exchange):
        chunked = framing == "chunked"
        line = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {GIB}"
        exchange.send(f"HTTP/1.1 200 OK\r\n{line}\r\n\r\n".encode())
        while sent[0] < GIB:
            exchange.send(b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK)
            sent[0] += len(BLOCK)
        exchange.send(b"0\r\n\r\n" if chunked else b"")

    upstream.on = large
    daemon = optimised()
    with daemon.client(timeout=80) as client:
        client.request()
        wait_stalled(sent)
        client.read_until(b"\r\n\r\n")
        got, last = len(client.data), client.data
        view = memoryview(bytearray(1 << 20))
        while got < GIB or (framing == "chunked" and not last.endswith(b"0\r\n\r\n")):
            count = client.sock.recv_into(view)
            assert count, "cut off"
            got += count
            last = (last + bytes(view[:count]))[-5:]
        assert daemon.memory_peak_kib() < LIMIT_KIB


def test_a_hundred_stalled_downloads(optimised, upstream):
    """Each may hold its connection's buffers, and no more: 100 KiB and its share of the start."""
    release = threading.Event()

    def endless(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIB)
        for _ in range(16):
            exchange.send(BLOCK)
        release.wait(60)
        exchange.close()

    upstream.on = endless
    daemon = optimised()
    daemon_clients = [daemon.client() for _ in range(100)]
    for client in daemon_clients:
        client.request()
        client.read_until(b"\r\n\r\n")
    assert daemon.memory_peak_kib() < LIMIT_KIB
    for client in daemon_clients:
        client.close()
    release.set()
