# SPDX-License-Identifier: MIT
"""conf/examples/thingspace.ini as it stands, only its hosts rewritten: against a service that wants what ThingSpace
wants. Both tokens on each call, raw Basic, a login that bears the first token, one token per set of scopes which is
given again until it expires, sessions that die when nobody uses them, an account that five failures lock."""
import base64
import json
import pathlib
import time
import urllib.parse

import pytest
from kit.process import wait_until
from kit.scripted import send_json

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "conf/examples/thingspace.ini"
ENV = {
    "TS_CLIENT_ID": "0123-abc",
    "TS_CLIENT_SECRET": "s+/=cret:%41&x",  # other bytes when it is form-encoded
    "TS_USERNAME": "u\"ser",
    "TS_PASSWORD": "pa\\ss%20word",
}
BOTH = {
    "edge:discovery:read": ["GET /edge/regions", "GET /edge/mecplatforms?x=1", "GET /edge/serviceendpoints"],
    "edge:serviceregistry:read": ["GET /edge/serviceendpointsall", "GET /edge/serviceendpoints/7"],
    "edge:serviceregistry:write": [
        "POST /edge/serviceendpoints", "PUT /edge/serviceendpoints/7", "DELETE /edge/serviceendpoints/7",
    ],
    "edge:serviceprofile:read": ["GET /edge/serviceprofiles", "GET /edge/serviceprofiles/7"],
    "edge:serviceprofile:write": [
        "POST /edge/serviceprofiles", "PUT /edge/serviceprofiles/7", "DELETE /edge/serviceprofiles/7",
    ],
    None: ["GET /api/m2m/v1/accounts/1", "POST /api/m2m/v1/devices/actions/list"],
}  # fmt: skip


class ThingSpace:
    def __init__(self, scripted, session_idle_s=1200):
        self.session_idle_s = session_idle_s
        self.tokens = {}  # scope (None: not asked for) -> token
        self.sessions = {}  # token -> when it was last used
        self.failures = 0
        self.password = ENV["TS_PASSWORD"]
        self.asked, self.logins, self.calls = [], [], []
        self.server = scripted(on=self.on)

    def on(self, exchange):
        exchange.read_body()
        target = exchange.request.target
        if target == "/api/ts/v1/oauth2/token":
            self.on_token(exchange)
        elif target == "/api/m2m/v1/session/login":
            self.on_login(exchange)
        else:
            self.on_call(exchange)

    def on_token(self, exchange):
        request = exchange.request
        form = dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))
        self.asked.append(form)
        pair = f"{ENV['TS_CLIENT_ID']}:{ENV['TS_CLIENT_SECRET']}"
        if request.get("Authorization") != "Basic " + base64.b64encode(pair.encode()).decode():
            send_json(exchange, ("401 Unauthorized", '{"error": "invalid_client"}'))
            return
        token = self.tokens.setdefault(form.get("scope"), f"bearer-{len(self.tokens) + 1}")
        answer = {"access_token": token, "token_type": "bearer", "expires_in": 3600, "scope": form.get("scope", "")}
        send_json(exchange, ("200 OK", json.dumps({name: value for name, value in answer.items() if value})))

    def on_login(self, exchange):
        request = exchange.request
        self.logins.append(request)
        said = json.loads(request.body)
        is_good = said == {"username": ENV["TS_USERNAME"], "password": self.password}
        if self.failures >= 5 or request.token not in self.tokens.values() or not is_good:
            self.failures += 1
            send_json(exchange, ("401 Unauthorized", '{"errorCode": "REQUEST_FAILED", "errorMessage": "Bad credentials"}'))
            return
        token = f"session-{len(self.logins)}"
        self.sessions[token] = time.monotonic()
        send_json(exchange, ("200 OK", json.dumps({"sessionToken": token})))

    def on_call(self, exchange):
        request = exchange.request
        session = request.get("VZ-M2M-Token")
        used = self.sessions.get(session, 0)
        is_known = request.token in self.tokens.values()
        self.calls.append(request)
        if is_known and time.monotonic() - used < self.session_idle_s:
            self.sessions[session] = time.monotonic()
            exchange.answer(body=b"{}")
        else:
            exchange.answer("401 Unauthorized")

    def scope_of(self, request):
        (scope,) = [scope for scope, token in self.tokens.items() if token == request.token]
        return scope


@pytest.fixture
def thingspace(scripted):
    return ThingSpace(scripted)


