# SPDX-License-Identifier: MIT
"""The admin listener: who may call it, health in all its states, orders, and that it answers when nothing else does."""
import base64
import contextlib
import json
import os
import re
import resource
import select
import signal
import socket
import stat
import threading
import time

import pytest
from conftest import one_route
from kit.admin import Admin
from kit.bearerd import BINARY, ENV, write_config
from kit.process import Process, wait_until
from kit.raw import Broken, RawClient
from kit.scripted import token_answer

KEY = "a key for operators only"
READ = ["/", "/metrics", "/status.json", "/status"]
HEALTH = ["/livez", "/readyz", "/startupz"]
CHANGE = ["/reload", "/drain", "/log-level?level=info"]


@pytest.fixture
def tcp(start, auth, upstream):
    """tcp(lines): a bearerd whose admin listener is on TCP, with these lines in [admin]; its admin, as Admin."""

    def make(lines="", **options):
        daemon = start(
            one_route(auth.credential(), upstream.url) + f"[admin]\nlisten = 127.0.0.1:0\n{lines}\n", **options
        )
        daemon.tcp_admin = Admin(int(daemon.wait_log(r"event=admin.listening address=127.0.0.1:(\d+)").group(1)))
        return daemon

    return make


def bearer(key):
    return [("Authorization", f"Bearer {key}")]


def basic(key, user="anyone"):
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode())]


def ask(admin, target, fields=()):
    method = "POST" if target in CHANGE else "GET"
    return admin.ask(method, target, fields)


# -- who may call -----------------------------------------------------------------------------------


def test_there_is_none_unless_it_is_named(auth, upstream, tmp_path):
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url))
    daemon = Process([BINARY, "serve", "-c", config], env=ENV, name="bearerd")
    daemon.wait_line("event=ready")
    assert "admin.listening" not in daemon.text
    assert daemon.stop() == 0


