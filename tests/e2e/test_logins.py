# SPDX-License-Identifier: MIT
"""Tokens of a login, as services have them that want two tokens with each call (ThingSpace): what is posted, when, and
above all how often: five failures lock an account."""
import json
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.scripted import send_json, token_answer

LOGIN = """[credential session]
source = login
login_url = {url}/m2m/v1/session/login
login_credential = main
login_body = {{"username":"%{{env:M2M_USER}}","password":"%{{env:M2M_PASSWORD}}"}}
login_token = /sessionToken
login_ttl = 12h
header = VZ-M2M-Token
prefix =
"""
M2M = {"M2M_USER": 'user"\\one', "M2M_PASSWORD": "påss word"}


class Sessions:
    """The login endpoint of a service that wants two tokens, as ThingSpace does."""

    def __init__(self, scripted):
        self.answers = []  # statuses to refuse with, before it says yes
        self.server = scripted(on=self._on)

    def _on(self, exchange):
        exchange.read_body()
        if self.answers:
            status, text = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
            send_json(exchange, (status, text))
        else:
            send_json(exchange, ("200 OK", json.dumps({"sessionToken": f"session-{len(self.server.requests)}"})))

    @property
    def requests(self):
        return self.server.requests


@pytest.fixture
def sessions(scripted):
    return Sessions(scripted)


@pytest.fixture
def both(start, auth, upstream, sessions):
    """A daemon whose route sends both tokens: the authorization server's and the session's."""

    def make(more="", **options):
        text = auth.credential(scopes="api:admin") + LOGIN.format(url=sessions.server.url) + more
        daemon = start(one_route(text, upstream.url, "credential = main session"), env=M2M, **options)
        daemon.secrets += M2M.values()
        return daemon

    return make


def test_a_call_gets_both_tokens(both, auth, upstream, sessions):
    daemon = both()
    for _ in range(3):
        assert daemon.ask(fields=[("VZ-M2M-Token", "mine"), ("Authorization", "Bearer placeholder")]).status == 200
    assert {request.get("VZ-M2M-Token") for request in upstream.requests} == {"session-1"}
    (login,) = sessions.requests
    assert login.line == "POST /m2m/v1/session/login HTTP/1.1"
    assert login.get("Content-Type") == "application/json"
    assert json.loads(login.body) == {"username": M2M["M2M_USER"], "password": M2M["M2M_PASSWORD"]}
    # The login bears a token with the credential's own scopes, the call one with the route's as well.
    tokens = {request["scope"]: request["access_token"] for request in auth.requests()}
    assert login.token == tokens["api:admin"]
    assert upstream.last.token == tokens["api:admin api:read"]


def test_a_form_login(start, upstream, scripted):
    login = scripted(on=lambda x: send_json(x, ("200 OK", '{"a": [{"b/c": "deep"}], "left": 600}')))
    lines = f"[credential main]\nsource = login\nlogin_url = {login.url}/in\nlogin_body_type = form\n"
    lines += "login_body = user=%{env:M2M_USER}&password=%{env:M2M_PASSWORD}\nlogin_token = /a/0/b~1c\nlogin_lifetime = /left\n"
    daemon = start(one_route(lines, upstream.url, scopes=""), env=M2M)
    assert daemon.ask().status == 200 and upstream.tokens() == ["deep"]
    assert login.last.get("Content-Type") == "application/x-www-form-urlencoded"
    assert login.last.body == b"user=user%22%5Cone&password=p%C3%A5ss+word"
    assert login.last.get("Authorization") is None
    daemon.wait_log("event=token.fetched .*lifetime_s=600")


@pytest.mark.parametrize("status", ["401 Unauthorized", "400 Bad Request", "403 Forbidden"])
def test_a_refused_login_is_not_tried_again(both, upstream, sessions, status):
    """Five failures would lock the account."""
    sessions.answers.append((status, '{"errorMessage": "Invalid password"}'))
    daemon = both()
    for _ in range(30):
        refused = daemon.ask()
        assert (refused.status, refused.kind) == (502, "token-refused")
    assert "Invalid password" in refused.problem["detail"]
    assert len(sessions.requests) == 1 and upstream.requests == []


def test_a_login_that_is_answered_without_a_token_is_a_refusal(both, sessions):
    sessions.answers.append(("200 OK", '{"errorMessage": "locked"}'))
    daemon = both()
    for _ in range(10):
        assert daemon.ask().kind == "token-refused"
    assert len(sessions.requests) == 1


def test_a_login_tried_again_after_a_passing_failure(both, upstream, sessions):
    sessions.answers += [("503 Busy", "{}"), ("200 OK", '{"sessionToken": "late"}')]
    daemon = both()
    assert daemon.ask().status == 503
    wait_until(lambda: daemon.ask().status == 200, 10, "a session")
    assert upstream.last.get("VZ-M2M-Token") == "late"


def test_an_idle_session_is_not_used_any_more(both, upstream, sessions):
    daemon = both("idle_ttl = 2s\n")
    assert daemon.ask().status == 200
    time.sleep(2.2)  # nobody uses it
    assert daemon.ask().status == 200
    assert [request.get("VZ-M2M-Token") for request in upstream.requests] == ["session-1", "session-2"]
    assert len(sessions.requests) == 2


