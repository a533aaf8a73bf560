# SPDX-License-Identifier: MIT
"""SIGHUP: another configuration, whole or not at all (T36), while requests are under way, each of which has one
configuration from its head to the end of its answer (T-18)."""
import base64
import re
import shutil
import signal
import socket
import sqlite3
import threading

import pytest
from conftest import one_route
from kit.auth_server import DPOP
from kit.keys import read_jwt, thumbprint
from kit.process import free_port, wait_until
from kit.raw import RawClient
from kit.scripted import send_json, token_answer


def routes(*rows):
    """("name", "match", "scopes"), …"""
    return "".join(f"[route {name}]\nmatch = {match}\nscopes = {scopes}\n" for name, match, scopes in rows)


def to(url, name="api", more=""):
    return f"[upstream {name}]\nurl = {url}\n{more}\n"


@pytest.fixture
def by_scope(token_server):
    """A token endpoint whose tokens name their scope, and how many of that there were: read-1, read_write-1, …"""
    counts = {}

    def answer(exchange):
        body = exchange.read_body().decode()
        match = re.search(r"scope=([^&]*)", body)
        scope = match[1].replace("+", "_").replace("%3A", "-") if match else "none"
        counts[scope] = counts.get(scope, 0) + 1
        send_json(exchange, token_answer(f"{scope}-{counts[scope]}"))

    return token_server(answer)


# -- all or nothing (T36) ------------------------------------------------------------------------


def test_T36_a_broken_file_changes_nothing_and_all_its_faults_are_told(simple, auth, upstream):
    daemon = simple()
    assert daemon.ask().status == 200
    broken = one_route(auth.credential(), upstream.url, "timeout = soon") + "[route b]\nmatch = nowhere\n"
    said = daemon.reload(broken, expect="reload.refused")
    faults = [line for line in said.splitlines() if "event=reload.fault" in line]
    assert len(faults) == 2 and "timeout" in faults[0] and "match" in faults[1]
    assert all(re.search(r"file=\S*bearerd\.ini line=\d+ text=", line) for line in faults)
    assert daemon.ask().status == 200
    assert len(auth.requests()) == 1, "the token is the one from before"
    daemon.reload(one_route(auth.credential(), upstream.url))
    assert daemon.ask().status == 200 and len(auth.requests()) == 1


def test_T36_no_file_at_all(simple):
    daemon = simple()
    daemon.config.unlink()
    assert "cannot open" in daemon.reload(expect="reload.refused")
    assert daemon.ask().status == 200


def test_T36_half_a_file_is_refused_or_is_what_it_says(start, by_scope, upstream):
    """Cut anywhere: what is no whole configuration changes nothing, and nothing falls over."""
    text = by_scope.credential() + to(upstream.url) + routes(("read", "GET /**", "read"), ("write", "PUT /**", "write"))
    daemon = start(text)
    whole = daemon.config.read_text()
    refused = 0
    for length in range(0, len(whole), 7):
        daemon.config.write_text(whole[:length])
        mark = daemon.process.mark()
        daemon.process.signal(signal.SIGHUP)
        refused += daemon.process.wait_line(r"event=(reloaded|reload\.refused)", 10, mark)[1] == "reload.refused"
        assert daemon.ask("TRACE").status == 405
    assert refused > len(whole) / 7 / 2
    daemon.config.write_text(whole)
    daemon.reload()
    assert [daemon.ask(method).status for method in ("GET", "PUT", "POST")] == [200, 200, 403]


