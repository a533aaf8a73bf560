# SPDX-License-Identifier: MIT
"""token and check --live: tokens got by hand, what is printed of them, and how a refusal is told."""
import json
import re
import signal
import subprocess
import time

import pytest
from conftest import one_route
from kit.auth_server import BASIC, OTHER, POST
from kit.bearerd import BINARY, ENV, run, write_config
from kit.process import Process, free_port
from kit.scripted import token_answer

JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")
REFUSAL = '{"error": "invalid_scope", "error_description": "the scope is not for you"}'
KEYED = "[store]\nurl = sqlite:{}\nkey = 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"


@pytest.fixture
def config(tmp_path):
    """config(ini, proxy=…): the path of a configuration."""
    return lambda ini, proxy="": write_config(tmp_path, ini, proxy)


def token(path, *args, **options):
    return run("token", "-c", path, *args, **options)


def routes(credentials, *rows):
    """rows: (name, lines) of a route each."""
    sections = "".join(f"[route {name}]\nmatch = /{name}/**\n{lines}\n" for name, lines in rows)
    return f"{credentials}\n[upstream api]\nurl = https://api.example.test\n{sections}"


# -- token ---------------------------------------------------------------------------------------


def test_token_of_a_route(config, auth):
    """What comes out is the token and nothing else, and it is what the server gave for the route's scopes."""
    path = config(routes(auth.credential(scopes="api:admin"), ("read", "scopes = api:read")))
    done = token(path, "--route", "read")
    (request,) = auth.requests()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == request["access_token"] + "\n"
    assert request["scope"] == "api:admin api:read"


@pytest.mark.parametrize(
    "scopes, sent",
    [
        ([], "api:admin"),
        (["--scope", "api:write", "--scope", "api:read"], "api:read api:write"),
        (["--scope", "api:write api:read api:write"], "api:read api:write"),
        (["--scope", "api:admin", "--scope", "api:read"], "api:admin api:read"),
        (["--scope", ""], None),
    ],
    ids=["the credential's own", "exactly those", "in one word", "as a route asks", "none"],
)
def test_token_of_a_credential(config, auth, scopes, sent):
    path = config(routes(auth.credential(scopes="api:admin"), ("read", "scopes = api:read")))
    done = token(path, "--credential", "main", *scopes)
    (request,) = auth.requests()
    assert (done.returncode, done.stdout) == (0, request["access_token"] + "\n")
    assert request["scope"] == sent


def test_a_credential_without_a_route(config, auth):
    credentials = auth.credential() + auth.credential("spare", POST, resource="urn:ttl:77")
    path = config(routes(credentials, ("read", "credential = main")))
    done = token(path, "--credential", "spare", "--scope", "api:write")
    (request,) = auth.requests()
    assert (done.returncode, done.stdout) == (0, request["access_token"] + "\n")
    assert (request["client_id"], request["scope"], request["resource"]) == ("post", "api:write", "urn:ttl:77")


def test_aliases_of_a_catalogue(config, auth):
    catalogue = "[scopes main]\nRead = api:read ; reading\n"
    path = config(routes(auth.credential() + catalogue, ("read", "scopes = Read")))
    assert token(path, "--credential", "main", "--scope", "Read").returncode == 0
    assert auth.requests()[0]["scope"] == "api:read"
    wrong = token(path, "--credential", "main", "--scope", "Reat")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert 'did you mean "Read"' in wrong.stderr


def test_decode(config, auth):
    path = config(routes(auth.credential(resource="urn:ttl:600"), ("read", "scopes = api:read")))
    done = token(path, "--route", "read", "--decode")
    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert "signature was not verified" in done.stderr
    assert said["header"]["alg"] == "ES256"
    claims = said["claims"]
    assert claims["scope"] == "api:read" and claims["aud"] == "urn:ttl:600"
    assert isinstance(claims["exp"], int) and claims["exp"] - claims["iat"] == 600
    assert not JWT.search(done.stdout.replace("://", "")), "the token itself is there as well"


@pytest.mark.parametrize("value", ["opaque", "a.b", "e30.e30", "e30.e30.x.y.z", "eyJ.e30.x", "e30.bnVsbA.x", "e3.e30.x"])
def test_decode_of_what_is_no_jwt(config, token_server, value):
    path = config(routes(token_server(token_answer(value)).credential(), ("read", "")))
    done = token(path, "--route", "read", "--decode")
    assert (done.returncode, done.stdout) == (1, "")
    assert "JWT" in done.stderr and value not in done.stderr.replace("JWT", "")


