# SPDX-License-Identifier: MIT
"""T33: no secret in anything that bearerd shows. Every secret a configuration can hold is one of a kind here, and so is
every token; then all that can be is done and failed, with the log at its most talkative, and everything that came out is
looked through. (kit/canary.py does the same for every other test, with what its configuration holds.)"""
import base64
import json
import pathlib
import secrets
import textwrap

import pytest
from kit import canary
from kit.keys import private_key
from kit.process import wait_until
from kit.raw import RawClient
from kit.scripted import send_json, token_answer


def a_secret():
    # With what forms, URLs and quoted strings write in another way.
    return f"{secrets.token_urlsafe(18)}+/&% {secrets.token_urlsafe(6)}"


def a_token():
    return secrets.token_urlsafe(32)


class Planted:
    """One configuration with all of it. `all` has every secret and token by what it is."""

    def __init__(self, folder, certs, scripted, token_server):
        self.folder, self.all, self.env = folder, {}, {}
        self.api = scripted(on=self._api)
        self.login = scripted(on=self._login)
        self.issuer = token_server(lambda exchange: self._issue(exchange))
        self.certs = certs

    def plant(self, what, make=a_secret):
        value = make()
        self.all[value] = what
        return value

    def file(self, what, text=None):
        path = self.folder / what.replace(" ", "-")
        path.touch(0o600)
        path.write_text(text or self.plant(what))
        for piece in canary.pieces(path.read_text()):
            self.all[piece] = what
        return f"file:{path}"

    def variable(self, what):
        name = what.upper().replace(" ", "_")
        self.env[name] = self.plant(what)
        return f"env:{name}"

    def script(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return path

    # What peers do with what they are told: they repeat it.

    def _issue(self, exchange):
        body = exchange.read_body().decode()
        if "fail" in body:
            told = f"{body} {exchange.request.head.decode('latin-1')}"
            answer = "400 Bad Request", json.dumps({"error": "invalid_client", "error_description": told[:600]})
        else:
            answer = token_answer(self.plant("a token", a_token), 3600)
        send_json(exchange, answer)

    def _login(self, exchange):
        exchange.read_body()
        send_json(exchange, ("200 OK", json.dumps({"sessionToken": self.plant("a session token", a_token)})))

    def _api(self, exchange):
        body = exchange.read_body()
        if "/cut" in exchange.request.target:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            exchange.close()
        elif "/garbage" in exchange.request.target:
            exchange.send(b"HTTP/1.1 200 " + exchange.request.head.replace(b"\r\n", b" ") + b"\r\nBad Line\r\n\r\n")
            exchange.close()
        elif "/401" in exchange.request.target:
            exchange.answer("401 No", body, [("WWW-Authenticate", 'Bearer error="invalid_token"')])
        else:
            exchange.answer(body=body)

    def credential(self, name, **settings):
        rows = {"token_url": self.issuer.token_url, "client_id": name, **settings}
        return f"[credential {name}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items() if value is not None)

    def ini(self, port):
        hook = self.script("hook", f"env > {self.folder}/hook-env; cat > /dev/null; echo it did >&2")
        give = f'echo \'{{"access_token": "{self.plant("a token of a command", a_token)}", "token_type": "Bearer"}}\''
        key = private_key(self.certs.folder, "ES256").read_text()
        assertion = self.file("assertion", f"eyHead.{self.plant('an assertion', a_token)}.signature").removeprefix("file:")
        body = '{"user": "u", "password": "%{' + self.file("login password") + '}"}'
        sections = [
            self.credential("basic", client_secret=self.file("client secret"), on_token_update=hook),
            self.credential("post", client_secret=self.variable("next secret"), auth_method="client_secret_post"),
            self.credential("failing", client_secret=self.plant("a literal secret"), auth_method="client_secret_post", param="fail yes"),
            self.credential("failing_basic", client_secret=self.plant("another literal"), param="fail yes"),
            self.credential("hmac", client_secret=self.file("hmac secret", "0123456789" * 7 + self.plant("hmac tail", a_token)), auth_method="client_secret_jwt"),
            self.credential("key", signing_key=self.file("signing key", key), auth_method="private_key_jwt", signing_alg="ES256"),
            self.credential("borne", assertion_file=assertion, auth_method="assertion_file"),
            self.credential("dpop", client_secret=self.file("dpop secret"), dpop="yes", dpop_key=self.file("dpop key", key)),
            self.credential("exec", token_url=None, client_id=None, source="exec", command=self.script("give", give)),
            self.credential("bad_exec", token_url=None, client_id=None, source="exec", command=self.script("leak", f"echo 'password is {self.plant('what a command complains of', a_token)}' | head -c 9 >&2; exit 3")),
            self.credential("static", token_url=None, client_id=None, source="static", token=self.file("static token", self.plant("a static token", a_token))),
            f"[credential login]\nsource = login\nlogin_url = {self.login.url}/in\nlogin_body = {body}\nlogin_token = /sessionToken\n",
            self.credential("proxied", client_secret="x", proxy=f"http://user:{self.plant('proxy password', a_token)}@127.0.0.1:{port}"),
        ]
        names = [section.split("]")[0].split()[1] for section in sections]
        routes = [
            f"[route {name}]\nupstream = api\nmatch = /{name}/**\ncredential = {name}\n" + ("" if name in ("static", "login") else "scopes = s\n")
            for name in names
        ]
        self.names = names
        store = f"[store]\nurl = sqlite:{self.folder}/tokens.db\nkey = {self.file('store key')}\nkey_previous = {self.file('store key before')}\n"
        admin = f"[admin]\nlisten = unix:{self.folder}/a.sock\nlisten = 127.0.0.1:0\nkey = {self.file('admin key')}\n"
        return (
            "".join(sections + routes) + store + admin
            + f"[upstream api]\nurl = {self.api.url}\nmount = /\n"
            + f"[upstream gone]\nurl = http://127.0.0.1:{port}\nmount = /gone\nproxy = http://u:{self.plant('upstream proxy password', a_token)}@127.0.0.1:{port}\n[route gone]\nupstream = gone\nmatch = /**\ncredential = static\n"
            + "[log]\nlevel = debug\naccess = yes\n"
        )  # fmt: skip


@pytest.fixture
def planted(tmp_path_factory, certs, scripted, token_server):
    return Planted(tmp_path_factory.mktemp("p"), certs, scripted, token_server)


def ask(daemon, shown, target, fields=(), method="GET", body=None):
    with RawClient(daemon.port) as client:
        try:
            answer = client.ask(method, target, fields, body)
        except AssertionError:  # one that broke off
            return
    if answer.get_all("Content-Type") == ["application/problem+json"]:
        shown[f"problem of {target} {len(shown)}"] = f"{answer.fields} {answer.text}"


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_nothing_is_shown(start, planted, log_format):
    ini = planted.ini(port=1)
    client_key = planted.file("client key")
    daemon = start(ini + f"format = {log_format}\n", f"client_key = {client_key}", env=planted.env)
    key = [("X-Bearerd-Key", pathlib.Path(client_key.removeprefix("file:")).read_text())]
    shown = {}
    for name in planted.names:
        for part in ("x", "x?token=query"):
            ask(daemon, shown, f"/{name}/{part}", key)
    for target in ("/401", "/cut", "/garbage", "/basic/../x", "/basic/a//b"):
        ask(daemon, shown, f"/basic{target}", key)
    ask(daemon, shown, "/gone/x", key)
    ask(daemon, shown, "/basic/x", [*key, ("Content-Length", "1"), ("Content-Length", "2")])
    ask(daemon, shown, "/nowhere", key)
    ask(daemon, shown, "/basic/x", [("X-Bearerd-Key", planted.plant("a wrong client key"))])
    ask(daemon, shown, "/basic/x", [*key, ("Authorization", f"Bearer {planted.plant('a token of the client', a_token)}")])
    ask(daemon, shown, f"/basic/x?access_token={planted.plant('a token in the query', a_token)}", key)
    ask(daemon, shown, "/basic/x", [*key, ("Origin", "https://elsewhere.example")])
    ask(daemon, shown, "/basic/401/x", key, "POST", planted.plant("a body").encode())
    assert len(shown) > 8, shown.keys()
    # What operators are shown, and told when they have the wrong key.
    socket = planted.folder / "a.sock"
    port = int(daemon.wait_log(r"admin\.listening\W.*address\W{1,3}127\.0\.0\.1:(\d+)").group(1))
    wrong = [("Authorization", "Basic " + base64.b64encode(f"x:{planted.plant('a wrong admin key')}".encode()).decode())]
    for page in canary.PAGES:
        with RawClient(socket) as client:
            shown[page] = client.ask(target=page).text
        with RawClient(port) as client:
            answer = client.ask(target=page, fields=wrong)
            shown[f"{page}, refused"] = f"{answer.fields} {answer.text}"
    daemon.config.write_text(daemon.config.read_text().replace("[route gone]", "[route gone]\nnonsense = x"))
    with RawClient(socket) as client:
        shown["a reload that was refused"] = client.ask("POST", "/reload", [("Content-Length", "0")]).text
    wait_until(lambda: (planted.folder / "hook-env").exists() and "hook.done" in daemon.log, 10, "the hook")
    shown["environment of a hook"] = (planted.folder / "hook-env").read_text()
    shown |= canary.shown_by(daemon.process, None)
    shown["environment"] = without(pathlib.Path(f"/proc/{daemon.process.pid}/environ").read_bytes(), planted.env)
    shown["the store"] = (planted.folder / "tokens.db").read_bytes().decode("latin-1")
    daemon.config.write_text(daemon.config.read_text().replace("nonsense = x\n", ""))
    daemon.stop()
    shown["the log"] = daemon.log
    assert len(planted.all) > 30
    assert canary.find(planted.all, shown) == []
    # That all of it was at work:
    assert {"a token", "a session token"} <= set(planted.all.values())
    said = daemon.log
    for event in ("token.fetched", "token.failed", "upstream.failed", "upstream.cut", "hook.done", "admin.order", "reload.refused", "request.refused"):
        assert event in said, event


def without(environ, given):
    """The environment less what the test itself put there."""
    lines = environ.decode("latin-1").split("\0")
    return "\n".join(line for line in lines if line.split("=")[0] not in given)


# -- that the look finds what is there ----------------------------------------------------------------


SECRET = "correct+horse/battery staple"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"before{SECRET}behind",
        "correct%2Bhorse%2Fbattery%20staple",
        "correct%2Bhorse%2Fbattery+staple",
        SECRET.encode().hex(),
        *[base64.b64encode(b"x" * n + SECRET.encode() + b"y" * m).decode() for n in range(4) for m in range(3)],
        *[base64.urlsafe_b64encode(b"user:" * n + SECRET.encode()).decode().rstrip("=") for n in range(4)],
    ],
)
def test_the_look_finds_every_form(text):
    assert canary.find({SECRET: "it"}, {"there": f"a line\n{text}\n", "elsewhere": "nothing"}) != []
    assert {where for where, _ in canary.find({SECRET: "it"}, {"there": text, "elsewhere": "nothing"})} == {"there"}


def test_the_look_knows_what_a_configuration_holds(tmp_path):
    (tmp_path / "secret").write_text("in a file of its own\n")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIabcdefghijkl\n-----END PRIVATE KEY-----\n")
    config = tmp_path / "a.ini"
    config.write_text(
        textwrap.dedent(
            f"""
            [proxy]
            client_key = a client's own key ; a comment
            [credential a]
            client_secret = env:GIVEN
            client_secret_next = file:{tmp_path}/secret
            signing_key = file:key.pem
            proxy = http://user:proxypassword@127.0.0.1:1
            login_body = {{"p":"%{{env:LOGIN}}"}}
            [store]
            url = redis://:redispassword@127.0.0.1/0
            key = "a key, quoted"
            """
        )
    )
    found = canary.secrets_of(config, {"GIVEN": "given by the environment", "LOGIN": "login password"})
    assert set(found) == {
        "a client's own key", "given by the environment", "in a file of its own", "MIIabcdefghijkl", "proxypassword",
        "login password", "redispassword", "a key, quoted",
    }  # fmt: skip
