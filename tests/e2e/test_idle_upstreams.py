# SPDX-License-Identifier: MIT
"""Upstream connections that wait to be used again: whatever comes on one of them, or ends it, is noticed when it
happens, so that no request meets it. Asked with POST, which is never sent twice."""
import contextlib
import os
import socket
import ssl
import struct
import threading
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.scripted import garbage_record

STRAY = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def close(sock):
    """FIN; over TLS without a close_notify."""
    raw_of(sock).shutdown(socket.SHUT_RDWR)


def half_close(sock):
    raw_of(sock).shutdown(socket.SHUT_WR)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def stray(sock):
    sock.sendall(STRAY)


def one_byte(sock):
    sock.sendall(b"\n")


def stray_and_close(sock):
    sock.sendall(STRAY)
    with contextlib.suppress(OSError):  # the proxy may have reset the connection by now
        close(sock)


def close_notify(sock):
    """TLS's own end, the connection left open."""
    sock.settimeout(0.2)
    try:
        sock.unwrap()
    except OSError:
        pass  # no answer within the time: it is the sending that counts


def raw_of(sock):
    return super(ssl.SSLSocket, sock) if isinstance(sock, ssl.SSLSocket) else sock


PLAIN = [close, half_close, reset, stray, one_byte, stray_and_close]
TLS = [*PLAIN, close_notify, garbage_record]


@pytest.mark.parametrize("tls, event", [(False, event) for event in PLAIN] + [(True, event) for event in TLS])
def test_an_idle_connection_that_is_of_no_use_any_more(start, auth, scripted, certs, tls, event):
    server = scripted(certs=certs if tls else None)
    let_go = threading.Event()

    def then(exchange):
        exchange.answer(body=exchange.request.target.encode())
        if exchange.connection.number == 1:
            sock = exchange.connection.sock
            assert let_go.wait(20)
            event(sock)
            happened.set()
            over.wait(20)

    happened, over = threading.Event(), threading.Event()
    server.on = then
    lines = f"ca_file = {certs.ca}" if tls else ""
    daemon = start(one_route(auth.credential(), server.url, upstream=lines), "workers = 1")
    with daemon.client() as client:
        assert client.ask("POST", "/1", body=b"x").text == "/1"
        before = descriptors(daemon)
        let_go.set()
        assert happened.wait(20)
        wait_until(lambda: descriptors(daemon) < before, 10, "the connection is closed before anybody needs it")
        for number in (2, 3):
            answer = client.ask("POST", f"/{number}", body=b"x")
            assert (answer.status, answer.text) == (200, f"/{number}")
    over.set()
    assert [request.target for request in server.requests] == ["/1", "/2", "/3"]
    assert [request.connection for request in server.requests] == [1, 2, 2]


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_idle_connections_that_the_upstream_closed_are_noticed(simple, upstream):
    daemon = simple("workers = 1")
    for i in range(5):
        assert daemon.ask("POST", body=b"x").status == 200
        upstream.drop_connections()
    assert len(upstream.requests) == 5


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_keepalive_timeout_of_the_upstream(start, auth, scripted, certs, tls):
    server = scripted(certs=certs if tls else None)
    lines = f"keepalive_timeout = 500ms\n{f'ca_file = {certs.ca}' if tls else ''}"
    daemon = start(one_route(auth.credential(), server.url, upstream=lines), "workers = 1")
    assert [daemon.ask().status for _ in range(3)] == [200] * 3
    assert server.connections == 1
    begin = time.monotonic()
    server.wait_no_connections()
    assert time.monotonic() - begin > 0.3
    assert daemon.ask().status == 200
    assert server.connections == 2


def test_healthy_ones_are_kept(start, auth, scripted, certs):
    """TLS 1.3 sends session tickets on an idle connection: these are no reason to close it."""
    server = scripted(certs=certs)
    server._tls.num_tickets = 4
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}"), "workers = 1")
    for _ in range(5):
        assert daemon.ask("POST", body=b"x").status == 200
        time.sleep(0.1)
    assert server.connections == 1


def test_at_most_keepalive_are_kept(simple, upstream):
    gate = threading.Barrier(6)

    def together(exchange):
        gate.wait(20)
        exchange.answer()

    upstream.on = together
    daemon = simple("workers = 1", upstream_lines="keepalive = 2")
    clients = [daemon.client() for _ in range(6)]
    for client in clients:
        client.request()
    assert [client.response().status for client in clients] == [200] * 6
    assert upstream.connections == 6
    wait_until(lambda: upstream.open_count() == 2, 10, "two are left")
    for client in clients:
        client.close()
