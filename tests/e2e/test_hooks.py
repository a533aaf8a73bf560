# SPDX-License-Identifier: MIT
"""on_token_update: a command that is told of each new token, and that can do no harm."""
import json
import pathlib
import time

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.scripted import token_answer

KEY = "0123456789abcdef0123456789abcdef"
# One file for each run: what it got, its arguments included.
TELL = """#!/usr/bin/python3
import json, os, sys, tempfile
env = {name: value for name, value in os.environ.items()}
note = {"env": env, "token": sys.stdin.read(), "argv": sys.argv[1:], "fds": os.listdir("/proc/self/fd")}
path = tempfile.mktemp(dir=sys.argv[1])
open(path, "w").write(json.dumps(note))
os.rename(path, path + ".json")
"""


@pytest.fixture
def script(tmp_path):
    """script(text): the path of a program; it runs without a shell."""

    def make(text, name="hook"):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o700)
        return path

    return make


@pytest.fixture
def notes(tmp_path, script):
    """(command, runs): runs(count) are the notes of that many runs, in order, once they are there."""
    folder = tmp_path / "notes"
    folder.mkdir()

    def runs(count):
        files = wait_until(lambda: len(found := list(folder.glob("*.json"))) >= count and found, 15, f"{count} runs")
        notes = [json.loads(path.read_text()) for path in files]
        return sorted(notes, key=lambda note: int(note["env"]["BEARERD_GENERATION"]))

    return f"{script(TELL)} {folder}", runs


def test_it_is_run_once_with_all_that_is_known(start, auth, upstream, notes):
    command, runs = notes
    daemon = start(one_route(auth.credential(resource="urn:ttl:600", on_token_update=command), upstream.url))
    for _ in range(20):
        assert daemon.ask().status == 200
    daemon.wait_log("event=hook.done")
    (note,) = runs(1)
    (request,) = auth.requests()
    assert note["token"] == request["access_token"]
    env = note["env"]
    assert (env["BEARERD_CREDENTIAL"], env["BEARERD_SCOPE"]) == ("main", "api:read")
    assert (env["BEARERD_HEADER"], env["BEARERD_GENERATION"]) == ("Authorization", "1")
    assert 590 <= int(env["BEARERD_EXPIRES_IN"]) <= 600
    assert 590 <= int(env["BEARERD_EXPIRES_AT"]) - time.time() <= 601
    assert f"fingerprint={env['BEARERD_FINGERPRINT']}" in daemon.log


def test_T17_it_gets_nothing_that_it_should_not(start, auth, upstream, notes):
    """No token in arguments or environment, no variable of ours, no descriptor of ours."""
    command, runs = notes
    daemon = start(one_route(auth.credential(on_token_update=command), upstream.url), env={"CANARY": "canary"})
    daemon.ask()
    (note,) = runs(1)
    assert len(note["argv"]) == 1
    assert not any(note["token"] in value for value in note["env"].values())
    own = {name for name in note["env"] if not name.startswith("BEARERD_")}
    assert own <= {"PATH", "HOME", "LANG", "LC_CTYPE"}, own
    assert len(note["fds"]) <= 4, "descriptors were left open"


def test_each_new_token_is_told_of(start, auth, upstream, notes):
    command, runs = notes
    credential = auth.credential(resource="urn:ttl:3", clock_skew="1s", on_token_update=command)
    daemon = start(one_route(credential, upstream.url))
    wait_until(lambda: daemon.ask().status == 200 and len(set(upstream.tokens())) == 3, 15, "a third token")
    told = [note["token"] for note in runs(3)]
    assert told[:3] == list(dict.fromkeys(upstream.tokens()))
    assert [note["env"]["BEARERD_GENERATION"] for note in runs(3)][:3] == ["1", "2", "3"]


def test_T09_the_same_token_again_is_no_new_one(start, token_server, upstream, notes):
    command, runs = notes
    server = token_server(token_answer("same", 2), token_answer("same", 2), token_answer("new", 3600))
    daemon = start(one_route(server.credential(clock_skew="0s", on_token_update=command), upstream.url))
    wait_until(lambda: daemon.ask().status == 200 and upstream.last.token == "new", 10, "a third token request")
    assert [note["token"] for note in runs(2)] == ["same", "new"]


def test_a_slow_hook_holds_nobody_up(start, auth, upstream, script, tmp_path):
    """It never ends by itself; requests, and another credential's hook, go on."""
    slow = script("#!/bin/sh\nexec sleep 600\n", "slow")
    mark = tmp_path / "other-ran"
    other = auth.credential("other", header="X-Key", on_token_update=f"/usr/bin/touch {mark}")
    daemon = start(one_route(auth.credential(on_token_update=slow) + other, upstream.url, "credential = main other"))
    begin = time.monotonic()
    for _ in range(20):
        assert daemon.ask().status == 200
    wait_until(mark.exists, 10, "the other hook")
    assert time.monotonic() - begin < 10
    daemon.stop()