def test_the_socket_has_its_mode_and_goes_away(start, auth, upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("s")
    path = folder / "a.sock"
    daemon = start(one_route(auth.credential(), upstream.url) + f"[admin]\nlisten = unix:{path}\nsocket_mode = 0600\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Admin(path).get("/livez").status == 200
    daemon.stop()
    assert not path.exists()


@pytest.mark.parametrize("target", READ + HEALTH)
@pytest.mark.parametrize(
    "fields, host, status, kind",
    [
        ([], "evil.example", 403, "host-not-allowed"),  # T31: DNS rebinding
        ([], "localhost", 403, "host-not-allowed"),  # without the port it is another site's
        ([("Origin", "https://evil.example")], None, 403, "origin-not-allowed"),
        ([("Origin", "null")], None, 403, "origin-not-allowed"),
        ([("Sec-Fetch-Site", "cross-site")], None, 403, "origin-not-allowed"),
        ([("Sec-Fetch-Site", "same-site")], None, 403, "origin-not-allowed"),
        ([("Sec-Fetch-Site", "same-origin")], None, 200, None),  # the status page's own
        ([("Sec-Fetch-Site", "none")], None, 200, None),  # typed in
    ],
)
def test_T31_no_web_page_may_look(tcp, target, fields, host, status, kind):
    admin = tcp().tcp_admin
    answer = admin.get(target, fields, host=host)
    assert answer.status == status
    if kind:
        assert json.loads(answer.body)["type"] == f"urn:bearerd:problem:{kind}"


@pytest.mark.parametrize("target", CHANGE)
def test_a_web_page_may_order_nothing(start, auth, upstream, target):
    """A page of its own neither: it sends an Origin with POST."""
    daemon = start(one_route(auth.credential(), upstream.url))
    answer = daemon.admin.post(target, [("Origin", "http://localhost")])
    assert answer.status == 403
    assert daemon.admin.get("/livez").status == 200


def test_accept_hosts(tcp):
    admin = tcp("accept_hosts = metrics.internal:9464\n").tcp_admin
    assert admin.get("/livez", host="metrics.internal:9464").status == 200
    assert admin.get("/livez", host="metrics.internal:9091").status == 403


@pytest.mark.parametrize("target", CHANGE)
def test_orders_over_tcp_need_a_key_that_exists(tcp, target):
    answer = ask(tcp().tcp_admin, target)
    assert answer.status == 403
    assert "unix: socket" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(
    "fields, is_right",
    [
        ([], False),
        (bearer(KEY), True),
        (bearer(KEY + "x"), False),
        (bearer(""), False),
        (basic(KEY), True),
        (basic("wrong"), False),
        ([("X-Bearerd-Key", KEY)], True),
        ([("X-Bearerd-Key", KEY[:-1])], False),
        ([("Authorization", KEY)], False),
    ],
)
def test_the_key(tcp, fields, is_right):
    daemon = tcp(f"key = {KEY}\n")
    for target in READ:
        assert ask(daemon.tcp_admin, target, fields).status == (200 if is_right else 401)
    for target in HEALTH:
        assert ask(daemon.tcp_admin, target, fields).status == 200  # probes have none
    answer = ask(daemon.tcp_admin, "/log-level?level=info", fields)
    assert answer.status == (200 if is_right else 401)
    if not is_right:
        assert answer.get("WWW-Authenticate").startswith("Basic ")


def test_a_unix_socket_needs_no_key(start, auth, upstream, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "a.sock"
    start(one_route(auth.credential(), upstream.url) + f"[admin]\nlisten = unix:{path}\nkey = {KEY}\n")
    for target in [*READ, *HEALTH, "/log-level?level=info"]:
        assert ask(Admin(path), target).status == 200


def test_the_key_of_the_proxy_is_another(tcp, auth, upstream):
    daemon = tcp(f"key = {KEY}\n", proxy="client_key = a key for clients alone")
    assert daemon.tcp_admin.get("/metrics", bearer("a key for clients alone")).status == 401
    assert daemon.ask(fields=[("X-Bearerd-Key", KEY)]).status == 401


# -- how it answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, target, status, allow",
    [
        ("HEAD", "/livez", 200, None),
        ("POST", "/livez", 405, "GET, HEAD"),
        ("DELETE", "/metrics", 405, "GET, HEAD"),
        ("GET", "/drain", 405, "POST"),
        ("HEAD", "/drain", 405, "POST"),
        ("PUT", "/reload", 405, "POST"),
        ("GET", "/log-level?level=debug", 405, "POST"),
        ("GET", "/nothing", 404, None),
        ("GET", "/livez/", 404, None),
        ("GET", "/%6civez", 404, None),
        ("TRACE", "/livez", 405, "GET, HEAD"),
        ("GET", "http://localhost/livez", 400, None),
        ("OPTIONS", "*", 400, None),
        ("POST", "/log-level", 400, None),
        ("POST", "/log-level?level=loud", 400, None),
        ("POST", "/log-level?xlevel=debug", 400, None),
    ],
)
def test_what_is_not_there(simple, method, target, status, allow):
    """Nothing is changed by GET, whatever the page."""
    daemon = simple()
    answer = daemon.admin.ask(method, target)
    assert (answer.status, answer.get("Allow")) == (status, allow)
    if status >= 400 and method != "HEAD":
        document = json.loads(answer.body)
        assert answer.get("Content-Type") == "application/problem+json"
        assert document["status"] == status and document["title"] and document["detail"]
    assert daemon.admin.get("/livez").status == 200
    assert "admin.order" not in daemon.log


def test_a_malformed_request(simple):
    daemon = simple()
    answer = daemon.admin.ask("GET", "/livez", [("Host", "localhost")])
    assert answer.status == 400
    assert json.loads(answer.body)["type"] == "urn:bearerd:problem:malformed-request"


def test_bodies_are_of_no_use(simple):
    daemon = simple()
    assert daemon.admin.ask("POST", "/log-level?level=info", body=b"x" * 100_000).status == 200
    answer = daemon.admin.ask("GET", "/livez", body=b"x" * 10)
    assert (answer.status, answer.text) == (200, '{"status":"alive"}\n')


def test_the_list_names_every_page(simple):
    listed = [line.split()[1] for line in simple().admin.get("/").text.splitlines()[2:]]
    assert listed == ["/", "/livez", "/readyz", "/startupz", "/metrics", "/status.json", "/status", "/reload", "/drain", "/log-level"]


# -- health --------------------------------------------------------------------------------------------


def test_nothing_is_required_unless_it_is_said(simple, auth):
    daemon = simple()
    assert daemon.admin.ready() == (200, {"status": "ready"})
    assert auth.requests() == []  # and nothing is fetched


def test_T35_not_ready_without_a_required_token(start, token_server, upstream):
    """Why, in the authorization server's own words; ready as soon as there is one; no request had to ask for it."""
    refusal = ("401 Unauthorized", '{"error": "invalid_client", "error_description": "who <are> you"}')
    server = token_server(("503 Busy", "{}"), refusal)
    daemon = start(one_route(server.credential(required="yes"), upstream.url))
    daemon.wait_log("error=invalid_client")
    status, document = daemon.admin.ready()
    assert (status, document["status"]) == (503, "not ready")
    [missing] = document["missing"]
    assert (missing["credential"], missing["scope"], missing["state"]) == ("main", "api:read", "failed")
    assert "invalid_client: who <are> you" in missing["cause"]
    assert missing["retry_in_s"] > 10
    assert daemon.admin.get("/livez").status == 200
    assert daemon.admin.get("/startupz").text == '{"status":"started"}\n'
    assert daemon.admin.metrics().get("bearerd_ready") == 0
    assert not upstream.requests


def test_ready_with_the_first_token(start, token_server, upstream):
    server = token_server(("503 Busy", "{}"), token_answer("one"))
    daemon = start(one_route(server.credential(required="yes"), upstream.url))
    wait_until(lambda: daemon.admin.ready()[0] == 200, 10, "ready")
    assert daemon.admin.metrics().get("bearerd_ready") == 1
    assert len(server.requests) == 2
    assert daemon.ask().status == 200
    assert len(server.requests) == 2  # it was at hand


def test_each_set_of_scopes_is_required(start, token_server, upstream):
    """One of them is refused."""

    def answer(exchange):
        good = b"scope=api%3Aread" in exchange.read_body()
        text = '{"access_token": "t", "token_type": "Bearer"}' if good else '{"error": "invalid_scope"}'
        exchange.answer("200 OK" if good else "400 No", text.encode(), [("Content-Type", "application/json")])

    server = token_server(answer)
    ini = one_route(server.credential(required="yes"), upstream.url) + "[route other]\nmatch = /other\nscopes = api:write\n"
    daemon = start(ini)
    daemon.wait_log("event=token.fetched")
    daemon.wait_log("event=token.failed")
    status, document = daemon.admin.ready()
    assert status == 503
    assert [missing["scope"] for missing in document["missing"]] == ["api:write"]


def test_one_that_is_not_required_does_not_count(start, token_server, upstream):
    server = token_server(("400 No", '{"error": "invalid_client"}'))
    daemon = start(one_route(server.credential(), upstream.url))
    assert daemon.ask().status == 502
    assert daemon.admin.ready()[0] == 200


def test_a_required_token_is_kept_without_requests(start, token_server, upstream):
    """Renewed before it expires, though nobody uses it: readiness does not come and go."""
    server = token_server(token_answer("one", 3), token_answer("two", 3600))
    daemon = start(one_route(server.credential(required="yes", clock_skew="1s", refresh_before="1s"), upstream.url))
    wait_until(lambda: daemon.admin.ready()[0] == 200, 10, "ready")
    states = set()
    wait_until(lambda: states.add(daemon.admin.ready()[0]) or len(server.requests) == 2, 10, "a renewal")
    daemon.wait_log("fetched.*reason=renewal")
    assert states == {200}


def test_not_ready_before_anything_is_closed(simple, upstream):
    """While requests under way end, it says that it drains."""
    released = threading.Event()
    upstream.on = lambda exchange: (exchange.read_body(), released.wait(10), exchange.answer())
    daemon = simple()
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        daemon.process.signal(signal.SIGTERM)
        wait_until(lambda: daemon.admin.ready() == (503, {"status": "draining", "missing": []}), 10, "draining")
        assert daemon.admin.get("/livez").status == 200
        assert daemon.admin.metrics().get("bearerd_draining") == 1
        assert daemon.admin.status()["process"]["phase"] == "draining"
        released.set()
        assert client.response().status == 200
    assert daemon.process.wait_exit() == 0


# -- orders --------------------------------------------------------------------------------------------


def test_drain(simple, upstream):
    """As SIGTERM: what is under way ends, then it exits with 0. Asked for twice it is no more impatient."""
    released = threading.Event()
    upstream.on = lambda exchange: (exchange.read_body(), released.wait(10), exchange.answer(body=b"late"))
    daemon = simple()
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        for _ in range(2):
            answer = daemon.admin.post("/drain")
            assert (answer.status, answer.text) == (202, '{"status":"draining"}\n')
        released.set()
        assert client.response().text == "late"
    assert daemon.process.wait_exit() == 0
    assert daemon.log.count("event=stopping") == 1
    assert f"event=admin.order what=drain result=begun uid={os.getuid()}" in daemon.log


def test_log_level_at_run_time(simple):
    daemon = simple("workers = 1\n[log]\naccess = yes")

    def at_level(level, target):
        assert daemon.admin.post(f"/log-level?level={level}").text == f'{{"level":"{level}"}}\n'
        assert daemon.admin.status()["process"]["log_level"] == level
        with daemon.client() as client:
            client.ask(target=target)
            client.ask(target="/fence")  # the line of the one before has been written, or will not be

    at_level("warn", "/unseen")
    at_level("debug", "/seen")
    daemon.wait_log("event=request .*path=/seen")
    at_level("error", "/unseen")
    at_level("info", "/seen/again")
    daemon.wait_log("event=request .*path=/seen/again")
    assert "path=/unseen" not in daemon.log
    levels = [line.split("result=")[1].split()[0] for line in daemon.log.splitlines() if "what=log-level" in line]
    assert levels == ["warn", "debug", "error", "info"]


# -- at the limits --------------------------------------------------------------------------------------


def test_it_answers_when_the_proxy_takes_no_more(simple, upstream):
    released = threading.Event()
    upstream.on = lambda exchange: (exchange.read_body(), released.wait(20), exchange.answer())
    daemon = simple("workers = 1\nmax_connections = 3")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.client()) for _ in range(3)]
        for client in clients:
            client.request()
        upstream.wait_requests(3)
        with daemon.client(timeout=0.5) as late, pytest.raises((TimeoutError, Broken)):
            late.ask()
        for page in ("/livez", "/metrics", "/status.json"):
            assert daemon.admin.get(page).status == 200
        wait_until(lambda: daemon.admin.status()["clients"]["open"] >= 3, 5, "the count")
        assert daemon.admin.status()["clients"]["max"] == 3
        released.set()
        for client in clients:
            assert client.response().status == 200