def test_decode_cannot_be_used_to_write_to_the_terminal(config, token_server):
    # {"alg":"none"} . {"a":"ESC ] CSI é"} as UTF-8
    value = "eyJhbGciOiJub25lIn0.eyJhIjoiXHUwMDFiXcKbw6kifQ."
    path = config(routes(token_server(token_answer(value)).credential(), ("read", "")))
    done = token(path, "--route", "read", "--decode")
    assert done.returncode == 0 and json.loads(done.stdout)["claims"] == {"a": "\x1b]\x9b\xe9"}
    assert all(character == "\n" or " " <= character <= "~" for character in done.stdout)


def test_header(config, token_server):
    server = token_server(token_answer("one"), token_answer("two"))
    credentials = server.credential() + server.credential("other", client_id="o", header="X-Key", prefix="")
    path = config(routes(credentials, ("read", "credential = main"), ("write", "credential = other")))
    assert token(path, "--route", "read", "--header").stdout == "Authorization: Bearer one\n"
    assert token(path, "--route", "write", "--header").stdout == "X-Key: two\n"


def test_a_route_with_several_credentials(config, token_server):
    one, two = token_server(token_answer("one")), token_server(token_answer("two"))
    credentials = one.credential() + two.credential("other", header="X-Key", prefix="")
    path = config(routes(credentials, ("both", "credential = main other")))
    both = token(path, "--route", "both", "--header")
    assert (both.returncode, both.stdout) == (0, "Authorization: Bearer one\nX-Key: two\n")
    assert token(path, "--route", "both", "--credential", "other").stdout == "two\n"
    unclear = token(path, "--route", "both")
    assert (unclear.returncode, unclear.stdout) == (2, "") and "--credential" in unclear.stderr
    assert len(one.requests) == 1 and len(two.requests) == 2


def test_half_a_set_of_headers_is_not_printed(config, token_server):
    one, two = token_server(token_answer("one")), token_server(("400 Bad Request", REFUSAL))
    credentials = one.credential() + two.credential("other", header="X-Key", prefix="")
    done = token(config(routes(credentials, ("both", "credential = main other"))), "--route", "both", "--header")
    assert (done.returncode, done.stdout) == (1, "")
    assert "other: invalid_scope" in done.stderr


def test_T12_the_servers_own_reason(config, token_server):
    server = token_server(("400 Bad Request", REFUSAL))
    done = token(config(routes(server.credential(), ("read", "scopes = x"))), "--route", "read")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"^bearerd token: main: .*invalid_scope: the scope is not for you", done.stderr, re.M), done.stderr
    assert len(server.requests) == 1


def test_a_wrong_secret_at_a_real_server(config, auth):
    path = config(routes(auth.credential(client_secret="canary-secret"), ("read", "")))
    done = token(path, "--route", "read")
    assert (done.returncode, done.stdout) == (1, "")
    assert "invalid_client: client authentication failed" in done.stderr and "canary" not in done.stderr


def test_time_limits_of_the_credential_hold(config, token_server):
    server = token_server(lambda exchange: exchange.wait_peer_closed(20))
    begin = time.monotonic()
    done = token(config(routes(server.credential(timeout="300ms"), ("read", ""))), "--route", "read")
    assert (done.returncode, done.stdout) == (1, "") and "main: " in done.stderr
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting(config, token_server, number):
    server = token_server(lambda exchange: exchange.wait_peer_closed(20))
    path = config(routes(server.credential(timeout="60s"), ("read", "")))
    process = Process([BINARY, "token", "-c", path, "--route", "read"], env=ENV, name="bearerd token")
    server.wait_requests(1)
    process.signal(number)
    assert process.wait_exit(10) == 1
    assert process.text == "bearerd token: stopped by a signal"