def test_T36_what_cannot_be_opened_changes_nothing(simple, auth, upstream, tmp_path):
    daemon = simple()
    text = one_route(auth.credential(), upstream.url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = f"listen = 127.0.0.1:0\nlisten = 127.0.0.1:{taken.getsockname()[1]}"
        assert "in use" in daemon.reload(text, proxy, expect="reload.refused")
    foreign = tmp_path / "tokens.db"
    foreign.write_text("no database")
    foreign.chmod(0o600)
    stored = f"[store]\nurl = sqlite:{foreign}\nkey = 0123456789abcdef0123456789abcdef\n"
    foreign.chmod(0o644)
    assert str(foreign) in daemon.reload(text + stored, expect="reload.refused")
    assert daemon.ask().status == 200


def test_a_file_in_the_place_of_another(start, by_scope, upstream):
    daemon = start(by_scope.credential() + to(upstream.url) + routes(("a", "/a/**", "a")))
    assert [daemon.ask(target=target).status for target in ("/a", "/b")] == [200, 403]
    said = daemon.reload(by_scope.credential() + to(upstream.url) + routes(("b", "/b/**", "b")))
    assert "routes=1" in said
    assert [daemon.ask(target=target).status for target in ("/a", "/b")] == [403, 200]
    assert upstream.tokens() == ["a-1", "b-1"]


def test_included_files(start, by_scope, upstream, tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "10.ini").write_text(routes(("a", "/a/**", "a")))
    base = by_scope.credential() + to(upstream.url)
    daemon = start(base)
    daemon.config.write_text(f"include = conf.d/*.ini\n{daemon.config.read_text()}")
    daemon.reload()
    assert [daemon.ask(target=target).status for target in ("/a", "/b")] == [200, 403]
    (folder / "20.ini").write_text(routes(("b", "/b/**", "b")))
    daemon.reload()
    assert [daemon.ask(target=target).status for target in ("/a", "/b")] == [200, 200]
    (folder / "20.ini").write_text("[route b]\nmatch\n")
    said = daemon.reload(expect="reload.refused")
    assert "20.ini" in said and "line=2" in said
    assert daemon.ask(target="/b").status == 200


def test_signals_in_a_row(simple, auth):
    daemon = simple()
    for _ in range(20):
        daemon.process.signal(signal.SIGHUP)
    daemon.reload()
    assert daemon.ask().status == 200
    daemon.process.signal(signal.SIGHUP)
    daemon.stop()


# -- a request has one configuration (T-18) ------------------------------------------------------


def test_T18_a_request_under_way_keeps_its_rule(start, by_scope, upstream, scripted):
    go_on = threading.Event()

    def slow(exchange):
        assert go_on.wait(20)
        exchange.answer(body=b"of the old one")

    upstream.on = slow
    other = scripted(on=lambda exchange: exchange.answer(body=b"of the new one"))
    daemon = start(by_scope.credential() + to(upstream.url) + routes(("a", "/**", "a")))
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        daemon.reload(by_scope.credential() + to(other.url) + routes(("a", "/a/**", "b")))
        assert daemon.ask(target="/a").body == b"of the new one"
        assert daemon.ask(target="/x").status == 403
        go_on.set()
        assert client.response().body == b"of the old one"
        assert client.ask(target="/a").body == b"of the new one", "the connection is the same, the request is not"
    assert (upstream.tokens(), other.tokens()) == (["a-1"], ["b-1", "b-1"])


def test_T18_a_request_that_waits_for_its_token_gets_its_own(start, token_server, upstream):
    go_on = threading.Event()

    def answer(exchange):
        is_weak = b"scope=read" in exchange.read_body() and b"write" not in exchange.request.body
        assert not is_weak or go_on.wait(20)
        send_json(exchange, token_answer("weak" if is_weak else "strong"))

    server = token_server(answer)
    daemon = start(server.credential() + to(upstream.url) + routes(("a", "/**", "read")))
    with daemon.client() as client:
        client.request(target="/before")
        server.wait_requests(1)
        daemon.reload(server.credential() + to(upstream.url) + routes(("a", "/**", "read write")))
        assert daemon.ask(target="/after").status == 200
        go_on.set()
        assert client.response().status == 200
    sent = {request.target: request.token for request in upstream.requests}
    assert sent == {"/before": "weak", "/after": "strong"}


def test_T18_under_load_no_request_gets_the_token_of_a_rule_it_is_not_under(start, by_scope, upstream):
    """Path and scope change together; the upstream compares them. Each client sends on through all of it."""
    wrong, ends = [], threading.Event()

    def judge(exchange):
        level = exchange.request.target.split("/")[1]
        token = exchange.request.token.rpartition("-")[0]
        if token != {"weak": "read", "strong": "read_write"}[level]:
            wrong.append((exchange.request.target, token))
        exchange.answer()

    upstream.on = judge
    weak = by_scope.credential() + to(upstream.url) + routes(("a", "/weak/**", "read"))
    strong = by_scope.credential() + to(upstream.url) + routes(("b", "/x", "write"), ("a", "/strong/**", "read write"))
    daemon = start(weak, "workers = 2")
    seen, faults = set(), []

    def ask(which):
        try:
            with daemon.client() as client:
                while not ends.is_set():
                    seen.add((which, client.ask(target=f"/{which}/x").status))
        except Exception as fault:
            faults.append(fault)

    clients = [threading.Thread(target=ask, args=[which]) for which in ("weak", "strong") * 2]
    for client in clients:
        client.start()
    for i in range(40):
        daemon.reload(weak if i % 2 else strong, "workers = 2")
    ends.set()
    for client in clients:
        client.join(20)
    assert not faults and not wrong
    assert seen == {("weak", 200), ("weak", 403), ("strong", 200), ("strong", 403)}


def test_T18_a_changed_secret_is_used_at_once(start, token_server, upstream):
    seen = []

    def answer(exchange):
        exchange.read_body()
        seen.append(base64.b64decode(exchange.request.get("Authorization").split()[1]).decode())
        send_json(exchange, token_answer(f"t{len(seen)}"))

    server = token_server(answer)
    daemon = start(one_route(server.credential(client_secret="first"), upstream.url))
    daemon.ask()
    daemon.reload(one_route(server.credential(client_secret="second"), upstream.url))
    daemon.ask()
    assert seen == ["client:first", "client:second"]
    assert upstream.tokens() == ["t1", "t2"]


def test_a_refusal_is_forgotten_by_a_reload(start, token_server, upstream):
    refusal = ("401 Unauthorized", '{"error": "invalid_client"}')
    server = token_server(refusal, token_answer("good"))
    daemon = start(one_route(server.credential(), upstream.url))
    assert [daemon.ask().status for _ in range(3)] == [502] * 3
    assert len(server.requests) == 1
    daemon.reload()
    wait_until(lambda: daemon.ask().status == 200, 10, "the server to be asked again")
    assert len(server.requests) == 2


# -- what goes on --------------------------------------------------------------------------------


def test_tokens_and_clients_stay(start, auth, upstream):
    daemon = start(one_route(auth.credential(), upstream.url))
    with daemon.client() as client:
        assert client.ask().status == 200
        for i in range(5):
            daemon.reload(one_route(auth.credential(timeout=f"{20 + i}s"), upstream.url, f"timeout = {i + 10}s"))
            assert client.ask().status == 200
    assert len(auth.requests()) == 1
    assert len(set(upstream.tokens())) == 1
    assert upstream.connections == 1, "neither is the upstream connected to again"


@pytest.mark.parametrize("workers", [1, 2])
def test_upstream_connections_over_tls_stay(start, auth, scripted, certs, workers):
    upstream = scripted(certs=certs)
    text = one_route(auth.credential(), upstream.url, upstream=f"ca_file = {certs.ca}")
    daemon = start(text, f"workers = {workers}")
    clients = [daemon.client() for _ in range(6)]
    assert [client.ask().status for client in clients] == [200] * 6
    before = upstream.connections
    for _ in range(5):
        daemon.reload(text, f"workers = {workers}")
        assert [client.ask().status for client in clients] == [200] * 6
    assert upstream.connections == before
    for client in clients:
        client.close()


def test_a_changed_certificate_means_other_connections(start, auth, scripted, certs, tmp_path):
    """The same path, other contents: what was connected with the old ones is not used any more."""
    copy = tmp_path / "ca.pem"
    shutil.copy(certs.ca, copy)
    upstream = scripted(certs=certs)
    text = one_route(auth.credential(), upstream.url, upstream=f"ca_file = {copy}")
    daemon = start(text, "workers = 1")
    assert daemon.ask().status == 200
    shutil.copy(certs.other_ca, copy)
    daemon.reload()
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (502, "upstream-tls")
    shutil.copy(certs.ca, copy)
    daemon.reload()
    assert daemon.ask().status == 200
    assert upstream.connections >= 2


def test_the_authorities_of_a_token_endpoint_are_read_again(start, auth, upstream, certs, tmp_path):
    copy = tmp_path / "ca.pem"
    shutil.copy(certs.ca, copy)
    credential = auth.credential(ca_file=copy)
    daemon = start(one_route(credential, upstream.url))
    assert daemon.ask().status == 200
    shutil.copy(certs.other_ca, copy)
    daemon.reload(credential + to(upstream.url) + routes(("a", "/**", "api:write")))
    assert daemon.ask().status == 503


def test_a_key_made_at_start_stays(start, auth, upstream):
    """DPoP without a configured key: a new token is bound to the key of before."""
    credential = auth.credential(client=DPOP, dpop="yes")
    daemon = start(credential + to(upstream.url) + routes(("a", "/**", "api:read")))
    assert daemon.ask().status == 200
    daemon.reload(credential + to(upstream.url) + routes(("a", "/a", "api:read"), ("b", "/b", "api:write")))
    assert [daemon.ask(target=target).status for target in ("/a", "/b")] == [200, 200]
    proofs = [read_jwt(request.get("DPoP"))[0] for request in upstream.requests]
    assert len({thumbprint(head["jwk"]) for head in proofs}) == 1
    assert len(set(upstream.tokens())) == 2


def test_back_off_goes_on(start, token_server, upstream):
    server = token_server(lambda exchange: exchange.answer("503 Service Unavailable", fields=[("Retry-After", "60")]))
    daemon = start(one_route(server.credential(), upstream.url))
    assert daemon.ask().status == 503
    for _ in range(3):
        daemon.reload()
        assert daemon.ask().status == 503
    assert len(server.requests) == 1


def test_variables_that_are_hidden_from_libraries_are_still_there(start, auth, upstream):
    """http_proxy is taken out of the environment at start; the file may name it all the same."""
    port = free_port()
    text = one_route(auth.credential(), upstream.url, upstream="set_header = X-Proxy: ${http_proxy}")
    daemon = start(text, env={"http_proxy": f"http://127.0.0.1:{port}"})
    for _ in range(2):
        assert daemon.ask().status == 200
        daemon.reload()
    assert {request.get("X-Proxy") for request in upstream.requests} == {f"http://127.0.0.1:{port}"}


# -- listeners and the rest ----------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_listeners_come_and_go(start, auth, upstream, tmp_path, workers):
    text, path, port = one_route(auth.credential(), upstream.url), tmp_path / "proxy.sock", free_port()

    def proxy(*addresses):
        return f"workers = {workers}\n" + "".join(f"listen = {address}\n" for address in addresses)

    # A folder that has a socket already: others are out of reach of the sandbox.
    daemon = start(text, proxy("127.0.0.1:0", f"unix:{tmp_path}/first.sock"))
    with daemon.client() as client:
        assert client.ask().status == 200
        daemon.reload(text, proxy("127.0.0.1:0", f"unix:{path}", f"127.0.0.1:{port}"))
        for address in (daemon.port, path, port):
            with RawClient(address) as other:
                assert other.ask().status == 200
        assert client.ask().status == 200
        daemon.reload(text, proxy(f"127.0.0.1:{port}", "127.0.0.1:0"))
        assert not path.exists()
        with pytest.raises(OSError):
            RawClient(path)
        assert client.ask().status == 200
    with RawClient(port) as other:
        assert other.ask().status == 200


def test_the_modes_of_sockets_change(start, auth, upstream, tmp_path):
    text, proxy, desk = one_route(auth.credential(), upstream.url), tmp_path / "proxy.sock", tmp_path / "desk.sock"

    def modes():
        return [path.stat().st_mode & 0o777 for path in (proxy, desk)]

    def config(one, other):
        return f"{text}[admin]\nlisten = unix:{desk}\nsocket_mode = {other}\n", f"listen = unix:{proxy}\nsocket_mode = {one}"

    daemon = start(*config("0666", "0660"))
    assert modes() == [0o666, 0o660]
    daemon.reload(*config("0666", "0600"))
    assert modes() == [0o666, 0o600]
    daemon.reload(*config("0606", "0666"))
    assert modes() == [0o606, 0o666]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_connections_end_behind_a_listener_that_goes(start, auth, upstream, tmp_path, kind):
    """At once when they idle, with the answer when one is under way, and not before the first request."""
    text, go_on = one_route(auth.credential(), upstream.url), threading.Event()

    def slow(exchange):
        assert exchange.request.target == "/" or go_on.wait(20)
        exchange.answer()

    upstream.on = slow
    address = free_port() if kind == "tcp" else tmp_path / "proxy.sock"
    listen = f"127.0.0.1:{address}" if kind == "tcp" else f"unix:{address}"
    daemon = start(text, f"listen = 127.0.0.1:0\nlisten = {listen}\nworkers = 2")
    with RawClient(address) as idle, RawClient(address) as busy, RawClient(address) as fresh, daemon.client() as other:
        assert idle.ask().status == 200 and other.ask().status == 200
        busy.request(target="/slow")
        wait_until(lambda: any(request.target == "/slow" for request in upstream.requests), 10, "the slow request")
        daemon.reload(text, "listen = 127.0.0.1:0\nworkers = 2")
        assert idle.is_closed_by_peer()
        answer = fresh.ask()
        assert (answer.status, answer.get("Connection")) == (200, "close") and fresh.is_closed_by_peer()
        go_on.set()
        answer = busy.response()
        assert (answer.status, answer.get("Connection")) == (200, "close") and busy.is_closed_by_peer()
        assert other.ask().status == 200


def test_from_loopback_to_all_addresses_and_back(start, auth, upstream):
    """The same port: the new socket is opened while the old one still is."""
    text, port = one_route(auth.credential(), upstream.url), free_port()
    one, every = f"listen = 127.0.0.1:{port}", f"listen = 0.0.0.0:{port}\nexpose = yes"
    daemon = start(text, one)
    for proxy in (every, one):
        daemon.reload(text, proxy)
        with RawClient(port) as client:
            assert client.ask().status == 200


def test_an_address_of_another_process_is_not_joined(start, auth, upstream):
    """Not even on a port on which this one listens elsewhere."""
    text, port = one_route(auth.credential(), upstream.url), free_port()
    start(text, f"listen = 127.0.0.2:{port}\nworkers = 2", name="other.ini")
    daemon = start(text, f"listen = 127.0.0.1:{port}\nworkers = 2")
    both = f"listen = 127.0.0.1:{port}\nlisten = 127.0.0.2:{port}\nworkers = 2"
    assert "in use" in daemon.reload(text, both, expect="reload.refused")
    assert daemon.ask().status == 200
    # By another name it is still the one that is there.
    daemon.reload(text, f"listen = localhost:{port}\nworkers = 2")
    assert daemon.ask().status == 200


def test_what_needs_a_restart_is_named_and_the_rest_is_done(simple, auth, upstream):
    daemon = simple("workers = 1\nheader_limit = 16k")
    said = daemon.reload(
        one_route(auth.credential(), upstream.url, "set_header = X-New: yes"),
        "workers = 2\nheader_limit = 32k\nbody_limit = 10",
    )
    warnings = [line for line in said.splitlines() if "event=config.warning" in line]
    assert len(warnings) == 2 and "workers" in warnings[0] and "header_limit" in warnings[1]
    assert daemon.ask().status == 200 and upstream.last.get("X-New") == "yes"
    assert daemon.ask("POST", body=b"x" * 11).status == 413
    assert daemon.ask(fields=[f"X-Large: {'x' * 20000}"]).status == 431
    assert "config.warning" in daemon.reload(), "for as long as it is so"


def test_limits_of_connections_change(simple, auth, upstream):
    daemon = simple("workers = 1\nmax_connections = 2\nkeepalive_timeout = 1h")
    held = [daemon.client() for _ in range(2)]
    assert [client.ask().status for client in held] == [200] * 2
    waiting = daemon.client()
    waiting.request()
    daemon.reload(
        one_route(auth.credential(), upstream.url), "workers = 1\nmax_connections = 4\nkeepalive_timeout = 300ms"
    )
    assert waiting.response().status == 200
    assert waiting.is_closed_by_peer()
    for client in held:
        client.close()


def test_the_log_level_changes(simple, auth, upstream):
    daemon = simple()
    daemon.ask()
    text = one_route(auth.credential(), upstream.url)
    daemon.reload(text + "[log]\naccess = yes\n")
    daemon.ask(target="/seen")
    daemon.wait_log("event=request .*path=/seen")
    assert daemon.log.count("event=request ") == 1


def test_another_store(start, auth, upstream, tmp_path):
    def text(name, scope):
        stored = f"[store]\nurl = sqlite:{tmp_path / name}\nkey = 0123456789abcdef0123456789abcdef\n"
        return auth.credential() + to(upstream.url) + routes(("a", "/**", scope)) + stored

    def count(name):
        with sqlite3.connect(tmp_path / name) as store:
            return store.execute("SELECT count(*) FROM tokens").fetchone()[0]

    daemon = start(text("one.db", "api:read"))
    assert daemon.ask().status == 200
    wait_until(lambda: count("one.db") == 1, 10, "a record in the first store")
    daemon.wait_log("event=token.fetched")
    assert "event=store.changed" in daemon.reload(text("two.db", "api:write"))
    assert daemon.ask().status == 200
    wait_until(lambda: (tmp_path / "two.db").exists() and count("two.db") == 1, 10, "a record in the second store")
    assert count("one.db") == 1
    assert "event=store.changed" not in daemon.reload(text("two.db", "api:read"))
    auth.mark()
    assert daemon.ask().status == 200
    without = auth.credential() + to(upstream.url) + routes(("a", "/**", "api:admin"))
    assert "event=store.changed" in daemon.reload(without)
    assert daemon.ask().status == 200


def test_another_hook(start, auth, upstream, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text('#!/bin/sh\necho "$1 $BEARERD_SCOPE" >&2\n')
    hook.chmod(0o700)

    def text(word, scope):
        credential = auth.credential(on_token_update=f"{hook} {word}")
        return credential + to(upstream.url) + routes(("a", "/**", scope))

    daemon = start(text("first", "api:read"))
    daemon.ask()
    daemon.wait_log('event=hook.done.*stderr="first api:read"')
    daemon.reload(text("second", "api:write"))
    daemon.ask()
    daemon.wait_log('event=hook.done.*stderr="second api:write"')


def test_a_reload_while_stopping_is_none(simple, upstream):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    daemon = simple("drain_timeout = 500ms")
    with daemon.client() as client:
        client.request()
        upstream.wait_requests(1)
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("event=stopping")
        daemon.process.signal(signal.SIGHUP)
        daemon.check_end(daemon.process.wait_exit())
    assert "event=reload" not in daemon.log