def test_it_answers_without_descriptors(start, auth, upstream, release):
    """All descriptors are taken by clients, as far as the proxy takes them."""
    limit = 80
    daemon = start(one_route(auth.credential(), upstream.url), "workers = 1\nheader_timeout = 1m", binary=release)
    assert daemon.ask().status == 200
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    with contextlib.ExitStack() as stack:
        for _ in range(limit + 20):
            stack.enter_context(daemon.client())
        daemon.wait_log("event=listener.cannot_accept")
        for _ in range(20):
            for page in ("/livez", "/readyz", "/metrics", "/status.json"):
                assert daemon.admin.get(page).status == 200
        metrics = daemon.admin.metrics()
        assert metrics.get("process_open_fds") >= limit - 5
        assert metrics.get("process_max_fds") == limit
    wait_until(lambda: daemon.ask().status == 200, 10, "service again")


def reader(stack, daemon, target, times=1):
    """Who asks, and reads nothing as yet."""
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.connect(str(daemon.admin.address))
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * times)
    return sock


def test_slow_readers_lock_nobody_out(simple):
    """All connections are theirs, and busy: the one that has been read for longest gives way."""
    daemon = simple()
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            reader(stack, daemon, "/status", 200)
        for _ in range(3):
            with RawClient(daemon.admin.address, timeout=5) as client:
                assert client.ask(target="/livez").status == 200


