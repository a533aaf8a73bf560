# SPDX-License-Identifier: MIT
"""CONNECT: refused, with advice, unless tunnels are allowed to that very place; and nothing behind it is ever read as a
request (HS-14, RFC 9931)."""
import base64
import hashlib
import os
import signal
import socket
import subprocess
import threading

import pytest
from conftest import one_route
from kit.bearerd import run, write_config
from kit.process import free_port, wait_until
from kit.raw import Broken, RawClient


@pytest.fixture
def tunnelling(start, auth, upstream):
    """tunnelling(hosts, …): a daemon that opens tunnels to these."""

    def make(*hosts, proxy=""):
        lines = f"connect = tunnel\nconnect_hosts = {' '.join(map(str, hosts))}\n{proxy}"
        return start(one_route(auth.credential(), upstream.url), lines)

    return make


class Place:
    """A server of bytes: what comes is sent back, until `then` is given something else to do."""

    def __init__(self, then=None):
        self.then, self.connections, self.seen = then or self.echo, 0, b""
        self.ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.authority = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                self.then(sock)
            except OSError:
                pass
            self.ended.set()

    def echo(self, sock):
        while data := sock.recv(1 << 16):
            self.seen = (self.seen + data)[:100_000]
            sock.sendall(data)

    def stop(self):
        self._socket.close()


@pytest.fixture
def place():
    made = Place()
    yield made
    made.stop()


def connect(client, authority, fields=(), behind=b""):
    client.send(client.head("CONNECT", authority, fields, host=authority).encode() + behind)
    return client.read_until(b"\r\n\r\n")


def opened(client, authority, **options):
    head = connect(client, authority, **options)
    assert head.startswith(b"HTTP/1.1 200 "), head + client.read_to_end()
    assert b"content-length" not in head.lower() and b"transfer-encoding" not in head.lower()
    return head


# -- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", ["", "smuggled", "junk"])
def test_HS14_refused_by_default_with_advice(simple, upstream, behind):
    daemon = simple()
    with daemon.client() as client:
        smuggled = {"": "", "smuggled": client.head(target="/smuggled"), "junk": "\x16\x03\x01" * 5000}[behind]
        client.send(client.head("CONNECT", "api.example.com:443", host="api.example.com:443") + smuggled)
        answer = client.response("GET")
        assert (answer.status, answer.kind) == (501, "connect-not-supported")
        assert "http:// URLs" in answer.problem["detail"] and answer.get("Connection") == "close"
        assert client.is_closed_by_peer()
    assert daemon.ask(target="/after").status == 200
    assert [request.target for request in upstream.requests] == ["/after"]


def test_HS14_also_a_client_that_goes_on_sending_hears_it(simple):
    with simple().client() as client:
        client.send(client.head("CONNECT", "api.example.com:443", host="api.example.com:443"))
        for _ in range(100):
            client.send(b"x" * 50_000)
        assert client.response("GET").status == 501


