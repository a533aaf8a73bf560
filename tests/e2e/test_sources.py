# SPDX-License-Identifier: MIT
"""Tokens that do not come from a token endpoint: a command's, one in the configuration; and several at once."""
import json
import re
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.scripted import token_answer

GIVEN = '{"access_token": "given", "token_type": "Bearer", "expires_in": 60}'


@pytest.fixture
def command(tmp_path):
    """command(text): an exec credential whose command is that shell script; its input goes to the file `asked`."""

    def make(text, credential="[credential main]\n", **settings):
        path = tmp_path / "give"
        path.write_text(f"#!/bin/sh\ncat >> {tmp_path / 'asked'}\n{text}\n")
        path.chmod(0o700)
        rows = "".join(f"{name} = {value}\n" for name, value in settings.items())
        return f"{credential}source = exec\ncommand = {path} 'one word' \"two\"\n{rows}"

    return make


@pytest.fixture
def asked(tmp_path):
    """What the command was told, a document for each run."""
    return lambda: [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]


# -- exec ----------------------------------------------------------------------------------------


def test_a_command_gives_tokens(start, upstream, command, asked):
    lines = command(f"echo '{GIVEN}'", audience="https://a.example")
    daemon = start(one_route(lines, upstream.url))
    for _ in range(5):
        assert daemon.ask().status == 200
    assert upstream.tokens() == ["given"] * 5
    (told,) = asked()
    assert (told["credential"], told["scope"], told["audience"], told["last"]) == ("main", "api:read", "https://a.example", None)


def test_a_command_is_told_of_the_token_before(start, upstream, command, asked):
    """But not the token itself."""
    lines = command("echo '{\"access_token\": \"token-'$$'\", \"token_type\": \"Bearer\", \"expires_in\": 2}'", clock_skew="1s")
    daemon = start(one_route(lines, upstream.url))
    wait_until(lambda: daemon.ask().status == 200 and len(set(upstream.tokens())) == 2, 10, "a second token")
    first, second = asked()[:2]
    assert first["last"] is None
    assert re.fullmatch("[0-9a-f]{8}", second["last"]["fingerprint"]) and second["last"]["expires_in"] <= 2
    assert upstream.tokens()[0] not in json.dumps(second)


def test_a_command_gets_its_words_without_a_shell(start, upstream, command):
    lines = command('[ "$#:$1:$2" = "2:one word:two" ] && ' + f"echo '{GIVEN}'")
    assert start(one_route(lines, upstream.url)).ask().status == 200


def test_a_command_hands_over_to_the_grant(start, auth, upstream, command):
    lines = command("echo '{\"use\": \"oauth\"}'", auth.credential())
    daemon = start(one_route(lines, upstream.url))
    for _ in range(3):
        assert daemon.ask().status == 200
    (request,) = auth.requests()
    assert set(upstream.tokens()) == {request["access_token"]}


