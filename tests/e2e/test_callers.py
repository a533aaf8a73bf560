# SPDX-License-Identifier: MIT
"""Who may call: a proxy that adds credentials must not do it for everybody who reaches it."""
import base64
import os
import stat
import subprocess
import tempfile

import pytest
from conftest import one_route
from kit.bearerd import run, write_config
from kit.raw import RawClient


@pytest.mark.parametrize(
    "host", ["evil.example.test", "127.0.0.1:1", "localhost.evil.example.test", "localhost:80", "127.0.0.1.nip.io"]
)
def test_a_foreign_host_is_refused(simple, upstream, host):
    refused = simple().ask(host=host)
    assert (refused.status, refused.kind) == (403, "host-not-allowed")
    assert upstream.connections == 0


LOOKALIKES = """
    localhost 127.0.0.1 [::1] localhost:80 localhost:443 127.0.0.1:80 localhost:0 localhost:1{port} localhost:{port}0 :{port}
    localhost.evil.example.test:{port} 127.0.0.1.evil.example.test:{port} evil.example.test:{port} localhost.:81
    127.0.0.1.nip.io:{port} evil.localhost:{port} xlocalhost:{port} localhostx:{port} local-host:{port}
    localhost.localdomain:{port} localhost..:{port} .localhost:{port} 127.0.0.2:{port} 127.1:{port} 127.0.1:{port}
    127.000.000.001:{port} 0177.0.0.1:{port} 0x7f.0.0.1:{port} 0x7f000001:{port} 2130706433:{port} 017700000001:{port}
    0.0.0.0:{port} 0:{port} [::]:{port} [::ffff:127.0.0.1]:{port} [::ffff:7f00:1]:{port} [0:0:0:0:0:0:0:1]:{port}
    [::1%25lo]:{port} ::1:{port} user@localhost:{port} localhost:{port}@evil.example.test localhost:{port}/ localhost:{port}?
    localhost:{port},evil.example.test localhost%3a{port} localhost:+{port} localhost:0{port} xn--localhost:{port}
    127.0.0.1%00.evil.example.test:{port} localhost:{port}#@evil.example.test \x80localhost:{port}
""".split()


def test_T1_lookalikes_of_our_own_names(simple, upstream):
    daemon = simple()
    assert len(LOOKALIKES) >= 40
    for text in LOOKALIKES:
        answer = daemon.ask(host=text.format(port=daemon.port))
        assert (answer.status, answer.kind) in {
            (403, "host-not-allowed"), (400, "bad-target"), (400, "malformed-request")
        }, text  # fmt: skip
    assert upstream.connections == 0


def test_T1_trailing_dot_and_case_are_the_same_name(simple):
    daemon = simple()
    for host in (f"localhost.:{daemon.port}", f"LocalHost:{daemon.port}"):
        assert daemon.ask(host=host).status == 200


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}"])
def test_our_own_names_are_accepted(simple, host):
    daemon = simple()
    assert daemon.ask(host=host.format(port=daemon.port)).status == 200


def test_accept_hosts_adds_names(simple):
    daemon = simple("accept_hosts = bearerd.example.test sidecar:99")
    assert daemon.ask(host="bearerd.example.test").status == 200
    assert daemon.ask(host=f"bearerd.example.test:{daemon.port}").status == 200
    assert daemon.ask(host="sidecar:99").status == 200
    assert daemon.ask(host="sidecar").status == 403


@pytest.mark.parametrize(
    "head",
    ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"],
)
def test_no_host_or_two_or_a_bad_one(simple, upstream, head):
    with simple().client() as client:
        client.send(head)
        assert client.response().status == 400
    assert upstream.connections == 0


