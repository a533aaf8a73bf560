# SPDX-License-Identifier: MIT
"""TLS towards the upstream, against a real nginx: trusted as told or not used at all."""
import ssl

import pytest
from conftest import one_route
from kit.bearerd import run, write_config
from kit.scripted import garbage_record

ROUTE = "[route all]\nmatch = /**\nscopes = api:read\n"


@pytest.fixture
def to_nginx(start, auth, nginx):
    def make(url=None, proxy="", **settings):
        return start(f"{auth.credential()}\n{nginx.upstream(url, **settings)}\n{ROUTE}", proxy)

    return make


def test_a_real_upstream_over_tls(to_nginx, auth, nginx):
    daemon = to_nginx()
    with daemon.client() as client:
        for i in range(3):
            answer = client.ask(target=f"/echo?i={i}")
            line, host, authorization, via = answer.text.splitlines()
            assert line == f"GET /echo?i={i} HTTP/1.1"
            assert host == f"host=localhost:{nginx.tls_port}"
            assert authorization == f"authorization=Bearer {auth.requests()[0]['access_token']}"
            assert via.startswith("via=1.1 bearerd")
    assert len(auth.requests()) == 1


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_real_files_and_statuses(to_nginx, nginx, scheme):
    daemon = to_nginx(nginx.url if scheme == "https" else nginx.plain_url)
    with daemon.client() as client:
        assert client.ask(target="/files/small.txt").body == b"small file\n"
        part = client.ask(target="/files/small.txt", fields=["Range: bytes=1-3"])
        assert (part.status, part.body) == (206, b"mal")
        etag = client.ask(target="/files/small.txt").get("ETag")
        assert client.ask(target="/files/small.txt", fields=[f"If-None-Match: {etag}"]).status == 304
    for target, status in [("/status/204", 204), ("/status/205", 205), ("/moved", 302), ("/nothing", 404)]:
        assert daemon.ask(target=target).status == status


def test_a_large_file_over_tls(to_nginx):
    body = to_nginx().ask(target="/files/big.bin").body
    assert len(body) == 64 << 20 and not body.strip(b"\0")


@pytest.mark.parametrize("ca", ["other_ca", None])
def test_BT3_an_untrusted_certificate_is_502_and_nothing_is_sent(to_nginx, nginx, certs, ca):
    """None: the system's authorities, which do not know the test's."""
    settings = {"ca_file": getattr(certs, ca) if ca else ""}
    daemon = to_nginx(**settings)
    before = nginx.access_count()
    refused = daemon.ask(target="/echo")
    assert (refused.status, refused.kind) == (502, "upstream-tls")
    assert "certificate" in refused.problem["detail"].lower()
    assert nginx.access_count() == before


@pytest.mark.parametrize("fault", ["another name", "expired"])
def test_BT3_a_certificate_of_another_name_or_time_is_502_and_nothing_is_sent(start, auth, certs, scripted, fault):
    server = scripted(certs=certs, certificate=certs.expired() if fault == "expired" else certs.wrong_name)
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}"))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (502, "upstream-tls")
    daemon.wait_log(f"event=upstream.failed .*{'expired' if fault == 'expired' else 'name'}")
    assert server.requests == []


def test_a_client_certificate_is_shown(to_nginx, nginx, certs):
    daemon = to_nginx(nginx.mtls_url, cert_file=certs.client, key_file=certs.key_of(certs.client))
    assert daemon.ask().text == "subject=CN=bearerd-client\n"


def test_MT4_a_client_certificate_is_shown_only_where_configured(start, auth, certs, scripted):
    """Two upstreams on one host; the one without cert_file must see none, reused sessions or not."""
    seen = []

    def server():
        made = scripted(certs=certs)
        made._tls.verify_mode = ssl.CERT_OPTIONAL
        made._tls.load_verify_locations(certs.ca)
        made.on = lambda x: (seen.append((made.port, bool(x.connection.sock.getpeercert()))), x.answer())
        return made

    first, second = server(), server()
    part = "[upstream {0}]\nurl = {1}\nca_file = {2}\nmount = /{0}\n{3}\n[route {0}]\nupstream = {0}\nmatch = /**\nscopes = api:read\n"
    shown = f"cert_file = {certs.client}\nkey_file = {certs.key_of(certs.client)}"
    daemon = start(
        auth.credential() + part.format("a", first.url, certs.ca, shown) + part.format("b", second.url, certs.ca, "")
    )
    for target in ("/a/x", "/b/x", "/a/x", "/b/x"):
        assert daemon.ask(target=target).status == 200
    assert set(seen) == {(first.port, True), (second.port, False)}


def test_a_client_certificate_is_shown_to_the_token_endpoint(start, token_server, upstream, certs):
    server = token_server(certs=certs, client_ca=certs.ca)
    tls = {"ca_file": certs.ca, "cert_file": certs.client, "key_file": certs.key_of(certs.client)}
    daemon = start(one_route(server.credential(**tls), upstream.url))
    assert daemon.ask().status == 200
    bare = start(one_route(server.credential(ca_file=certs.ca), upstream.url), name="bare.ini")
    assert bare.ask().status in (502, 503)
    assert len(server.requests) == 1


def test_an_upstream_that_wants_a_certificate_and_gets_none(to_nginx, nginx):
    assert to_nginx(nginx.mtls_url).ask().status in (400, 502)


