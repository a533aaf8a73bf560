# SPDX-License-Identifier: MIT
"""Start, stop, and limits: with 0 on SIGTERM, with a message otherwise, and with nothing left behind."""
import os
import signal
import socket
import threading
import time

import pytest
from conftest import one_route
from kit.bearerd import run, write_config
from kit.process import half_closed, wait_until
from kit.raw import RawClient


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_with_0(simple, number):
    daemon = simple()
    daemon.process.signal(number)
    daemon.check_end(daemon.process.wait_exit())
    assert "event=stopped" in daemon.log


def test_stops_at_once_with_idle_clients(simple):
    daemon = simple()
    with daemon.client() as idle, daemon.client() as silent:
        assert idle.ask().status == 200
        begin = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begin < 3
        assert idle.is_closed_by_peer() and silent.is_closed_by_peer()


def test_requests_under_way_are_finished(simple, upstream):
    go_on = threading.Event()

    def late(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        assert go_on.wait(20)
        exchange.send(b"half")

    upstream.on = late
    daemon = simple()
    with daemon.client() as client:
        client.request()
        client.read_until(b"half")
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("event=stopping")
        wait_until(lambda: not accepts(daemon.port), 5, "no new connections")
        go_on.set()
        assert client.read_until(b"half") == b"half"
        assert client.is_closed_by_peer()
    daemon.check_end(daemon.process.wait_exit())


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def test_draining_has_a_limit(simple, upstream):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    daemon = simple("drain_timeout = 500ms")
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        begin = time.monotonic()
        daemon.stop()
        assert 0.4 < time.monotonic() - begin < 5
        assert client.is_closed_by_peer()


def test_a_second_signal_stops_at_once(simple, upstream):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    daemon = simple("drain_timeout = 1m")
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("event=stopping")
        daemon.process.signal(signal.SIGTERM)
        daemon.check_end(daemon.process.wait_exit(5))


def test_stops_while_a_token_is_on_its_way(start, token_server, upstream):
    server = token_server(lambda exchange: exchange.wait_peer_closed(20))
    daemon = start(one_route(server.credential(), upstream.url), "drain_timeout = 300ms")
    with daemon.client() as client:
        client.request()
        server.wait_requests(1)
        daemon.stop()


def test_stops_in_the_middle_of_everything(simple, upstream):
    """Clients at every stage at once; the sanitizers look at what is left."""
    reached = []

    def half(exchange):
        reached.append(exchange)
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        exchange.wait_peer_closed(20)

    upstream.on = half
    daemon = simple("drain_timeout = 300ms\nworkers = 2")
    clients = [daemon.client() for _ in range(24)]
    for i, client in enumerate(clients):
        whole = client.head("POST", fields=["Content-Length: 100000"]) + "x" * 100000
        client.send([whole[:10], whole[:500], client.head(), client.head() + client.head()][i % 4])
    wait_until(lambda: len(reached) >= 12, 10)
    daemon.stop()
    for client in clients:
        client.close()


def test_a_port_in_use_is_said(auth, upstream, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(
            "serve",
            "-c",
            write_config(tmp_path, one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:{port}"),
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr and "in use" in done.stderr


def test_a_socket_left_behind_is_taken_over_but_a_live_one_is_not(start, auth, upstream, tmp_path):
    path = tmp_path / "proxy.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    config = one_route(auth.credential(), upstream.url)
    start(config, f"listen = unix:{path}")
    with RawClient(path) as client:
        assert client.ask().status == 200
    done = run("serve", "-c", write_config(tmp_path, config, f"listen = unix:{path}", "second.ini"))
    assert done.returncode == 1 and str(path) in done.stderr
    with RawClient(path) as client:
        assert client.ask().status == 200


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers(simple, upstream, workers):
    daemon = simple(f"workers = {workers}")
    assert f"workers={workers}" in daemon.log
    clients = [daemon.client() for _ in range(40)]
    for client in clients:
        client.request(target="/x")
    assert [client.response().status for client in clients] == [200] * 40
    threads = len(os.listdir(f"/proc/{daemon.process.pid}/task"))
    assert threads >= workers + 1
    for client in clients:
        client.close()


def test_many_connections_come_and_go(simple, upstream):
    daemon = simple("workers = 2")
    for _ in range(300):
        with daemon.client() as client:
            client.request()
    for _ in range(100):
        assert daemon.ask().status == 200
    pooled = 2 * 64  # keepalive of each worker
    wait_until(lambda: upstream.open_count() <= pooled, 10, "upstream connections are given back")
    upstream.drop_connections()
    upstream.wait_no_connections()
    wait_until(lambda: half_closed(daemon.port) == 0, 10, "client connections are given back")
    assert daemon.ask().status == 200


def test_the_access_log_has_a_line_for_each_request(simple):
    daemon = simple("[log]\naccess = yes")
    daemon.ask("GET", "/x?secret=query")
    line = daemon.wait_log(r"event=request\b.*").string
    assert "method=GET" in line and "status=200" in line and "route=all" in line
    assert "secret=query" not in line


def test_the_log_level(simple):
    daemon = simple("[log]\nlevel = debug\naccess = yes")
    daemon.ask()
    daemon.stop()
    assert "event=request" in daemon.log
    quiet = simple("[log]\nlevel = info", name="quiet.ini")
    quiet.ask()
    quiet.stop()
    assert "level=debug" not in quiet.log and "event=request " not in quiet.log