@pytest.mark.parametrize(
    "text, status, kind, said",
    [
        ("echo 'trying' >&2; echo 'no such profile' >&2; exit 1", 503, "token-local", "exit status 1: no such profile"),
        ("kill -9 $$", 503, "token-local", "killed by signal 9"),
        ("exec sleep 600", 504, "token-timeout", "longer than 500 ms"),
        ("echo 'no JSON'", 502, "token-malformed", "JSON"),
        ("true", 502, "token-malformed", ""),
        ("echo '{\"access_token\": \"a\"}'", 502, "token-malformed", "token_type"),
        ("echo '{\"access_token\": \"a b\", \"token_type\": \"Bearer\"}'", 502, "token-malformed", ""),
        ("echo '{\"use\": \"oauth\"}'", 503, "token-local", "token_url or issuer"),
        ("echo '{\"use\": \"magic\"}'", 503, "token-local", "magic"),
        ("exec head -c 10000000 /dev/zero", 503, "token-local", ""),
        (f"echo '{GIVEN}'; exit 1", 503, "token-local", "exit status 1"),
    ],
    ids=["status", "signal", "hangs", "no JSON", "nothing", "no type", "bad token", "no endpoint", "use", "too much", "late"],
)
def test_a_command_that_fails(start, upstream, command, text, status, kind, said):
    daemon = start(one_route(command(text, command_timeout="500ms"), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (status, kind), refused.text
    daemon.wait_log(f"event=token.(failed|local) .*{said}")
    assert upstream.requests == []


def test_a_command_that_does_not_exist(start, upstream):
    daemon = start(one_route("[credential main]\nsource = exec\ncommand = /nonexistent/give\n", upstream.url))
    assert (daemon.ask().status, daemon.ask().kind) == (503, "token-local")
    daemon.wait_log("event=token.failed .*")


def test_a_command_that_recovers(start, upstream, command, tmp_path):
    ready = tmp_path / "ready"
    daemon = start(one_route(command(f"[ -e {ready} ] || exit 1\necho '{GIVEN}'"), upstream.url))
    assert daemon.ask().status == 503
    ready.touch()
    wait_until(lambda: daemon.ask().status == 200, 10, "its token")


def test_a_command_does_not_repeat_its_token_into_the_log(start, upstream, command):
    daemon = start(one_route(command("echo '{\"access_token\": \"hunter2222\"}'; echo hunter2222 >&2; exit 1"), upstream.url))
    daemon.secrets.append("hunter2222")
    assert b"hunter2222" not in daemon.ask().body


# -- static --------------------------------------------------------------------------------------


def test_a_static_token_asks_nobody(start, upstream):
    daemon = start(one_route("[credential main]\nsource = static\ntoken = abc def\nprefix = Token\n", upstream.url))
    for _ in range(3):
        assert daemon.ask().status == 200
    assert {request.get("Authorization") for request in upstream.requests} == {"Token abc def"}


def test_a_static_token_expires(start, upstream):
    end = int(time.time()) + 3
    lines = f"[credential main]\nsource = static\ntoken = abc\ntoken_expires = {end}\nclock_skew = 0s\n"
    daemon = start(one_route(lines, upstream.url))
    assert daemon.ask().status == 200
    refused = wait_until(lambda: (got := daemon.ask()).status != 200 and got, 10, "its end")
    assert refused.kind == "token-refused" and "expired" in refused.problem["detail"]
    assert end - 1 <= time.time() <= end + 2


def test_an_expired_static_token_is_replaced_by_a_fetched_one(start, auth, upstream):
    end = int(time.time()) + 3
    daemon = start(one_route(auth.credential(source="static", token="abc", token_expires=end, clock_skew="1s"), upstream.url))
    assert daemon.ask().status == 200 and upstream.last.token == "abc"
    wait_until(lambda: daemon.ask().status == 200 and upstream.last.token != "abc", 10, "a fetched token")
    assert [request["access_token"] for request in auth.requests()] == [upstream.last.token]
    assert time.time() <= end + 1


def test_a_static_token_from_a_file(start, upstream, tmp_path):
    path = tmp_path / "token"
    path.write_text("abc\n")
    path.chmod(0o600)
    daemon = start(one_route(f"[credential main]\nsource = static\ntoken = file:{path}\n", upstream.url))
    assert daemon.ask().status == 200
    assert upstream.tokens() == ["abc"]


def test_a_refused_static_token_is_replaced_when_its_file_was(start, scripted, tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o600)
    upstream = scripted(on=lambda x: x.answer("200 OK" if x.request.token == "new" else "401 Unauthorized"))
    daemon = start(one_route(f"[credential main]\nsource = static\ntoken = file:{path}\n", upstream.url))
    assert daemon.ask().status == 401
    path.write_text("new")
    wait_until(lambda: daemon.ask().status == 200, 30, "the new token")


# -- several at once ------------------------------------------------------------------------------


def test_a_route_with_many_credentials(start, token_server, upstream):
    """Each in a field of its own; one that fails stops the request."""
    servers = [token_server(token_answer(f"token-{number}")) for number in range(4)]
    names = [f"c{number}" for number in range(4)]
    text = "".join(server.credential(name, header=f"X-{name}", prefix="") for server, name in zip(servers, names))
    daemon = start(one_route(text, upstream.url, f"credential = {' '.join(names)}"))
    assert daemon.ask().status == 200
    assert [upstream.last.get(f"X-{name}") for name in names] == [f"token-{number}" for number in range(4)]
    servers[2].answers = [("400 No", '{"error": "invalid_scope"}')]
    second = start(one_route(text, upstream.url, f"credential = {' '.join(names)}"), name="second.ini")
    assert second.ask().kind == "token-refused"
    assert len(upstream.requests) == 1