@pytest.mark.parametrize(
    "args, why",
    [
        ([], "--route or --credential"),
        (["--route"], "usage:"),
        (["--route", "read", "--scope", "x"], "its own scopes"),
        (["--route", "read", "--decode", "--header"], "do not go together"),
        (["--route", "read", "more"], "unexpected"),
        (["--route", "reed"], 'did you mean "read"'),
        (["--credential", "mian"], 'did you mean "main"'),
        (["--route", "read", "--credential", "nowhere"], "there is no [credential nowhere]"),
        (["--route", "read", "--credential", "other"], "uses no token of other"),
        (["--route", "open"], "uses no token"),
        (["--credential", "main", "--scope", 'a"b'], "scope"),
    ],
)
def test_wrong_usage_asks_nobody(config, token_server, args, why):
    server = token_server()
    credentials = server.credential() + server.credential("other")
    path = config(routes(credentials, ("read", "credential = main"), ("open", "credential = none")))
    done = token(path, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert server.connections == 0


def test_a_broken_configuration_is_told(config):
    done = token(config("[credential main]\nnonsense = 1\n"), "--route", "read")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nonsense" in done.stderr


def test_a_full_output_is_a_failure(config, token_server):
    path = config(routes(token_server().credential(), ("read", "")))
    with open("/dev/full", "w") as full:
        args = [BINARY, "token", "-c", path, "--route", "read"]
        assert subprocess.run(args, stdout=full, stderr=subprocess.DEVNULL, env=ENV, timeout=20).returncode == 1


def test_fewer_scopes_than_asked_are_told_but_not_on_stdout(config, token_server):
    server = token_server(token_answer("t", extra=', "scope": "a"'))
    done = token(config(routes(server.credential(), ("read", "scopes = a b"))), "--route", "read")
    assert (done.returncode, done.stdout) == (0, "t\n")
    assert "event=token.scope" in done.stderr


def test_the_store_is_used(config, token_server, tmp_path, start, upstream):
    """One token for two calls, and for the proxy that is started afterwards."""
    server = token_server(token_answer("first"), token_answer("second"))
    text = one_route(server.credential(), upstream.url) + KEYED.format(tmp_path / "tokens.db")
    path = config(text)
    assert [token(path, "--route", "all").stdout for _ in range(2)] == ["first\n"] * 2
    daemon = start(text)
    assert daemon.ask().status == 200
    assert upstream.tokens() == ["first"] and len(server.requests) == 1


def test_a_token_that_must_be_told_of_is_left_to_who_tells(config, token_server, tmp_path, start, upstream):
    """What `bearerd token` fetched is not in the store, so that the hook runs for the one that serve then gets; the
    other way round it takes what is there."""
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >> {told}\n")
    hook.chmod(0o700)
    server = token_server(token_answer("first"), token_answer("second"))
    text = one_route(server.credential(on_token_update=hook), upstream.url) + KEYED.format(tmp_path / "tokens.db")
    path = config(text)
    assert token(path, "--route", "all").stdout == "first\n"
    daemon = start(text)
    assert daemon.ask().status == 200
    daemon.wait_log("event=hook.done")
    assert told.read_text() == "second"
    assert token(path, "--route", "all").stdout == "second\n"
    assert len(server.requests) == 2


# -- check --live --------------------------------------------------------------------------------


def table_of(done):
    """Its lines below the head, as they stand."""
    lines = done.stdout.splitlines()
    assert lines[0].endswith("to hold") and lines[1].startswith("credential ")
    assert re.fullmatch(r"-+(  -+){6}", lines[2])
    assert all(len(line) <= 100 and line.isascii() and line == line.rstrip() for line in lines[1:]), done.stdout
    assert {len(line) for line in lines if line.endswith((" ms", "took", "---"))} == {100}, done.stdout
    return lines[3:]


def test_check_live_gets_every_token_once(config, auth):
    credentials = auth.credential() + auth.credential("other", OTHER, resource="urn:ttl:100")
    rows = [
        ("one", "credential = main\nscopes = api:read"),
        ("two", "credential = main\nscopes = api:read api:write"),
        ("three", "credential = main\nscopes = api:write api:read"),
        ("four", "credential = other\nscopes = api:admin"),
    ]
    path = config(routes(credentials, *rows))
    done = run("check", "--live", "-c", path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = table_of(done)
    requests = auth.requests()
    assert sorted(request["scope"] for request in requests) == ["api:admin", "api:read", "api:read api:write"]
    assert len(lines) == 3
    assert re.fullmatch(r"main +api:read +ok +(3600|359\d) s +as asked +[0-9a-f]{8} +\d+ ms", lines[0])
    assert re.fullmatch(r"main +api:read api:write +ok +(3600|359\d) s +as asked +[0-9a-f]{8} +\d+ ms", lines[1])
    assert re.fullmatch(r"other +api:admin +ok +(100|9\d) s +as asked +[0-9a-f]{8} +\d+ ms", lines[2])
    assert all(request["access_token"] not in done.stdout for request in requests)


def test_check_live_tells_what_failed(config, token_server):
    good = token_server(token_answer("good", extra=', "scope": "b"'))
    bad = token_server(("400 Bad Request", REFUSAL))
    away = f"[credential away]\ntoken_url = http://127.0.0.1:{free_port()}/\nclient_id = a\nclient_secret = b\n"
    credentials = good.credential() + bad.credential("refused-every-time") + away
    names = ["main", "refused-every-time", "away"]
    path = config(routes(credentials, *((name, f"credential = {name}\nscopes = a b") for name in names)))
    done = run("check", "--live", "-c", path)
    assert done.returncode == 1
    lines = table_of(done)
    assert re.fullmatch(r"main +a b +ok +3600 s +b +[0-9a-f]{8} +\d+ ms", lines[0])
    assert re.match(r"refused-every-t +a b +refused +\d+ ms$", lines[1])
    assert lines[2] == "ime"
    assert "invalid_scope: the scope is not for you" in lines[3] and lines[3].startswith("    ")
    assert re.match(r"away +a b +unreachable +\d+ ms$", lines[4])
    assert lines[5].startswith("    ")


def test_check_live_asks_all_at_once(config, token_server):
    """Each answer waits until all three requests are there."""

    def together(exchange):
        exchange.read_body()
        exchange.server.wait_requests(3)
        exchange.answer(body=token_answer("t")[1].encode(), fields=[("Content-Type", "application/json")])

    server = token_server(together)
    rows = [(name, f"scopes = {name}") for name in "abc"]
    done = run("check", "--live", "-c", config(routes(server.credential(timeout="5s"), *rows)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(table_of(done)) == 3


def test_check_live_long_scopes_go_on_in_the_next_line(config, token_server):
    scopes = [f"urn:example:scope:{number}" for number in range(9)]
    path = config(routes(token_server().credential(), ("read", "scopes = " + " ".join(scopes))))
    lines = table_of(run("check", "--live", "-c", path))
    assert len(lines) == 9
    assert [line.split()[-1 if number else 1] for number, line in enumerate(lines)] == scopes


def test_check_live_passes_by_the_store(config, token_server, tmp_path):
    server = token_server(token_answer("first"), token_answer("second"))
    store = KEYED.format(tmp_path / "tokens.db")
    path = config(routes(server.credential(), ("read", "")) + store)
    assert token(path, "--route", "read").stdout == "first\n"
    assert run("check", "--live", "-c", path).returncode == 0
    assert len(server.requests) == 2
    assert token(path, "--route", "read").stdout == "first\n"


def test_check_live_of_a_broken_file_asks_nobody(config, token_server):
    server = token_server()
    done = run("check", "--live", "-c", config(routes(server.credential(), ("read", "nonsense = 1"))))
    assert done.returncode == 1 and "nonsense" in done.stderr
    assert server.connections == 0


def test_check_live_of_a_file_without_tokens(config):
    done = run("check", "--live", "-c", config(routes("", ("open", "credential = none"))))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["token", "--route", "read"], ["check", "--live"]])
def test_the_update_hook_is_not_run(config, token_server, tmp_path, command):
    mark = tmp_path / "hook-ran"
    credential = token_server().credential(on_token_update=f"/usr/bin/touch {mark}")
    done = run(*command, "-c", config(routes(credential, ("read", ""))))
    assert done.returncode == 0, done.stderr
    assert not mark.exists()


# -- every source --------------------------------------------------------------------------------


def test_tokens_of_other_sources(config, token_server, tmp_path):
    """static, exec and login, the login authorised by another credential that no route uses."""
    command = tmp_path / "provider"
    command.write_text('#!/bin/sh\necho \'{"access_token": "executed", "token_type": "Bearer", "expires_in": 60}\'\n')
    command.chmod(0o700)
    server = token_server(token_answer("first"))
    session = token_server(("200 OK", '{"session": "logged-in"}'))
    credentials = (
        server.credential()
        + "[credential fixed]\nsource = static\ntoken = fixed-token\n"
        + f"[credential command]\nsource = exec\ncommand = {command}\n"
        + f"[credential session]\nsource = login\nlogin_url = {session.url}/login\nlogin_body = {{}}\n"
        + "login_token = /session\nlogin_ttl = 5m\nlogin_credential = main\nheader = X-Session\nprefix =\n"
    )
    names = ["fixed", "command", "session"]
    path = config(routes(credentials, *((name, f"credential = {name}") for name in names)))
    values = [token(path, "--credential", name).stdout for name in names]
    assert values == ["fixed-token\n", "executed\n", "logged-in\n"]
    assert token(path, "--route", "session", "--header").stdout == "X-Session: logged-in\n"
    assert session.last.get("Authorization") == "Bearer first"
    assert token(path, "--credential", "session", "--scope", "x").returncode == 2
    done = run("check", "--live", "-c", path)
    assert done.returncode == 0, done.stdout
    lives = {line.split()[0]: re.search(r" ok +(.*?)  ", line)[1] for line in table_of(done)}
    assert lives == {"fixed": "no end", "command": "60 s", "main": "3600 s", "session": "300 s"}


def test_a_bound_token_is_said_to_be_one(config, token_server):
    server = token_server(("200 OK", '{"access_token": "bound", "token_type": "DPoP", "expires_in": 60}'))
    done = token(config(routes(server.credential(dpop="yes"), ("read", ""))), "--route", "read", "--header")
    assert (done.returncode, done.stdout) == (0, "Authorization: DPoP bound\n")
    assert "bound to a key" in done.stderr
