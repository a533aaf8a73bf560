# SPDX-License-Identifier: MIT
"""Tokens beside memory: they survive a restart, and several processes share them; on sqlite and on a real Redis."""
import contextlib
import re
import shutil
import signal
import sqlite3
import threading
import time

import pytest
from conftest import one_route
from kit.auth_server import BASIC, OTHER
from kit.bearerd import run, write_config
from kit.process import wait_until
from kit.redis import Redis, ask
from kit.scripted import send_json, token_answer

KEY = "0123456789abcdef0123456789abcdef"


def section(url, key=KEY, **settings):
    rows = {"url": url, "key": key, **settings}
    return "[store]\n" + "".join(f"{name} = {value}\n" for name, value in rows.items())


@pytest.fixture
def redis(tmp_path):
    """redis(…): a redis-server of this test, running."""
    servers = []

    def make(*settings, running=True, **options):
        servers.append(Redis(tmp_path / f"redis-{len(servers)}", *settings, **options))
        return servers[-1].start() if running else servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(params=["sqlite", "redis"])
def store(request, tmp_path):
    """A store's URL."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'tokens.db'}"
    return request.getfixturevalue("redis")().url()


def contents(store, tmp_path):
    """All bytes that are in a store, as somebody who has stolen it would see them."""
    if store.startswith("sqlite:"):
        return b"".join(path.read_bytes() for path in tmp_path.glob("tokens.db*"))
    port = store.rsplit(":", 1)[1]
    keys = [key.decode() for key in ask(port, "KEYS", "*").split()]
    return b"".join(key.encode() + ask(port, "GET", key) for key in keys)


# -- one process after the other -----------------------------------------------------------------


def test_a_restart_takes_the_token_from_the_store(start, auth, upstream, store, tmp_path):
    text = one_route(auth.credential(), upstream.url) + section(store)
    for _ in range(3):
        daemon = start(text)
        assert daemon.ask().status == 200
        daemon.stop()
    (request,) = auth.requests()
    assert upstream.tokens() == [request["access_token"]] * 3
    assert daemon.log.count("reason=store") == 1
    kept = contents(store, tmp_path)
    assert kept, "nothing is there"
    assert request["access_token"].encode() not in kept, "the token is not sealed"
    assert request["access_token"].split(".")[1].encode() not in kept
    assert BASIC["client_secret"].encode() not in kept and BASIC["client_id"].encode() not in kept


def test_a_restart_after_a_kill_takes_the_token_from_the_store(start, auth, upstream, store):
    """kill -9 while requests go on."""
    text = one_route(auth.credential(), upstream.url) + section(store)
    daemon = start(text)
    assert daemon.ask().status == 200
    # The token is in use before it is in the store.
    start(text, name="other.ini").ask()
    daemon.process.kill()
    assert start(text).ask().status == 200
    assert len(auth.requests()) == 1


def test_T19_kills_at_any_moment_leave_a_sound_file(start, token_server, upstream, tmp_path):
    """Killed while it writes, again and again; each route of ten has a token to be kept."""
    server = token_server(*(token_answer(f"token-{number}") for number in range(200)))
    routes = "".join(f"[route r{number}]\nmatch = /{number}\nscopes = s{number}\n" for number in range(10))
    path = tmp_path / "tokens.db"
    text = f"{server.credential()}[upstream api]\nurl = {upstream.url}\n{routes}{section(f'sqlite:{path}')}"
    for rounds in range(12):
        daemon = start(text, "workers = 1")
        with daemon.client() as client:
            for number in range(rounds % 10 + 1):
                client.ask(target=f"/{number}")
        daemon.process.kill()
    with contextlib.closing(sqlite3.connect(path)) as kept:
        assert kept.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    asked = len(server.requests)
    daemon = start(text)
    assert daemon.ask(target="/0").status == 200
    assert len(server.requests) == asked <= 40, "what was stored was not found"


def test_T18_a_stored_token_dies_when_it_should(start, auth, upstream, store):
    text = one_route(auth.credential(resource="urn:ttl:5", clock_skew="1s"), upstream.url) + section(store)
    first = start(text)
    asked = time.monotonic()
    assert first.ask().status == 200
    first.stop()
    second = start(text)
    assert second.ask().status == 200
    assert upstream.tokens()[0] == upstream.tokens()[1], "it was not used at all"
    wait_until(lambda: second.ask().status == 200 and len(set(upstream.tokens())) == 2, 10, "the next token")
    assert 1 < time.monotonic() - asked < 5


def test_a_stored_token_that_has_expired_is_not_used(start, auth, upstream, store):
    text = one_route(auth.credential(resource="urn:ttl:2", clock_skew="0s"), upstream.url) + section(store)
    first = start(text)
    assert first.ask().status == 200
    first.stop()
    time.sleep(2.1)
    assert start(text).ask().status == 200
    assert len(auth.requests()) == 2
    assert len(set(upstream.tokens())) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"client_secret": "wrong"},
        {"client_id": OTHER["client_id"]},
        {"resource": "urn:ttl:999"},
        {"audience": "x"},
        {"scopes": "api:write"},
        {"auth_method": "client_secret_post"},
        {"param": "a b"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_T01_a_stored_token_is_for_the_same_identity_only(start, token_server, upstream, tmp_path, changed):
    server = token_server(token_answer("first"), token_answer("second"))
    store = section(f"sqlite:{tmp_path / 'tokens.db'}")
    for settings in ({}, changed, {}):
        daemon = start(one_route(server.credential(**settings), upstream.url) + store)
        assert daemon.ask().status == 200
        daemon.stop()
    assert upstream.tokens() == ["first", "second", "first"]


def test_T01_a_stored_session_is_for_the_same_user_only(start, scripted, upstream, store):
    """The configuration is the same, what the body's references mean is not."""
    login = scripted(on=lambda x: send_json(x, ("200 OK", f'{{"token": "session-{len(login.requests)}"}}')))
    text = f"[credential main]\nsource = login\nlogin_url = {login.url}/\nlogin_token = /token\n"
    text = one_route(text + 'login_body = {"user":"%{env:WHO}"}\n', upstream.url, scopes="") + section(store)
    for who in ("first", "second", "first"):
        daemon = start(text, env={"WHO": who})
        assert daemon.ask().status == 200
        daemon.stop()
    assert upstream.tokens() == ["session-1", "session-2", "session-1"]