def test_a_session_in_use_stays(both, upstream, sessions):
    daemon = both("idle_ttl = 2s\n")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert daemon.ask().status == 200
        time.sleep(0.05)
    assert {request.get("VZ-M2M-Token") for request in upstream.requests} == {"session-1"}


def test_a_session_that_the_server_forgot_is_replaced(both, upstream, sessions):
    """The upstream's 401 does not say which of the two tokens it means."""

    def on(exchange):
        is_good = exchange.request.get("VZ-M2M-Token") != "session-1"
        exchange.answer("200 OK" if is_good else "401 Unauthorized")

    upstream.on = on
    daemon = both()
    wait_until(lambda: daemon.ask().status == 200, 5, "a new session")
    assert len(sessions.requests) == 2


def test_without_its_bearer_there_is_no_login(start, token_server, upstream, sessions):
    server = token_server(("401 No", '{"error": "invalid_client"}'))
    text = server.credential() + LOGIN.format(url=sessions.server.url)
    daemon = start(one_route(text, upstream.url, "credential = session", scopes=""), env=M2M)
    for _ in range(10):
        refused = daemon.ask()
        assert refused.status >= 500 and "invalid_client" in refused.problem["detail"]
    assert sessions.requests == [] and upstream.requests == []
    assert len(server.requests) == 1


# -- the bearer of a login is refused ------------------------------------------------------------------

INVALID = ("WWW-Authenticate", 'Bearer realm="m2m", error="invalid_token"')


class Guarded:
    """A login whose bearer may have been revoked, and an upstream that wants its session and no other."""

    def __init__(self, scripted, token_server, fields):
        self.revoked, self.fields, self.session = set(), fields, "session-0"
        self.tokens = token_server(*(token_answer(f"bearer-{number}") for number in range(1, 20)))
        self.logins = scripted(on=self._on_login)
        self.upstream = scripted(on=self._on_call)

    def _on_login(self, exchange):
        exchange.read_body()
        if exchange.request.token in self.revoked or "all" in self.revoked:
            send_json(exchange, ("401 Unauthorized", '{"errorMessage": "no"}'), self.fields)
            return
        self.session = f"session-{len(self.logins.requests)}"
        send_json(exchange, ("200 OK", json.dumps({"sessionToken": self.session})))

    def _on_call(self, exchange):
        is_good = exchange.request.get("VZ-M2M-Token") == self.session
        exchange.answer("200 OK" if is_good else "401 Unauthorized")

    def ini(self):
        text = self.tokens.credential() + LOGIN.format(url=self.logins.url)
        return one_route(text, self.upstream.url, "credential = session", scopes="")

    def bearers(self):
        return [request.token for request in self.logins.requests]


@pytest.fixture
def guarded(scripted, token_server):
    return lambda *fields: Guarded(scripted, token_server, fields)


def test_a_login_whose_bearer_was_revoked_is_made_once_more_with_a_newer_one(start, guarded):
    service = guarded(INVALID)
    service.revoked.add("bearer-1")
    daemon = start(service.ini(), env=M2M)
    for _ in range(5):
        assert daemon.ask().status == 200
    assert service.bearers() == ["bearer-1", "bearer-2"]
    assert len(service.tokens.requests) == 2
    daemon.wait_log("event=token.login_again credential=session")


def test_a_login_is_made_once_more_for_each_bearer_and_no_more(start, guarded):
    """Whatever the reason given: two logins were enough to know."""
    service = guarded(INVALID)
    service.revoked.add("all")
    daemon = start(service.ini(), env=M2M)
    for _ in range(30):
        refused = daemon.ask()
        assert (refused.status, refused.kind) == (502, "token-refused")
    assert service.bearers() == ["bearer-1", "bearer-2"]
    assert len(service.tokens.requests) == 2 and service.upstream.requests == []


def test_a_401_that_says_no_more_is_about_the_password(start, guarded):
    """Its bearer had just been got."""
    service = guarded()
    service.revoked.add("all")
    daemon = start(service.ini(), env=M2M)
    for _ in range(30):
        assert daemon.ask().kind == "token-refused"
    assert service.bearers() == ["bearer-1"]


def test_a_401_that_says_no_more_may_be_about_an_older_bearer(start, guarded):
    service = guarded()
    daemon = start(service.ini(), env=M2M)
    assert daemon.ask().status == 200
    time.sleep(10.2)  # from then on the bearer may well have died
    service.revoked.add("bearer-1")
    service.session = "another"  # the service forgot the session, too
    assert daemon.ask().status == 200
    assert service.bearers() == ["bearer-1", "bearer-1", "bearer-2"]
    assert len(service.tokens.requests) == 2


def test_without_a_newer_bearer_no_login_is_made_once_more(start, guarded):
    """The authorization server gives the same token until it expires, as ThingSpace does."""
    service = guarded(INVALID)
    service.tokens.answers = [token_answer("bearer-1")]
    service.revoked.add("bearer-1")
    daemon = start(service.ini(), env=M2M)
    for _ in range(30):
        assert daemon.ask().kind == "token-refused"
    assert service.bearers() == ["bearer-1"]
    assert len(service.tokens.requests) == 2