@pytest.mark.parametrize(
    "field",
    [
        "Origin: https://evil.example.test",
        "Origin: null",
        "Origin: http://localhost",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_T31_requests_of_web_pages_are_refused(simple, upstream, field):
    refused = simple().ask(fields=[field])
    assert (refused.status, refused.kind) == (403, "origin-not-allowed")
    assert upstream.connections == 0


def test_what_a_person_opens_is_not_refused(simple):
    assert simple().ask(fields=["Sec-Fetch-Site: none"]).status == 200


def test_a_page_that_came_through_bearerd_is_a_page_like_any_other(simple, upstream):
    """It was made by an upstream, and is not to act on the others, unless it is named."""
    refused = simple().ask(fields=["Sec-Fetch-Site: same-origin"])
    assert (refused.status, refused.kind) == (403, "origin-not-allowed")
    daemon = simple("allow_origins = http://ui.example.test\naccept_hosts = ui.example.test", name="second.ini")
    assert daemon.ask(fields=["Sec-Fetch-Site: same-origin"], host="ui.example.test").status == 200
    assert daemon.ask(fields=["Sec-Fetch-Site: same-origin"]).status == 403


def test_T31_allow_origins_opens_exactly_the_named(simple):
    daemon = simple("allow_origins = https://app.example.test")
    assert daemon.ask(fields=["Origin: https://app.example.test", "Sec-Fetch-Site: cross-site"]).status == 200
    for origin in (
        "https://app.example.test:444",
        "http://app.example.test",
        "https://app.example.test.evil.test",
        "https://APP.example.test/",
    ):
        assert daemon.ask(fields=[f"Origin: {origin}"]).status == 403


@pytest.mark.parametrize("referer, status", [
    ("https://evil.example.test/x", 403), ("http://127.0.0.1.evil.example.test:{port}/", 403), ("//evil.example.test", 403),
    ("http://127.0.0.1:{port}/x", 200), ("/x", 200), ("about:blank", 200),
])  # fmt: skip
def test_T2_a_foreign_Referer_is_a_page_of_an_old_browser(simple, upstream, referer, status):
    daemon = simple()
    answer = daemon.ask(fields=[("Referer", referer.format(port=daemon.port))])
    assert answer.status == status
    assert status == 200 or (answer.kind, upstream.connections) == ("origin-not-allowed", 0)


APP = "https://app.example.test"
PREFLIGHT = [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-bearerd-key,content-type")]


def test_T2_preflights_of_other_pages_are_refused(simple, upstream):
    daemon = simple(f"allow_origins = {APP}")
    for extra in ([], [("Access-Control-Request-Private-Network", "true")], [("Access-Control-Request-Local-Network", "true")]):
        for origin in ("https://evil.example.test", "null"):
            refused = daemon.ask("OPTIONS", fields=[("Origin", origin), *PREFLIGHT, *extra])
            assert (refused.status, refused.kind) == (403, "origin-not-allowed")
            assert "access-control" not in str(refused.fields)
        assert not extra or daemon.ask("OPTIONS", fields=extra).status == 403
    assert upstream.connections == 0


def test_a_preflight_of_an_allowed_page_is_answered_without_upstream_or_key(simple, upstream):
    daemon = simple(f"allow_origins = {APP}\nclient_key = sesame")
    with daemon.client() as client:
        for network in ([], [("Access-Control-Request-Private-Network", "true")]):
            answer = client.ask("OPTIONS", "/x", [("Origin", APP), *PREFLIGHT, *network])
            assert (answer.status, answer.body) == (204, b"")
            assert answer.get("Access-Control-Allow-Origin") == APP
            assert answer.get("Access-Control-Allow-Methods") == "PUT"
            assert answer.get("Access-Control-Allow-Headers") == PREFLIGHT[1][1]
            assert answer.get("Access-Control-Allow-Private-Network") == (network and "true" or None)
            assert answer.get("Access-Control-Allow-Credentials") is None
            assert answer.get("Proxy-Status") == "bearerd"
        # What was asked for must bear the key all the same.
        refused = client.ask("PUT", "/x", [("Origin", APP)], b"")
        assert (refused.status, refused.kind) == (401, "key-required")
        assert refused.get("Access-Control-Allow-Origin") == APP  # the page may read why
        assert upstream.connections == 0
        assert client.ask("PUT", "/x", [("Origin", APP), ("X-Bearerd-Key", "sesame")], b"").status == 200


CORS = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"), ("Vary", "Accept")]


def test_bearerd_answers_browsers_in_the_upstreams_place(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(fields=CORS)
    daemon = simple(f"allow_origins = {APP}")
    answer = daemon.ask(fields=[("Origin", APP)])
    assert answer.get("Access-Control-Allow-Origin") == APP
    assert answer.get("Access-Control-Allow-Credentials") is None
    assert answer.get("Access-Control-Expose-Headers") == "*"
    assert answer.get_all("Vary") == ["Accept", "Origin"]
    answer = daemon.ask()
    assert "access-control" not in str(answer.fields) and answer.get("Vary") == "Accept"


def test_cors_pass_leaves_it_to_the_upstream(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(fields=CORS)
    daemon = simple(f"allow_origins = {APP}\ncors = pass")
    for method in ("OPTIONS", "GET"):
        answer = daemon.ask(method, fields=[("Origin", APP), *PREFLIGHT])
        assert answer.get("Access-Control-Allow-Origin") == "*" and answer.get("Vary") == "Accept"
    assert [request.method for request in upstream.requests] == ["OPTIONS", "GET"]
    assert daemon.ask(fields=[("Origin", "https://evil.example.test")]).status == 403


def basic(password):
    return "Basic " + base64.b64encode(f"any:{password}".encode()).decode()


@pytest.mark.parametrize(
    "field",
    [
        "X-Bearerd-Key: sesame",
        f"Proxy-Authorization: {basic('sesame')}",
        "Proxy-Authorization: Bearer sesame",
        "proxy-authorization: bearer  sesame",
    ],
)
def test_client_key_opens(simple, upstream, field):
    assert simple("client_key = sesame").ask(fields=[field]).status == 200
    assert b"sesame" not in upstream.last.head
    assert base64.b64encode(b"any:sesame") not in upstream.last.head


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["X-Bearerd-Key: Sesame"],
        ["X-Bearerd-Key:"],
        ["X-Bearerd-Key: sesame2"],
        [f"Proxy-Authorization: {basic('x')}"],
        ["Authorization: Bearer sesame"],
    ],
)
def test_without_the_client_key_nothing_is_forwarded(simple, upstream, fields):
    daemon = simple("client_key = sesame")
    daemon.secrets.append("sesame")
    refused = daemon.ask(fields=fields)
    assert (refused.status, refused.kind) == (401, "key-required")
    # HS-16. No scheme of Authorization: that field is for the upstream.
    assert refused.get("WWW-Authenticate") == 'X-Bearerd-Key realm="bearerd"'
    assert upstream.connections == 0


def test_a_proxy_client_without_the_key_is_asked_for_it(simple, upstream):
    refused = simple("client_key = sesame").ask("GET", f"{upstream.url}/x", host=upstream.authority)
    assert (refused.status, refused.kind) == (407, "key-required")
    assert refused.get("Proxy-Authenticate").startswith("Basic ")


def test_a_unix_socket(start, auth, upstream, tmp_path):
    path = tmp_path / "proxy.sock"
    daemon = start(one_route(auth.credential(), upstream.url), f"listen = unix:{path}\nsocket_mode = 0600")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with RawClient(path) as client:
        for _ in range(3):
            assert client.ask().status == 200
        assert client.ask(host="evil.example.test").status == 403
    daemon.stop()
    assert not path.exists()


def test_several_listeners(start, auth, upstream, tmp_path):
    path = tmp_path / "proxy.sock"
    daemon = start(
        one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:0\nlisten = unix:{path}\nlisten = 127.0.0.1:0"
    )
    assert len(daemon.addresses) == 3
    with RawClient(path) as client:
        assert client.ask().status == 200
    for address in (daemon.addresses[0], daemon.addresses[2]):
        with RawClient(int(address.rsplit(":", 1)[1])) as client:
            assert client.ask().status == 200


@pytest.mark.parametrize("uid, status", [(os.getuid(), 200), (os.getuid() + 1, 403)])
def test_allow_uids(start, auth, upstream, tmp_path, uid, status):
    path = tmp_path / "proxy.sock"
    start(one_route(auth.credential(), upstream.url), f"listen = unix:{path}\nallow_uids = {uid}")
    with RawClient(path) as client:
        answer = client.ask()
    assert answer.status == status
    assert status == 200 or answer.kind == "user-not-allowed"


# What another user runs: asks over the socket named, prints the status.
ASK = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(20)
try:
    sock.connect(sys.argv[1])
except PermissionError:
    sys.exit("not let in")
sock.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
print(sock.recv(4096).decode().split()[1])
"""
NOBODY = 65534


@pytest.fixture
def open_folder():
    """A folder that every user may look into; the tests' own are closed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("mode, allowed, root, nobody", [
    ("0600", "", "200", "not let in"),
    ("0666", "", "200", "200"),
    ("0666", "allow_uids = 0", "200", "403"),
    ("0666", "allow_uids = nobody", "403", "200"),
    ("0666", f"allow_uids = 0 {NOBODY}", "200", "200"),
])  # fmt: skip
def test_T3_two_users_at_one_socket(start, auth, upstream, open_folder, mode, allowed, root, nobody):
    path = f"{open_folder}/proxy.sock"
    start(one_route(auth.credential(), upstream.url), f"listen = unix:{path}\nsocket_mode = {mode}\n{allowed}")

    def ask(*prefix):
        command = [*prefix, "/usr/bin/python3", "-I", "-c", ASK, path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd="/")
        return (done.stdout or done.stderr).strip()

    assert ask() == root
    assert ask("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") == nobody


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_T32_other_machines_only_when_told_so(auth, upstream, tmp_path, start, listen):
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url), f"listen = {listen}")
    checked = run("check", "-c", config)
    assert checked.returncode == 1 and "expose" in checked.stderr
    assert run("serve", "-c", config).returncode == 1


def test_T32_exposed(start, auth, upstream):
    daemon = start(one_route(auth.credential(), upstream.url), "listen = 0.0.0.0:0\nexpose = yes\nclient_key = sesame")
    assert daemon.ask().status == 401
    assert daemon.ask(fields=["X-Bearerd-Key: sesame"]).status == 200


@pytest.mark.parametrize(
    "setting",
    [
        "[upstream api]\nurl = http://api.example.com\n",
        "[credential main]\ntoken_url = http://idp.example.com/t\nclient_id = a\nclient_secret = b\n",
    ],
)
def test_plain_http_to_other_machines_must_be_allowed(auth, upstream, tmp_path, setting):
    whole = one_route(auth.credential(), upstream.url)
    if "upstream" in setting:
        whole = whole.replace(f"[upstream api]\nurl = {upstream.url}\n", setting)
    else:
        whole = whole.replace(auth.credential(), setting)
    checked = run("check", "-c", write_config(tmp_path, whole))
    assert checked.returncode == 1 and "allow_plaintext" in checked.stderr
    allowed = whole.replace(setting, setting + "allow_plaintext = yes\n")
    assert run("check", "-c", write_config(tmp_path, allowed)).returncode == 0