def test_an_answer_is_to_be_read_within_half_a_minute(start, auth, upstream):
    """By one who goes on reading. There is room for others, so it gets all of that time."""
    routes = "".join(f"[route r{i}]\nmatch = /r{i}/**\nscopes = api:read\n" for i in range(3000))
    daemon = start(one_route(auth.credential(), upstream.url) + routes)
    with contextlib.ExitStack() as stack:
        sock, poll = reader(stack, daemon, "/status.json"), select.poll()
        poll.register(sock, 0)
        began, got = time.monotonic(), 0
        while not poll.poll(100) and time.monotonic() - began < 45:
            with contextlib.suppress(BlockingIOError):
                got += len(sock.recv(3000))
        assert 25 < time.monotonic() - began < 40
        assert got > 200_000, "it did go on"


def test_its_own_connections_are_bounded(simple):
    """Sixty-four at a time; whoever comes then takes the place of one that idles."""
    daemon = simple()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(daemon.admin.address)) for _ in range(100)]
        for client in clients:
            assert client.ask(target="/livez").status == 200
        assert sum(client.is_closed_by_peer() for client in clients[:30]) == 30
        assert daemon.ask().status == 200
        assert clients[-1].ask(target="/livez").status == 200


# -- reload --------------------------------------------------------------------------------------------------