def test_a_hook_is_killed_when_its_time_is_over(start, auth, upstream, script, tmp_path):
    """Its children, too."""
    pid = tmp_path / "pid"
    slow = script(f"#!/bin/sh\nsleep 600 &\necho $! > {pid}\nwait\n")
    daemon = start(one_route(auth.credential(on_token_update=slow, hook_timeout="500ms"), upstream.url))
    assert daemon.ask().status == 200
    daemon.wait_log("event=hook.failed .*500 ms")
    child = int(wait_until(lambda: pid.exists() and pid.read_text().strip(), 5, "the child's pid"))
    stat = pathlib.Path(f"/proc/{child}/stat")
    wait_until(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z", 5, "the child's end")


@pytest.mark.parametrize(
    "text, said",
    [
        ("#!/bin/sh\necho first >&2\necho 'no such profile' >&2\nexit 3\n", "exit status 3: no such profile"),
        ("#!/bin/sh\nkill -9 $$\n", "killed by signal 9"),
        ("#!/bin/sh\nread token\necho \"got $token\" >&2\nexit 1\n", "withheld"),
        ("not a program", "event=hook.failed"),
    ],
    ids=["status", "signal", "token on stderr", "no program"],
)  # fmt: skip
def test_a_failing_hook_is_a_line_in_the_log(start, auth, upstream, script, text, said):
    daemon = start(one_route(auth.credential(on_token_update=script(text)), upstream.url))
    assert daemon.ask().status == 200
    daemon.wait_log(f"event=hook.failed .*{said}" if "event" not in said else said)
    assert daemon.ask().status == 200


def test_a_hook_that_reads_nothing_is_fine(start, auth, upstream):
    daemon = start(one_route(auth.credential(on_token_update="/bin/true"), upstream.url))
    assert daemon.ask().status == 200
    daemon.wait_log("event=hook.done")


def test_tokens_of_commands_are_told_of(start, upstream, script, notes):
    command, runs = notes
    give = script('#!/bin/sh\necho \'{"access_token":"given","token_type":"Bearer","expires_in":60}\'\n', "give")
    text = f"[credential main]\nsource = exec\ncommand = {give}\non_token_update = {command}\n"
    assert start(one_route(text, upstream.url)).ask().status == 200
    assert [note["token"] for note in runs(1)] == ["given"]


def test_tokens_of_logins_are_told_of(start, scripted, upstream, notes):
    command, runs = notes
    login = scripted(on=lambda exchange: exchange.answer(body=b'{"session": "logged-in"}'))
    text = f"[credential main]\nsource = login\nlogin_url = {login.url}/\nlogin_body = {{}}\nlogin_token = /session\n"
    assert start(one_route(f"{text}on_token_update = {command}\n", upstream.url, scopes="")).ask().status == 200
    assert [note["token"] for note in runs(1)] == ["logged-in"]


def test_a_static_token_is_not_told_of(start, auth, upstream, notes):
    """The one whose hook is awaited comes after it."""
    command, runs = notes
    fixed = {"source": "static", "token": "always", "token_expires": "2100-01-01T00:00:00Z", "on_token_update": command}
    credentials = auth.credential(header="X-Key", prefix="", **fixed) + auth.credential("other", on_token_update=command)
    text = f"{credentials}\n[upstream api]\nurl = {upstream.url}\n"
    text += "".join(f"[route {name}]\nmatch = /{name}\ncredential = {name}\n" for name in ("main", "other"))
    daemon = start(text)
    for target in ("/main", "/other"):
        assert daemon.ask(target=target).status == 200
    assert upstream.requests[0].get("X-Key") == "always"
    daemon.wait_log("event=hook.done .*credential=other")
    assert [note["token"] for note in runs(1)] == [upstream.last.token]


def test_what_is_fetched_in_place_of_an_expired_static_token_is_told_of(start, auth, upstream, notes):
    command, runs = notes
    fixed = {"source": "static", "token": "old", "token_expires": "2020-01-01T00:00:00Z", "on_token_update": command}
    assert start(one_route(auth.credential(**fixed), upstream.url)).ask().status == 200
    assert [note["token"] for note in runs(1)] == [auth.requests()[0]["access_token"]]


def test_a_token_from_the_store_is_not_told_of_again(start, auth, upstream, notes, tmp_path):
    """The second time the route that is new is told of, and nothing else."""
    command, runs = notes
    routes = "".join(f"[route {name}]\nmatch = /{name}\nscopes = api:{name}\n" for name in ("read", "write"))
    text = auth.credential(on_token_update=command) + f"[upstream api]\nurl = {upstream.url}\n{routes}"
    text += f"[store]\nurl = sqlite:{tmp_path / 'tokens.db'}\nkey = {KEY}\n"
    first = start(text)
    assert first.ask(target="/read").status == 200
    first.wait_log("event=hook.done")
    first.stop()
    daemon = start(text)
    for target in ("/read", "/write"):
        assert daemon.ask(target=target).status == 200
    daemon.wait_log("event=hook.done .*scope=api:write")
    assert "reason=store" in daemon.log
    assert sorted(note["env"]["BEARERD_SCOPE"] for note in runs(2)) == ["api:read", "api:write"]