@pytest.mark.parametrize("method", ["tls_client_auth", "client_secret_basic"])
def test_MT3_a_stored_token_is_for_the_same_certificate_only(start, token_server, upstream, store, certs, tmp_path, method):
    """The file's name is the same, what is in it is not."""
    server = token_server(token_answer("first"), token_answer("second"))
    pair = {"cert_file": tmp_path / "mine.crt", "key_file": tmp_path / "mine.key"}
    credential = server.credential(auth_method=method, **pair)
    if method == "tls_client_auth":
        credential = credential.replace("client_secret = secret\n", "")
    for certificate in (certs.client, certs.server):
        shutil.copy(certificate, pair["cert_file"])
        shutil.copy(certs.key_of(certificate), pair["key_file"])
        daemon = start(one_route(credential, upstream.url) + section(store))
        assert daemon.ask().status == 200
        daemon.stop()
    assert upstream.tokens() == ["first", "second"]


def test_T01_a_stored_token_of_a_command_is_for_the_same_command_only(start, upstream, store, tmp_path):
    for name in ("first", "second"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho \'{{"access_token":"{name}","token_type":"Bearer","expires_in":600}}\'\n')
        path.chmod(0o700)
        text = f"[credential main]\nsource = exec\ncommand = {path}\n"
        daemon = start(one_route(text, upstream.url) + section(store))
        assert daemon.ask().status == 200
        daemon.stop()
    assert upstream.tokens() == ["first", "second"]


def test_another_key_means_another_token(start, token_server, upstream, store):
    """What was sealed with another key is as if it were not there."""
    server = token_server(token_answer("first"), token_answer("second"))
    text = one_route(server.credential(), upstream.url)
    first = start(text + section(store))
    assert first.ask().status == 200
    first.stop()
    second = start(text + section(store, key="f" * 32))
    assert second.ask().status == 200
    assert upstream.tokens() == ["first", "second"]


def test_the_key_before_still_opens(start, token_server, upstream, store):
    server = token_server(token_answer("first"), token_answer("second"))
    text = one_route(server.credential(), upstream.url)
    for keys in (section(store), section(store, key="f" * 32, key_previous=KEY)):
        daemon = start(text + keys)
        assert daemon.ask().status == 200
        daemon.stop()
    assert upstream.tokens() == ["first", "first"]


def test_what_replaces_an_expired_static_token_is_stored(start, token_server, upstream, store, tmp_path):
    """The configured one is not: it is at hand."""
    server = token_server(token_answer("fetched"), token_answer("second"))
    end = int(time.time()) + 3
    fixed = server.credential(source="static", token="fixed", token_expires=end, clock_skew="1s")
    text = one_route(fixed, upstream.url) + section(store)
    daemon = start(text)
    assert daemon.ask().status == 200 and upstream.tokens() == ["fixed"]
    daemon.stop()
    assert b"SQLite" in (kept := contents(store, tmp_path)) or not kept
    time.sleep(max(end - time.time(), 0))
    for _ in range(2):
        daemon = start(text)
        assert daemon.ask().status == 200
        daemon.stop()
    assert upstream.tokens() == ["fixed", "fetched", "fetched"]
    assert "reason=store" in daemon.log and len(server.requests) == 1


