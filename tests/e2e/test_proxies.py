# SPDX-License-Identifier: MIT
"""The `proxy` setting: token requests and upstream connections that go through another proxy."""
import pytest
from conftest import one_route
from kit.process import free_port
from kit.relays import HttpProxy, SocksProxy


@pytest.fixture
def behind():
    """behind(kind, port, …): a proxy whose every connection ends at that port."""
    made = []

    def make(kind, port, **options):
        made.append(kind(port, **options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


def test_a_tls_upstream_through_an_http_proxy(start, auth, certs, scripted, behind):
    server = scripted(certs=certs)
    proxy = behind(HttpProxy, server.port)
    lines = f"ca_file = {certs.ca}\nproxy = http://127.0.0.1:{proxy.port}"
    daemon = start(one_route(auth.credential(), "https://api.example.test", upstream=lines), "workers = 1")
    for _ in range(3):
        assert daemon.ask().status == 200
    assert proxy.asked == ["CONNECT api.example.test:443 HTTP/1.1"]
    assert server.last.get("Host") == "api.example.test"
    assert "Bearer" not in str(proxy.requests[0].fields), "the token is inside the tunnel only"


def test_a_plain_upstream_through_an_http_proxy(start, auth, upstream, behind):
    """Through a tunnel, too: the proxy sees no token."""
    proxy = behind(HttpProxy, upstream.port)
    lines = f"proxy = http://127.0.0.1:{proxy.port}\nallow_plaintext = yes"
    daemon = start(one_route(auth.credential(), "http://api.example.test/base", upstream=lines))
    assert daemon.ask(target="/x?y").status == 200
    assert proxy.asked == ["CONNECT api.example.test:80 HTTP/1.1"]
    assert upstream.last.target == "/base/x?y"


@pytest.mark.parametrize("scheme, name", [("socks5h", "api.example.test"), ("socks5", "127.0.0.1")])
def test_an_upstream_through_socks(start, auth, upstream, behind, scheme, name):
    proxy = behind(SocksProxy, upstream.port)
    lines = f"proxy = {scheme}://127.0.0.1:{proxy.port}\nallow_plaintext = yes"
    daemon = start(one_route(auth.credential(), f"http://{name}:81", upstream=lines), "workers = 1")
    for _ in range(3):
        assert daemon.ask().status == 200
    assert proxy.asked == [(name, 81)]
    assert upstream.last.get("Host") == f"{name}:81"


def test_a_proxy_that_is_down(start, auth, upstream):
    lines = f"proxy = http://127.0.0.1:{free_port()}"
    refused = start(one_route(auth.credential(), upstream.url, upstream=lines)).ask()
    assert refused.status == 502
    assert upstream.connections == 0


def test_a_proxy_that_refuses(start, auth, certs, scripted, behind):
    proxy = scripted(on=lambda exchange: exchange.answer("403 Forbidden", b"no"))
    lines = f"ca_file = {certs.ca}\nproxy = http://127.0.0.1:{proxy.port}"
    refused = start(one_route(auth.credential(), "https://api.example.test", upstream=lines)).ask()
    assert refused.status == 502 and refused.kind.startswith("upstream-")


LOGIN = ("us er", "p:w@rd")


@pytest.mark.parametrize("kind, scheme", [(HttpProxy, "http"), (SocksProxy, "socks5h")])
@pytest.mark.parametrize("login, status", [("us%20er:p%3Aw%40rd@", 200), ("us%20er:wrong@", 502), ("", 502)])
def test_a_proxy_that_asks_for_a_password(start, auth, certs, scripted, behind, kind, scheme, login, status):
    server = scripted(certs=certs)
    proxy = behind(kind, server.port, login=LOGIN)
    lines = f"ca_file = {certs.ca}\nproxy = {scheme}://{login}127.0.0.1:{proxy.port}"
    daemon = start(one_route(auth.credential(), "https://api.example.test", upstream=lines))
    answer = daemon.ask()
    assert answer.status == status
    assert len(server.requests) == (status == 200)
    if status == 502:
        assert answer.kind == "upstream-unreachable"
        assert "wrong" not in answer.text and "wrong" not in daemon.log
    else:
        assert server.last.get("Proxy-Authorization") is None


def test_an_https_proxy(start, auth, certs, scripted, behind):
    """Its certificate is verified like any other: the upstream's ca_file is not asked about it."""
    server = scripted(certs=certs)
    proxy = behind(HttpProxy, server.port, certs=certs)
    lines = f"ca_file = {certs.ca}\nproxy = https://localhost:{proxy.port}"
    refused = start(one_route(auth.credential(), "https://api.example.test", upstream=lines)).ask()
    assert refused.status == 502 and proxy.asked == []


def test_a_proxy_and_tls_name(start, auth, certs, scripted, behind):
    server = scripted(certs=certs)
    proxy = behind(HttpProxy, server.port)
    lines = f"ca_file = {certs.ca}\nproxy = http://127.0.0.1:{proxy.port}\ntls_name = api.example.test"
    daemon = start(one_route(auth.credential(), "https://elsewhere.example.test:8443", upstream=lines))
    assert daemon.ask().status == 200
    assert proxy.asked == ["CONNECT elsewhere.example.test:8443 HTTP/1.1"]


def test_the_token_request_through_an_http_proxy(start, auth, upstream, behind):
    proxy = behind(HttpProxy, auth.port)
    daemon = start(one_route(auth.credential(proxy=f"http://127.0.0.1:{proxy.port}"), upstream.url))
    assert daemon.ask().status == 200
    assert proxy.asked == [f"CONNECT localhost:{auth.port} HTTP/1.1"]
    assert len(auth.requests()) == 1


def test_the_token_request_through_socks(start, auth, upstream, behind):
    proxy = behind(SocksProxy, auth.port)
    daemon = start(one_route(auth.credential(proxy=f"socks5h://127.0.0.1:{proxy.port}"), upstream.url))
    assert daemon.ask().status == 200
    assert proxy.asked == [("localhost", auth.port)]
