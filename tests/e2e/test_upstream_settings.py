# SPDX-License-Identifier: MIT
"""How an upstream is reached and recognised: addresses, unix sockets, the Host field, versions, ciphers, names and pins
of TLS. The same TLS settings for token endpoints."""
import base64
import hashlib
import socket
import ssl
import subprocess
import warnings

import pytest
from conftest import one_route
from kit.bearerd import run, write_config
from kit.process import wait_until
from kit.scripted import ScriptedServer


def pin_of(certificate):
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


OTHER_PIN = "sha256//" + base64.b64encode(bytes(32)).decode()


# -- where it is


@pytest.fixture
def own_server():
    """own_server(…): a scripted server on an address of its own."""
    made = []

    def make(**options):
        made.append(ScriptedServer(**options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_with_two_addresses_of_which_one_answers(start, auth, own_server, host):
    """localhost is ::1 and 127.0.0.1 to libcurl, whatever the machine's own table says."""
    if ":" in host and not has_ipv6():
        pytest.skip("there is no IPv6 on this machine")
    server = own_server(host=host)
    daemon = start(one_route(auth.credential(), f"http://localhost:{server.port}"), "workers = 1")
    for _ in range(3):
        assert daemon.ask().status == 200
    assert server.connections == 1
    assert server.last.get("Host") == f"localhost:{server.port}"


def test_an_ipv6_address(start, auth, own_server):
    if not has_ipv6():
        pytest.skip("there is no IPv6 on this machine")
    server = own_server(host="::1")
    daemon = start(one_route(auth.credential(), f"http://[::1]:{server.port}"))
    assert daemon.ask().status == 200
    assert server.last.get("Host") == f"[::1]:{server.port}"


def test_a_unix_socket(start, auth, own_server, tmp_path):
    """Plain HTTP with a token in it, since nobody listens on the way."""
    server = own_server(path=tmp_path / "api.sock")
    lines = f"socket = {tmp_path}/api.sock"
    daemon = start(one_route(auth.credential(), "http://api.example.test/base", upstream=lines), "workers = 1")
    for _ in range(3):
        assert daemon.ask(target="/x?y").status == 200
    assert server.connections == 1
    assert (server.last.target, server.last.get("Host")) == ("/base/x?y", "api.example.test")
    assert server.last.token.startswith("ey")
    server.stop()
    refused = wait_until(lambda: (got := daemon.ask()).status == 502 and got, 10, "nobody on the socket")
    assert refused.kind == "upstream-unreachable"


def test_tls_over_a_unix_socket(start, auth, own_server, certs, tmp_path):
    server = own_server(path=tmp_path / "api.sock", certs=certs)
    lines = f"socket = {tmp_path}/api.sock\nca_file = {certs.ca}"
    assert start(one_route(auth.credential(), "https://api.example.test", upstream=lines)).ask().status == 200
    other = start(one_route(auth.credential(), "https://elsewhere.example.test", upstream=lines), name="b.ini")
    assert other.ask().kind == "upstream-tls"
    lines += "\ntls_name = localhost"
    third = start(one_route(auth.credential(), "https://elsewhere.example.test", upstream=lines), name="c.ini")
    assert third.ask().status == 200
    assert server.last.get("Host") == "elsewhere.example.test"


def test_host_header(simple, upstream):
    daemon = simple(upstream_lines="host_header = API.example.test:99")
    assert daemon.ask(target="http://api.example.test:99/x").status == 200
    assert upstream.last.get_all("Host") == ["API.example.test:99"]
    assert daemon.ask(target=f"http://{upstream.authority}/x").status == 200


@pytest.mark.parametrize(
    "lines, says",
    [
        ("url = http://127.0.0.1:1\nset_header = Host: a", "host_header of an upstream changes it"),
        ("url = http://127.0.0.1:1\nhost_header = http://a/", "host:port"),
        ("url = http://127.0.0.1:1\nsocket = api.sock", "no absolute path"),
        ("url = http://a\nsocket = /a\nproxy = http://127.0.0.1:1", "is not used with socket"),
        ("url = http://a\nsocket = {tmp}/self.sock", "round in a circle"),
        ("url = http://127.0.0.1:18234", "round in a circle"),
        ("url = http://localhost:18234", "round in a circle"),
        ("url = https://a\ntls_min = 1.1", '1.2'),
        ("url = https://a\ntls_min = 1.3\ntls_ciphers = AES128-SHA", "tls_ciphersuites"),
        ("url = https://a\ntls_ciphers = NOT-A-CIPHER", "knows none of"),
        ("url = https://a\ntls_ciphers = A B", "colons"),
        ("url = https://a\ntls_ciphersuites = TLS_NO_SUCH", "does not know all of"),
        ("url = https://a\ntls_pin = sha256//abc", "44 characters"),
        ("url = https://a\ntls_pin = {pin} x", "44 characters"),
        ("url = https://a\ntls_name = a:1", "no port"),
    ],
)
def test_faults(auth, tmp_path, lines, says):
    text = f"{auth.credential()}\n[upstream api]\n{lines.format(tmp=tmp_path, pin=OTHER_PIN)}\n[route all]\nmatch = /**\nscopes = a\n"
    listen = f"listen = 127.0.0.1:18234\nlisten = unix:{tmp_path}/self.sock"
    checked = run("check", "-c", write_config(tmp_path, text, listen))
    assert checked.returncode == 1 and says in checked.stderr, checked.stderr


def test_HS3_an_upstream_may_not_be_bearerd_itself(simple, upstream):
    """Known by its address at load (above), else by the name in Via."""
    daemon = simple()
    assert daemon.ask().status == 200
    again = daemon.ask(fields=[("Via", upstream.last.get("Via"))])
    assert (again.status, again.kind) == (508, "loop")


# -- TLS


@pytest.fixture
def old_tls(certs, scripted):
    """A server that speaks TLS 1.2 and no more."""
    server = scripted(certs=certs)
    server._tls.maximum_version = ssl.TLSVersion.TLSv1_2
    return server


def upstream_of(server, certs, lines=""):
    return f"ca_file = {certs.ca}\n{lines}"


def test_tls_min(start, auth, certs, old_tls):
    daemon = start(one_route(auth.credential(), old_tls.url, upstream=upstream_of(old_tls, certs, "tls_min = 1.3")))
    assert daemon.ask().kind == "upstream-tls"
    assert old_tls.requests == []
    daemon = start(one_route(auth.credential(), old_tls.url, upstream=upstream_of(old_tls, certs)), name="b.ini")
    assert daemon.ask().status == 200


def test_no_tls_below_1_2(start, auth, certs, scripted):
    server = scripted(certs=certs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server._tls.minimum_version = ssl.TLSVersion.TLSv1
        server._tls.maximum_version = ssl.TLSVersion.TLSv1_1
    server._tls.set_ciphers("ALL:@SECLEVEL=0")
    daemon = start(one_route(auth.credential(), server.url, upstream=upstream_of(server, certs)))
    assert daemon.ask().kind == "upstream-tls"


def test_tls_ciphers(start, auth, certs, old_tls, scripted):
    new_tls = scripted(certs=certs)
    seen = []
    for server in (old_tls, new_tls):
        server.on = lambda exchange: (seen.append(exchange.connection.sock.cipher()[0]), exchange.answer())
    lines = "tls_ciphers = ECDHE-ECDSA-AES128-GCM-SHA256\ntls_ciphersuites = TLS_CHACHA20_POLY1305_SHA256"
    for number, server in enumerate((old_tls, new_tls)):
        text = one_route(auth.credential(), server.url, upstream=upstream_of(server, certs, lines))
        assert start(text, name=f"{number}.ini").ask().status == 200
    assert seen == ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_CHACHA20_POLY1305_SHA256"]


def test_tls_pin(start, auth, certs, scripted):
    """Not instead of the authorities, but besides them; one of several is enough."""
    server = scripted(certs=certs)
    pin = pin_of(certs.server)
    rows = [
        (pin, certs.ca, 200),
        (f"{OTHER_PIN} sha256//{pin}", certs.ca, 200),
        (OTHER_PIN, certs.ca, 502),
        (pin_of(certs.ca), certs.ca, 502),
        (pin, certs.other_ca, 502),
    ]
    for number, (pins, authority, status) in enumerate(rows):
        text = one_route(auth.credential(), server.url, upstream=f"ca_file = {authority}\ntls_pin = {pins}")
        answer = start(text, name=f"{number}.ini").ask()
        assert answer.status == status, pins
        assert status == 200 or answer.kind == "upstream-tls"
    assert len(server.requests) == 2


def test_tls_name(start, auth, certs, scripted):
    """The name that is verified and asked for, while url says where to go and what Host is."""
    server = scripted(certs=certs)
    asked = []
    server._tls.sni_callback = lambda sock, name, context: asked.append(name)
    address = f"https://127.0.0.1:{server.port}"
    daemon = start(one_route(auth.credential(), address, upstream=upstream_of(server, certs, "tls_name = api.example.test")), "workers = 1")
    for _ in range(3):
        assert daemon.ask().status == 200
    assert asked == ["api.example.test"] and server.connections == 1
    assert server.last.get("Host") == f"127.0.0.1:{server.port}"
    wrong = start(one_route(auth.credential(), address, upstream=upstream_of(server, certs, "tls_name = other.example.test")), name="b.ini")
    assert wrong.ask().kind == "upstream-tls"
    assert len(server.requests) == 3


def test_two_upstreams_at_one_address_keep_their_names_apart(start, auth, certs, scripted):
    """Also when TLS sessions are resumed."""
    server = scripted(certs=certs)
    part = (
        "[upstream {0}]\nurl = https://localhost:{1}\nca_file = {2}\nmount = /{0}\nhosts = {0}.test\n{3}\nkeepalive = 0\n"
        "[route {0}]\nupstream = {0}\nmatch = /**\nscopes = api:read\n"
    )
    text = part.format("a", server.port, certs.ca, "") + part.format("b", server.port, certs.ca, "tls_name = other.example.test")
    text += part.format("c", server.port, certs.ca, f"tls_pin = {OTHER_PIN}")
    daemon = start(auth.credential() + text, "workers = 1")
    for _ in range(2):
        assert [daemon.ask(target=f"/{name}/x").status for name in "abc"] == [200, 502, 502]
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "settings, fits",
    [({"tls_min": "1.3"}, True), ({"tls_pin": "own"}, True), ({"tls_pin": OTHER_PIN}, False), ({"tls_ciphersuites": "TLS_AES_128_CCM_SHA256"}, False)],
)
def test_the_token_endpoint(start, token_server, upstream, certs, settings, fits):
    server = token_server(certs=certs)
    settings = {key: pin_of(certs.server) if value == "own" else value for key, value in settings.items()}
    daemon = start(one_route(server.credential(ca_file=certs.ca, **settings), upstream.url))
    answer = daemon.ask()
    assert answer.status == (200 if fits else 503)
    assert len(server.requests) == fits


def test_the_token_endpoint_tls_min(start, token_server, upstream, certs):
    server = token_server(certs=certs)
    server._tls.maximum_version = ssl.TLSVersion.TLSv1_2
    daemon = start(one_route(server.credential(ca_file=certs.ca, tls_min="1.3"), upstream.url))
    assert daemon.ask().kind == "token-unreachable"
    assert server.requests == []


def test_a_ca_file_that_is_spoilt_later(start, auth, certs, scripted, tmp_path):
    """Not a reason to go on without it; and all is well when it is back."""
    server = scripted(certs=certs)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(certs.ca.read_bytes())
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {authority}"))
    authority.write_text("-----BEGIN CERTIFICATE-----\nnot base64 at all\n-----END CERTIFICATE-----\n")
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (502, "internal")
    assert str(tmp_path) not in refused.text and server.requests == []
    authority.write_bytes(certs.ca.read_bytes())
    assert daemon.ask().status == 200