# -- several processes at once -------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 8])
def test_T07_processes_with_one_store_make_one_token_request_per_slot(start, auth, upstream, store, count):
    """400 requests to cold processes, all sent before the first answer is read; two slots."""
    text = (
        f"{auth.credential()}\n[upstream api]\nurl = {upstream.url}\n[route one]\nmatch = /one\nscopes = api:read\n"
        f"[route two]\nmatch = /two\nscopes = api:write\n{section(store)}"
    )
    daemons = [start(text, "workers = 1", name=f"{number}.ini") for number in range(count)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemons[number % count].client()) for number in range(400)]
        for number, client in enumerate(clients):
            client.request(target="/one" if number // count % 2 else "/two")
        assert {client.response().status for client in clients} == {200}
    requests = auth.requests()
    assert sorted(request["scope"] for request in requests) == ["api:read", "api:write"]
    assert set(upstream.tokens()) == {request["access_token"] for request in requests}


@pytest.mark.parametrize("clock_skew, most", [("2s", 6), ("10s", 9)])
def test_processes_share_renewals(start, auth, upstream, store, clock_skew, most):
    """Tokens of 8 s, renewed after 4, or with a skew that they do not outlive after 2: alone, each of the two would
    ask four times, or seven."""
    text = one_route(auth.credential(resource="urn:ttl:8", clock_skew=clock_skew), upstream.url) + section(store)
    daemons = [start(text, name=f"{number}.ini") for number in range(2)]
    end = time.monotonic() + 14
    while time.monotonic() < end:
        for daemon in daemons:
            assert daemon.ask().status == 200
        time.sleep(0.02)
    assert 3 <= len(auth.requests()) <= most
    assert {request["access_token"] for request in auth.requests()} >= set(upstream.tokens())


def test_the_death_of_the_one_who_fetches_holds_nobody_up_for_long(start, token_server, upstream, store):
    """It is killed in the midst of its token request; the one that waits for it takes over."""
    killed = threading.Event()

    def hang_once(exchange):
        if killed.is_set():
            send_json(exchange, token_answer("good"))
        else:
            exchange.wait_peer_closed(20)

    server = token_server(hang_once)
    text = one_route(server.credential(timeout="60s"), upstream.url) + section(store)
    holder, waiter = (start(text, "token_timeout = 30s", name=f"{name}.ini") for name in "ab")
    with holder.client() as lost, waiter.client() as client:
        lost.request()
        server.wait_requests(1)
        client.request()
        killed.set()
        holder.process.signal(signal.SIGKILL)
        holder.process.wait_exit()
        begin = time.monotonic()
        assert client.response().status == 200
    assert time.monotonic() - begin < 10
    assert len(server.requests) == 2 and upstream.tokens() == ["good"]


def test_a_failure_of_one_leaves_the_other_its_own_try(start, token_server, upstream, store):
    server = token_server(("500 Oops", "{}"), token_answer("good"))
    text = one_route(server.credential(), upstream.url) + section(store)
    first, second = (start(text, name=f"{name}.ini") for name in "ab")
    assert first.ask().status == 503
    assert second.ask().status == 200
    wait_until(lambda: first.ask().status == 200, 10, "the other one's token")
    assert upstream.last.token == "good" and len(server.requests) == 2


# -- a store that is away ------------------------------------------------------------------------


def test_T34_redis_is_away_at_start_and_comes_later(start, auth, upstream, redis):
    server = redis(running=False)
    text = one_route(auth.credential(), upstream.url) + section(server.url())
    daemon = start(text)
    begin = time.monotonic()
    assert daemon.ask().status == 200
    assert time.monotonic() - begin < 5
    daemon.wait_log("event=store.away")
    server.start()
    daemon.wait_log("event=store.back", timeout=40)
    wait_until(lambda: server.ask("DBSIZE").strip() != b"0", 10, "the token in the store")
    assert start(text, name="other.ini").ask().status == 200
    assert len(auth.requests()) == 1


def test_redis_goes_and_nobody_notices(start, auth, upstream, redis):
    """With tokens at hand nothing changes; those that are new are fetched alone."""
    server = redis()
    text = (
        f"{auth.credential()}\n[upstream api]\nurl = {upstream.url}\n[route one]\nmatch = /one\nscopes = api:read\n"
        f"[route two]\nmatch = /two\nscopes = api:write\n{section(server.url())}"
    )
    daemon = start(text)
    assert daemon.ask(target="/one").status == 200
    server.stop()
    for _ in range(20):
        assert daemon.ask(target="/one").status == 200
    assert daemon.ask(target="/two").status == 200
    assert len(auth.requests()) == 2


def test_a_redis_that_hangs_costs_its_time_limit_only(start, auth, upstream, redis):
    server = redis()
    text = one_route(auth.credential(), upstream.url) + section(server.url(), timeout="300ms")
    daemon = start(text)
    server.process.signal(signal.SIGSTOP)
    begin = time.monotonic()
    assert daemon.ask().status == 200
    assert time.monotonic() - begin < 4
    server.process.signal(signal.SIGCONT)
    daemon.wait_log("event=store.back", timeout=40)


# -- how it is reached, and who may ---------------------------------------------------------------


@pytest.mark.parametrize(
    "login, settings",
    [
        (":p%40ss@", ["--requirepass", "p@ss"]),
        ("app:p%40ss@", ["--user", "app", "on", ">p@ss", "~mine:*", "+@all"]),
    ],
    ids=["password", "user"],
)
def test_redis_with_a_password(start, auth, upstream, redis, login, settings):
    server = redis(*settings)
    text = one_route(auth.credential(), upstream.url) + section(server.url(login, "/3"), prefix="mine:")
    for _ in range(2):
        daemon = start(text)
        daemon.secrets += ["p@ss", "p%40ss"]
        assert daemon.ask().status == 200
        daemon.stop()
    assert len(auth.requests()) == 1


def test_redis_with_a_wrong_password_is_away(start, auth, upstream, redis):
    server = redis("--requirepass", "right")
    daemon = start(one_route(auth.credential(), upstream.url) + section(server.url(":not-it@")))
    daemon.secrets.append("not-it")
    assert daemon.ask().status == 200
    daemon.wait_log("event=store.away")


def test_redis_by_tls(start, auth, upstream, redis, certs):
    server = redis(certs=certs)
    text = one_route(auth.credential(), upstream.url) + section(server.url(), ca_file=certs.ca)
    for _ in range(2):
        daemon = start(text)
        assert daemon.ask().status == 200
        daemon.stop()
    assert len(auth.requests()) == 1


def test_redis_by_tls_with_another_authority_is_away(start, auth, upstream, redis, certs):
    server = redis(certs=certs)
    daemon = start(one_route(auth.credential(), upstream.url) + section(server.url(), ca_file=certs.other_ca))
    assert daemon.ask().status == 200
    daemon.wait_log("event=store.away .*certificate")
    assert server.ask("DBSIZE").strip() == b"0"


def test_keys_begin_with_the_prefix(start, auth, upstream, redis):
    server = redis()
    daemon = start(one_route(auth.credential(), upstream.url) + section(server.url("", "/2"), prefix="staging:"))
    assert daemon.ask().status == 200
    keys = wait_until(lambda: server.ask("-n", "2", "KEYS", "*").split(), 10, "the token in the store")
    assert all(key.startswith(b"staging:") for key in keys)
    assert server.ask("DBSIZE").strip() == b"0"


def test_T19_the_file_is_for_its_owner_only(start, auth, upstream, tmp_path):
    path = tmp_path / "tokens.db"
    daemon = start(one_route(auth.credential(), upstream.url) + section(f"sqlite:{path}"))
    assert daemon.ask().status == 200
    wait_until(lambda: sqlite3.connect(path).execute("SELECT count(*) FROM tokens").fetchone() == (1,), 10, "the token")
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("tokens.db*")} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_T19_a_file_open_to_others_is_refused(auth, upstream, tmp_path, mode):
    path = tmp_path / "tokens.db"
    path.touch(mode)
    path.chmod(mode)
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url) + section(f"sqlite:{path}"))
    done = run("serve", "-c", config)
    assert done.returncode != 0
    assert re.search("tokens.db", done.stderr)
    assert path.stat().st_size == 0


def test_T19_what_is_no_store_of_ours_is_left_alone(start, auth, upstream, tmp_path):
    path = tmp_path / "tokens.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE precious (x)")
        other.commit()
    path.chmod(0o600)
    before = path.read_bytes()
    daemon = start(one_route(auth.credential(), upstream.url) + section(f"sqlite:{path}"))
    assert daemon.ask().status == 200
    daemon.wait_log("event=store.away .*tokens.db")
    daemon.stop()
    assert path.read_bytes() == before