@pytest.mark.parametrize(
    "key, make",
    [
        ("ca_file", lambda certs, tmp: tmp / "missing.pem"),
        ("ca_file", lambda certs, tmp: tmp),
        ("cert_file", lambda certs, tmp: certs.client),
        ("cert_file", lambda certs, tmp: f"{tmp / 'missing.pem'}\nkey_file = {certs.key_of(certs.client)}"),
    ],
    ids=["ca missing", "ca folder", "no key", "cert missing"],
)
@pytest.mark.parametrize("where", ["credential", "upstream"])
def test_T29_a_missing_tls_file_is_a_fault_at_load(auth, nginx, certs, tmp_path, where, key, make):
    settings = {key: make(certs, tmp_path)}
    config = write_config(tmp_path, wrong_tls(auth, nginx, where, settings))
    checked = run("check", "-c", config)
    assert checked.returncode == 1 and f"[{where} " in checked.stderr
    assert run("serve", "-c", config).returncode == 1


@pytest.mark.parametrize(
    "key, make",
    [
        ("ca_file", lambda certs, tmp: garbage(tmp)),
        ("cert_file", lambda certs, tmp: f"{certs.client}\nkey_file = {certs.key_of(certs.server)}"),
        ("cert_file", lambda certs, tmp: f"{garbage(tmp)}\nkey_file = {certs.key_of(certs.client)}"),
    ],
    ids=["ca garbage", "wrong key", "cert garbage"],
)
@pytest.mark.parametrize("where", ["credential", "upstream"])
def test_T29_a_broken_tls_file_is_no_reason_to_go_on_without(start, auth, nginx, certs, tmp_path, where, key, make):
    """At load or at the first request: never a connection without what the file was for."""
    text = wrong_tls(auth, nginx, where, {key: make(certs, tmp_path)})
    if run("check", "-c", write_config(tmp_path, text)).returncode == 1:
        return
    before = nginx.access_count()
    refused = start(text).ask(target="/echo")
    assert (refused.status, refused.kind) in [
        (502, "upstream-tls"),
        (502, "internal"),
        (503, "token-unreachable"),
        (503, "token-local"),
    ]
    assert nginx.access_count() == before
    assert where == "upstream" or auth.requests() == []


def wrong_tls(auth, nginx, where, settings):
    credential = auth.credential(**settings) if where == "credential" else auth.credential()
    upstream = nginx.upstream(**settings) if where == "upstream" else nginx.upstream()
    return f"{credential}\n{upstream}\n{ROUTE}"


def garbage(folder):
    path = folder / "garbage.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nnot base64 at all\n-----END CERTIFICATE-----\n")
    return path


def cut_off(sock):
    sock.close()  # TCP's FIN without TLS's


def break_a_record(sock):
    garbage_record(sock)
    sock.close()


@pytest.mark.parametrize("end", [cut_off, break_a_record])
def test_tls_broken_off_without_close_notify_is_a_broken_answer(start, auth, certs, scripted, end):
    """Until-close bodies: over TLS the end must be said, else an attacker could cut."""
    server = scripted(certs=certs)

    def answer(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\npart of it")
        end(exchange.connection.sock)

    server.on = answer
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}"))
    with pytest.raises(AssertionError):
        daemon.ask()


def test_tls_connections_are_used_again(start, auth, certs, scripted):
    server = scripted(certs=certs)
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}"), "workers = 1")
    for i in range(10):
        assert daemon.ask("POST", body=b"x" * 20000 * i).status == 200
    assert server.connections == 1


def test_a_tls_session_is_resumed(start, auth, certs, scripted):
    """Its tickets are not lost between libcurl and us."""
    server = scripted(certs=certs)
    is_resumed = []

    def answer_and_close(exchange):
        is_resumed.append(exchange.connection.sock.session_reused)
        exchange.answer(fields=[("Connection", "close")])
        exchange.close()

    server.on = answer_and_close
    daemon = start(one_route(auth.credential(), server.url, upstream=f"ca_file = {certs.ca}"), "workers = 1")
    for _ in range(4):
        assert daemon.ask().status == 200
    assert is_resumed == [False, True, True, True]


def test_upstreams_with_other_authorities_do_not_share_them(start, auth, nginx, certs):
    """Both go to one server; what the one verified, a session included, is nothing to the other."""
    sections = [
        f"[upstream {name}]\nurl = {nginx.url}\nhosts = {name}.test\nmount = /{name}\nca_file = {ca}\nkeepalive = 0\n"
        f"[route {name}]\nupstream = {name}\nmatch = /**\nscopes = api:read\n"
        for name, ca in (("good", certs.ca), ("bad", certs.other_ca))
    ]
    daemon = start("\n".join([auth.credential(), *sections]), "workers = 1")
    for _ in range(3):
        assert daemon.ask(target="/good/echo").status == 200
        assert daemon.ask(target="/bad/echo").kind == "upstream-tls"


def test_a_replaced_ca_file_counts_from_the_next_connection_on(to_nginx, certs, tmp_path):
    ca_file = tmp_path / "ca.pem"

    def put(source):
        fresh = tmp_path / "fresh.pem"
        fresh.write_bytes(source.read_bytes())
        fresh.rename(ca_file)

    put(certs.ca)
    daemon = to_nginx(ca_file=ca_file, keepalive=0)
    assert [daemon.ask(target="/echo").status for _ in range(2)] == [200, 200]
    put(certs.other_ca)
    assert daemon.ask(target="/echo").kind == "upstream-tls"
    put(certs.ca)
    assert daemon.ask(target="/echo").status == 200
    ca_file.unlink()
    assert daemon.ask(target="/echo").status == 502