def test_what_curl_says_to_it(simple):
    daemon = simple()
    done = subprocess.run(
        ["curl", "-s", "-S", "-o", os.devnull, "-x", daemon.url, "https://api.example.com/"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 56 and "501" in done.stderr


@pytest.mark.parametrize("url", ["https://api.example.test/x?y=1", "http://api.example.test/x?y=1", "HTTPS://API.example.test:443/x?y=1"])
def test_https_urls_in_absolute_form_are_served(start, auth, scripted, certs, url):
    """Clients that hand the whole URL to their proxy need no tunnel."""
    server = scripted(certs=certs)
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}\nhosts = api.example.test"))
    assert daemon.ask(target=url).status == 200
    assert server.last.target == "/x?y=1" and server.last.token


@pytest.mark.parametrize(
    "target", ["api.example.com", "api.example.com:0", "api.example.com:x", "/x", "http://api.example.com/", "user@h:443", ":443", "h:443:1"]
)
@pytest.mark.parametrize("allowed", [False, True])
def test_odd_targets(tunnelling, simple, place, target, allowed):
    daemon = tunnelling(place.authority) if allowed else simple()
    with daemon.client() as client:
        client.send(client.head("CONNECT", target))
        answer = client.response("GET")
        assert answer.status in ((400, 501) if not allowed else (400,))
        assert client.is_closed_by_peer()
    assert not place.connections


# -- allowed -------------------------------------------------------------------------------------


def test_bytes_pass_both_ways_without_a_token(tunnelling, place, auth):
    with tunnelling(place.authority).client() as client:
        opened(client, place.authority)
        data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(range(256)) * 100
        client.send(data + b"<end>")
        assert client.read_until(b"<end>") == data + b"<end>"
    assert place.seen == data + b"<end>" and b"Authorization" not in place.seen
    assert not auth.requests()


@pytest.mark.parametrize("split", [1, 7, 8, 9, 30, -2, -1])
def test_the_request_may_come_in_pieces(tunnelling, place, split):
    with tunnelling(place.authority).client() as client:
        head = client.head("CONNECT", place.authority, host=place.authority).encode()
        client.send(head[:split])
        threading.Event().wait(0.05)  # a segment of its own
        client.send(head[split:] + b"early")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert client.read_until(b"early")


def test_byte_by_byte(tunnelling, place):
    with tunnelling(place.authority).client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in client.head("CONNECT", place.authority, host=place.authority).encode() + b"early":
            client.send(bytes([byte]))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert client.read_until(b"early")


@pytest.mark.parametrize("size", [5, 20_000, 300_000])
def test_bytes_behind_the_request_wait_for_the_connection(tunnelling, place, size):
    early = os.urandom(size)
    with tunnelling(place.authority).client() as client:
        opened(client, place.authority, behind=early + b"<end>")
        assert client.read_until(b"<end>") == early + b"<end>"


def test_TLS_through_it(tunnelling, nginx):
    """curl, end to end, with the server's own certificate."""
    daemon = tunnelling(f"localhost:{nginx.tls_port}")
    done = subprocess.run(
        ["curl", "-sS", "--fail", "-x", daemon.url, "--cacert", nginx.ca_file, f"{nginx.url}/echo"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    assert "authorization=\n" in done.stdout


@pytest.mark.parametrize("spelling", ["LOCALHOST:{}", "localhost.:{}", "localhost:{}"])
def test_names_are_compared_in_their_normal_form(tunnelling, place, spelling):
    port = place.authority.rsplit(":")[-1]
    with tunnelling(f"Localhost:{port}").client() as client:
        opened(client, spelling.format(port))


@pytest.mark.parametrize("other", ["127.0.0.1:{other}", "127.0.0.2:{port}", "0x7f000001:{port}", "2130706433:{port}", "[::1]:{port}", "[::ffff:127.0.0.1]:{port}", "localhost:{port}"])
def test_to_no_other_place(tunnelling, place, other):
    daemon = tunnelling(place.authority)
    authority = other.format(port=place.authority.rsplit(":")[-1], other=free_port())
    with daemon.client() as client:
        client.send(client.head("CONNECT", authority, host=authority) + client.head(target="/smuggled"))
        answer = client.response("GET")
        assert (answer.status, answer.kind) == (403, "connect-not-allowed")
        assert client.is_closed_by_peer()
    assert not place.connections


def test_an_unreachable_place(tunnelling):
    authority = f"127.0.0.1:{free_port()}"
    with tunnelling(authority).client() as client:
        client.send(client.head("CONNECT", authority, host=authority))
        answer = client.response("GET")
        assert (answer.status, answer.kind) == (502, "upstream-unreachable")
        assert client.is_closed_by_peer()


@pytest.fixture
def full():
    """host:port of a listener whose queue is full: connecting takes for ever."""
    fillers = [socket.socket() for _ in range(4)]
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield "127.0.0.1:%d" % listener.getsockname()[1]
    for filler in fillers:
        filler.close()


@pytest.mark.parametrize("limit, kind", [("connect_timeout", "upstream-connect-timeout"), ("request_timeout", "request-timeout")])
def test_a_place_that_does_not_answer(tunnelling, full, limit, kind):
    daemon = tunnelling(full, proxy=f"{limit} = 300ms\n[log]\naccess = yes")
    with daemon.client() as client:
        client.send(client.head("CONNECT", full, host=full))
        answer = client.response("GET")
        assert (answer.status, answer.kind) == (504, kind)
        assert client.is_closed_by_peer()
    daemon.wait_log("event=request .*status=504 end=complete")


def test_a_client_that_leaves_meanwhile(tunnelling, full):
    daemon = tunnelling(full, proxy="connect_timeout = 60s\nmax_connections = 1\nworkers = 1")
    with daemon.client() as client:
        client.send(client.head("CONNECT", full, host=full))
        threading.Event().wait(0.2)
    assert daemon.ask().status == 200  # its place is free again


@pytest.mark.parametrize("key", [None, "wrong", "sesame"])
def test_client_key(tunnelling, place, key):
    daemon = tunnelling(place.authority, proxy="client_key = sesame")
    fields = [("Proxy-Authorization", "Basic " + base64.b64encode(f"any:{key}".encode()).decode())] if key else []
    with daemon.client() as client:
        client.send(client.head("CONNECT", place.authority, fields, host=place.authority))
        if key == "sesame":
            assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
            return
        answer = client.response("GET")
        assert (answer.status, answer.kind) == (407, "key-required") and answer.get("Proxy-Authenticate")
        assert client.is_closed_by_peer()
    assert not place.connections


def test_users_of_a_unix_socket(start, auth, upstream, place, tmp_path):
    for allowed in (os.getuid(), os.getuid() + 1):
        path = tmp_path / f"{allowed}.sock"
        start(
            one_route(auth.credential(), upstream.url),
            f"listen = unix:{path}\nallow_uids = {allowed}\nconnect = tunnel\nconnect_hosts = {place.authority}",
            name=f"{allowed}.ini",
        )
        with RawClient(path) as client:
            client.send(client.head("CONNECT", place.authority, host=place.authority))
            if allowed == os.getuid():
                assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
                client.send(b"hello")
                assert client.read_until(b"hello")
                client.sock.shutdown(socket.SHUT_WR)
                assert client.read_to_end() == b""
            else:
                assert client.response("GET").kind == "user-not-allowed"


@pytest.mark.parametrize(
    "head, status",
    [
        ("CONNECT {} HTTP/1.1\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\nHost: {}\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\nX-A: b\r\n folded\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost : {}\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\nX: a\0b\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\nHost: {}\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\n\r\n", 400),
        ("CONNECT  {} HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        ("CONNECT {}  HTTP/1.1\r\nHost: {}\r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1 \r\nHost: {}\r\n\r\n", 400),
        ("CONNECT {} HTTP/2.0\r\nHost: {}\r\n\r\n", 505),
        ("CONNECT {} http/1.1\r\nHost: {}\r\n\r\n", 400),
        ("CONNECT {}\r\nHost: {}\r\n\r\n", 400),
        ("CONNECT \r\n\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\n" + "X: y\r\n" * 200 + "\r\n", 400),
        ("CONNECT {} HTTP/1.1\r\nHost: {}\r\nX: " + "y" * 40_000 + "\r\n\r\n", 431),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_malformed_ones_are_refused(tunnelling, place, head, status):
    with tunnelling(place.authority).client() as client:
        client.send(head.replace("{}", place.authority) + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.response("GET")
        assert answer.status == status and answer.kind == "malformed-request"
        assert client.is_closed_by_peer()
    assert not place.connections


def test_http10(tunnelling, place):
    with tunnelling(place.authority).client() as client:
        client.send(f"CONNECT {place.authority} HTTP/1.0\r\n\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        client.send(b"hello")
        assert client.read_until(b"hello")


def test_ordinary_requests_are_served_as_before(tunnelling, place, upstream):
    """Also those whose beginning is like it, or comes in bits; also on connections that stay open."""
    daemon = tunnelling(place.authority)
    with daemon.client() as client:
        for method in ("GET", "CONNECTED", "CON", "POST"):
            assert client.ask(method, "/x").status == 200
    for method in ("C", "CONNECTED", "CONNEC", "connect", "GET"):
        with daemon.client() as client:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in client.head(method, "/x").encode():
                client.send(bytes([byte]))
            assert client.response(method).status == 200
    with daemon.client() as client:
        client.send(client.head(target="/1") + client.head(target="/2"))
        assert client.response().status == 200 and client.response().status == 200
    assert len(upstream.requests) == 11


def test_it_must_be_the_first_of_its_connection(tunnelling, place):
    """Bytes behind a later one would be out of reach."""
    with tunnelling(place.authority).client() as client:
        assert client.ask().status == 200
        client.send(client.head("CONNECT", place.authority, host=place.authority) + "early")
        answer = client.response("GET")
        assert (answer.status, answer.kind) == (501, "connect-not-supported") and "first" in answer.problem["detail"]
        assert client.is_closed_by_peer()
    assert not place.connections


# -- ends ----------------------------------------------------------------------------------------


def test_half_close_both_ways(tunnelling):
    def then(sock):
        data = b""
        while got := sock.recv(1 << 16):
            data += got
        sock.sendall(b"got %d" % len(data))
        sock.shutdown(socket.SHUT_WR)

    place = Place(then)
    daemon = tunnelling(place.authority)
    with daemon.client() as client:
        opened(client, place.authority)
        client.send(b"x" * 100_000)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b"got 100000"
    daemon.wait_log('event=tunnel.closed to=\\S+ why="closed by both sides" bytes_up=100000 bytes_down=10')
    place.stop()


@pytest.mark.parametrize("rude", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("side", ["client", "place"])
def test_an_end_of_either_side_ends_the_other(tunnelling, side, rude):
    ended = threading.Event()

    def then(sock):
        if side == "place":
            sock.recv(1)
            if rude:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            try:
                while sock.recv(1 << 16):
                    pass
            except ConnectionResetError:
                pass
            ended.set()

    place = Place(then)
    daemon = tunnelling(place.authority)
    with daemon.client() as client:
        opened(client, place.authority)
        if side == "client":
            client.reset() if rude else client.close()
            assert ended.wait(20)
        else:
            client.send(b"x")
            assert client.read_to_end(reset_is_fine=True) == b""
    daemon.wait_log("event=tunnel.closed")
    place.stop()


def test_large_amounts_both_ways_at_once(tunnelling, place):
    total, block = 64 << 20, os.urandom(1 << 16)
    with tunnelling(place.authority).client(timeout=60) as client:
        opened(client, place.authority)

        def send():
            for _ in range(total // len(block)):
                client.send(block)

        sender = threading.Thread(target=send)
        sender.start()
        got = client.data + client._fill_exactly(total - len(client.data))
        sender.join(30)
    assert hashlib.sha256(got).digest() == hashlib.sha256(block * (total // len(block))).digest()


def test_idle_ones_are_closed(tunnelling, place):
    daemon = tunnelling(place.authority, proxy="tunnel_idle_timeout = 300ms")
    with daemon.client() as client:
        opened(client, place.authority)
        assert client.read_to_end(reset_is_fine=True) == b""
    daemon.wait_log("event=tunnel.closed .*tunnel_idle_timeout")


def test_no_other_limit_holds_for_them(tunnelling, place):
    limits = "request_timeout = 400ms\nheader_timeout = 400ms\nbody_timeout = 400ms\nkeepalive_timeout = 400ms"
    with tunnelling(place.authority, proxy=limits).client() as client:
        opened(client, place.authority)
        threading.Event().wait(1)
        client.send(b"hello")
        assert client.read_until(b"hello")


@pytest.mark.parametrize("sent", ["", "CONN", "CONNECT ", "CONNECT h:443 HTTP/1.1\r\nHost: h"])
def test_a_head_that_does_not_come_is_not_awaited_for_ever(tunnelling, place, sent):
    with tunnelling(place.authority, proxy="header_timeout = 300ms").client() as client:
        client.send(sent)
        said = client.read_to_end(reset_is_fine=True)
    assert said.startswith(b"HTTP/1.1 408 ") if sent else not said


@pytest.mark.parametrize("sent", ["", "CONN", "CONNECT h:443 HTTP/1.1\r\nHost: h"])
def test_a_client_that_leaves_before_its_head_is_complete(tunnelling, place, sent):
    daemon = tunnelling(place.authority, proxy="max_connections = 1\nworkers = 1")
    for _ in range(3):
        with daemon.client() as client:
            client.send(sent)
    assert daemon.ask().status == 200


def test_they_count_as_connections(tunnelling, place):
    daemon = tunnelling(place.authority, proxy="max_connections = 1\nworkers = 1")
    first = daemon.client()
    opened(first, place.authority)
    with daemon.client() as second:
        second.request()
        second.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            second.sock.recv(1)
        first.close()
        second.sock.settimeout(20)
        assert second.response().status == 200


def test_they_count_as_their_client_s(tunnelling, place):
    """As do those that turn out to be none, and each is forgotten when it goes."""
    daemon = tunnelling(place.authority, proxy="max_connections_per_client = 3")
    tunnel, plain, silent = daemon.client(), daemon.client(), daemon.client()
    opened(tunnel, place.authority)
    assert plain.ask().status == 200
    silent.send("CON")
    for _ in range(3):
        with daemon.client() as further:
            assert further.response().kind == "too-many-connections"
    for client in (tunnel, plain, silent):
        client.close()
    wait_until(lambda: is_let_in(daemon), 10, "room for others again")


def is_let_in(daemon):
    clients = [daemon.client() for _ in range(3)]
    try:
        return [client.ask().status for client in clients] == [200] * 3
    except Broken:
        return False
    finally:
        for client in clients:
            client.close()


def test_draining_lets_them_go_on_for_a_while_and_no_longer(tunnelling, place):
    daemon = tunnelling(place.authority, proxy="drain_timeout = 1s")
    with daemon.client() as client, daemon.client() as waiting:
        opened(client, place.authority)
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("stopping")
        client.send(b"still there")
        assert client.read_until(b"still there")
        assert waiting.read_to_end(reset_is_fine=True) == b""
        assert client.read_to_end(reset_is_fine=True) == b""
        daemon.check_end(daemon.process.wait_exit())


def test_stopping_in_every_state(tunnelling, place):
    daemon = tunnelling(place.authority, proxy="drain_timeout = 200ms")
    clients = [daemon.client() for _ in range(4)]
    clients[0].send("CON")
    clients[1].send("CONNECT x")
    opened(clients[2], place.authority)
    assert connect(clients[3], "elsewhere:1").startswith(b"HTTP/1.1 403 ")
    daemon.process.signal(signal.SIGTERM)
    daemon.check_end(daemon.process.wait_exit())
    for client in clients:
        client.close()


# -- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines, fault",
    [
        ("connect = tunnel", "connect: tunnel needs connect_hosts"),
        ("connect = tunnel\nconnect_hosts = api.example.com", "connect_hosts: the port is missing"),
        ("connect = tunnel\nconnect_hosts = *:443", "connect_hosts"),
        ("connect = yes\nconnect_hosts = a:1", "connect"),
    ],
)
def test_faults(tmp_path, auth, lines, fault):
    done = run("check", "-c", write_config(tmp_path, one_route(auth.credential(), "https://api.example.com"), lines))
    assert done.returncode == 1 and fault in done.stdout + done.stderr


def test_hosts_without_tunnels_are_a_warning(tmp_path, auth):
    done = run("check", "-c", write_config(tmp_path, one_route(auth.credential(), "https://api.example.com"), "connect_hosts = a:1"))
    assert done.returncode == 0 and "has no effect without connect = tunnel" in done.stdout + done.stderr


def test_explain(tmp_path, auth):
    config = write_config(
        tmp_path, one_route(auth.credential(), "https://api.example.com"), "connect = tunnel\nconnect_hosts = registry.example.com:443"
    )
    done = run("explain", "-c", config, "CONNECT", "Registry.example.com:443")
    assert done.returncode == 0 and "tunnel      registry.example.com:443" in done.stdout
    done = run("explain", "-c", config, "CONNECT", "registry.example.com:444")
    assert done.returncode == 1 and "connect-not-allowed" in done.stdout


# -- reload --------------------------------------------------------------------------------------


def test_a_reload_opens_and_closes_the_way_and_leaves_what_is_open(start, auth, upstream, place):
    text, tunnel = one_route(auth.credential(), upstream.url), f"connect = tunnel\nconnect_hosts = {place.authority}"
    daemon = start(text, "connect = refuse")
    with daemon.client() as client:
        client.send(client.head("CONNECT", place.authority, host=place.authority))
        assert client.response("GET").status == 501
    daemon.reload(text, tunnel)
    with daemon.client() as first:
        opened(first, place.authority)
        daemon.reload(text, "connect = refuse")
        with daemon.client() as second:
            second.send(second.head("CONNECT", place.authority, host=place.authority))
            assert second.response("GET").status == 501
        first.send(b"still there")
        assert first.read_until(b"still there")
    daemon.wait_log(f"event=tunnel.closed to={place.authority}")