@pytest.fixture
def example(start, thingspace):
    """example({text: other}): a daemon with the example, rewritten."""

    def make(changes=None):
        text = EXAMPLE.read_text()
        for host in ("https://thingspace.verizon.com", "https://5gedge.verizon.com"):
            assert host in text
            text = text.replace(host, thingspace.server.url)
        for old, new in (changes or {}).items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        daemon = start(text, env=ENV)
        daemon.secrets += [ENV["TS_CLIENT_SECRET"], ENV["TS_PASSWORD"]]
        return daemon

    return make


def ask(daemon, call, **options):
    method, target = call.split()
    return daemon.ask(method, target, body=b"{}" if method in ("POST", "PUT") else None, **options)


def test_every_call_bears_both_tokens_and_no_more_scopes_than_it_takes(example, thingspace):
    daemon = example()
    for scope, calls in BOTH.items():
        for call in calls:
            placeholder = [("Authorization", "Bearer placeholder"), ("VZ-M2M-Token", "placeholder")]
            assert ask(daemon, call, fields=placeholder).status == 200, call
            method, target = call.split()
            sent = thingspace.calls[-1]
            assert (sent.method, sent.target) == (method, target.replace("/edge/", "/api/mec/eds/"))
            assert thingspace.scope_of(sent) == scope and sent.get("VZ-M2M-Token") == "session-1"
    assert len(thingspace.calls) == sum(map(len, BOTH.values())), "something was sent twice"
    # One request for each set of scopes, one login for all.
    assert sorted(form.get("scope", "") for form in thingspace.asked) == sorted(scope or "" for scope in BOTH)
    assert all(form["grant_type"] == "client_credentials" for form in thingspace.asked)
    (login,) = thingspace.logins
    assert login.get("Content-Type") == "application/json"
    assert login.token == thingspace.tokens[None]


def test_a_client_that_logs_in_by_itself_bears_the_first_token_only(example, thingspace):
    daemon = example()
    mine = json.dumps({"username": ENV["TS_USERNAME"], "password": ENV["TS_PASSWORD"]}).encode()
    assert daemon.ask("POST", "/api/m2m/v1/session/login", body=mine).status == 200
    (login,) = thingspace.logins
    assert login.token == thingspace.tokens[None] and login.get("VZ-M2M-Token") is None
    daemon.ask("POST", "/api/ts/v1/oauth2/token", body=b"grant_type=client_credentials")
    assert thingspace.server.last.get("Authorization") is None and thingspace.server.last.get("VZ-M2M-Token") is None


@pytest.mark.parametrize("call", ["GET /edge/", "POST /edge/regions", "GET /edge/serviceendpointsall/7", "GET /api/other"])
def test_nothing_else_is_let_through(example, thingspace, call):
    assert ask(example(), call).kind == "no-route"
    assert thingspace.server.requests == []


def test_a_session_that_nobody_used_is_replaced_by_a_new_login(example, thingspace):
    """At the service it dies a little later than the configuration says: no call may find that out."""
    thingspace.session_idle_s = 2.2
    daemon = example({"idle_ttl = 20m": "idle_ttl = 2s"})
    call = BOTH[None][0]
    assert ask(daemon, call).status == 200
    time.sleep(2.3)
    assert ask(daemon, call).status == 200
    assert [sent.get("VZ-M2M-Token") for sent in thingspace.calls] == ["session-1", "session-2"]
    assert len(thingspace.logins) == 2 and len(thingspace.asked) == 1


def test_a_session_that_the_service_forgot_is_replaced(example, thingspace):
    """The first token is given again as it is: it costs a token request, and is no reason for more."""
    daemon = example()
    call = BOTH[None][0]
    assert ask(daemon, call).status == 200
    thingspace.sessions.clear()
    assert ask(daemon, call).status == 200
    assert [sent.get("VZ-M2M-Token") for sent in thingspace.calls] == ["session-1", "session-1", "session-2"]
    assert len(thingspace.logins) == 2 and len(thingspace.asked) == 2


def test_a_wrong_password_does_not_lock_the_account(example, thingspace):
    thingspace.password = "another"
    daemon = example()
    for _ in range(40):
        refused = ask(daemon, BOTH[None][0])
        assert refused.kind == "token-refused" and "Bad credentials" in refused.problem["detail"]
    assert thingspace.failures == 1 and thingspace.calls == []


def test_a_first_token_that_was_revoked_is_replaced_before_the_login_is_made_again(example, thingspace):
    daemon = example()
    call = BOTH[None][0]
    assert ask(daemon, call).status == 200
    thingspace.tokens.clear()
    thingspace.tokens["x"] = "another"  # so that the next one has another name
    thingspace.sessions.clear()
    wait_until(lambda: ask(daemon, call).status == 200, 5, "new tokens")
    assert thingspace.calls[-1].token == "bearer-2" and thingspace.logins[-1].token == "bearer-2"
    assert thingspace.failures <= 1