def test_reload(simple, upstream):
    """Done when it is answered: what comes behind it is under the new configuration."""
    daemon = simple()
    assert daemon.ask(target="/new").status == 200
    before = daemon.admin.metrics()
    daemon.write(daemon.config.read_text().replace("[proxy]\nlisten = 127.0.0.1:0", "").replace("match = /**", "match = /old/**"))
    answer = daemon.admin.post("/reload")
    assert (answer.status, answer.text) == (200, '{"status":"reloaded"}\n')
    assert daemon.ask(target="/new").kind == "no-route"
    metrics = daemon.admin.metrics()
    assert metrics.get("bearerd_config_reloads_total", result="done") == 1
    assert metrics.get("bearerd_config_last_reload_successful") == 1
    stamp = "bearerd_config_last_reload_success_timestamp_seconds"
    assert metrics.get(stamp) >= before.get(stamp)
    # Counted on, by the names that are the same.
    assert metrics.get("bearerd_requests_total", route="all", **{"class": "2xx"}) == 1
    assert daemon.admin.status()["tokens"][0]["state"] == "valid"
    assert f"event=admin.order what=reload result=done uid={os.getuid()}" in daemon.log


def test_T36_a_reload_that_is_refused_says_why(simple):
    daemon = simple()
    good = daemon.config.read_text()
    daemon.config.write_text(good.replace("match = /**", "match = nowhere\nscoops = x"))
    answer = daemon.admin.post("/reload")
    assert answer.status == 500
    document = json.loads(answer.body)
    assert document["type"] == "urn:bearerd:problem:reload-refused"
    assert re.search(rf"^{daemon.config}:\d+: .*scoops", document["detail"], re.M), document
    assert len(document["detail"].splitlines()) == 2  # every fault
    assert daemon.ask().status == 200
    status = daemon.admin.status()["config"]["reloads"]
    assert (status["failed"], status["last_failed"]) == (1, True) and "match:" in status["last_error"]
    assert daemon.admin.metrics().get("bearerd_config_last_reload_successful") == 0
    daemon.config.write_text(good)
    assert daemon.admin.post("/reload").status == 200
    assert daemon.admin.status()["config"]["reloads"]["last_error"] is None


def test_who_asks_for_a_reload_may_go_away(simple):
    daemon = simple()
    for _ in range(20):
        with RawClient(daemon.admin.address) as client:
            client.request("POST", "/reload", [("Content-Length", "0")])
    wait_until(lambda: daemon.admin.post("/reload").status == 200)
    assert daemon.ask().status == 200


def test_the_admin_listener_is_reloaded_too(start, auth, upstream, tmp_path_factory):
    """Another key, another socket; one that stays is not closed."""
    folder = tmp_path_factory.mktemp("s")
    rest = one_route(auth.credential(), upstream.url)
    one, two = folder / "1.sock", folder / "2.sock"
    daemon = start(rest + f"[admin]\nlisten = unix:{one}\nlisten = 127.0.0.1:0\nkey = {KEY}\n")
    tcp = Admin(int(daemon.wait_log(r"event=admin.listening address=127.0.0.1:(\d+)").group(1)))
    with RawClient(one) as kept:
        assert kept.ask(target="/livez").status == 200
        daemon.write(rest + f"[admin]\nlisten = unix:{two}\nlisten = 127.0.0.1:0\nkey = another key for operators\n")
        assert kept.ask("POST", "/reload", [("Content-Length", "0")]).status == 200
    assert not one.exists()
    assert Admin(two).get("/metrics").status == 200
    assert tcp.get("/metrics", bearer(KEY)).status == 401
    assert tcp.get("/metrics", bearer("another key for operators")).status == 200
    daemon.write(rest + "[admin]\nlisten = 127.0.0.1:0\nkey = file:/nowhere/at/all\n")
    answer = Admin(two).post("/reload")
    assert answer.status == 500 and "/nowhere/at/all" in json.loads(answer.body)["detail"]
    assert tcp.get("/metrics", bearer("another key for operators")).status == 200
    daemon.write(rest)
    assert Admin(two).post("/reload").status == 200
    assert not two.exists()
    assert daemon.ask().status == 200


def test_required_is_reloaded_too(start, token_server, upstream):
    server = token_server(token_answer("one"))
    daemon = start(one_route(server.credential(), upstream.url))
    assert daemon.admin.ready()[0] == 200 and not server.requests
    daemon.write(one_route(server.credential(required="yes"), upstream.url))
    assert daemon.admin.post("/reload").status == 200
    wait_until(lambda: daemon.admin.ready()[0] == 200 and server.requests, 10, "its token")
    assert daemon.admin.status()["tokens"][0]["required"]
