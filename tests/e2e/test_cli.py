# SPDX-License-Identifier: MIT
"""check, explain and the other subcommands: what they print and how they end."""
import os
import re
import subprocess

import pytest
from conftest import one_route
from kit.bearerd import BINARY, run
from kit.process import free_port

TWELVE = """\
[proxy]
listen = 127.0.0.1:99999
wrokers = 2
keepalive_timeout = 5 parsecs

[credential main]
token_url = http://idp.example.com/token
client_id = app
client_secret = env:NOT_SET_ANYWHERE
auth_method = client_secret_basik

[upstrean api]
url = https://api.example.com/v2#fragment
ca_file = /nonexistent/ca.pem

[route read]
match = GET /items/**
match = GET /**/more
scopes = a
scopes = b
this line is no setting
"""
# line: a word of its message
FAULTS = {
    2: "listen",
    3: "workers",
    4: "keepalive_timeout",
    7: "allow_plaintext",
    9: "NOT_SET_ANYWHERE",
    10: "client_secret_basic",
    12: "upstream",
    13: "url",
    14: "ca_file",
    18: "match",
    20: "scopes",
    21: "",
}
assert len(FAULTS) == 12

GOOD = """\
[credential main]
token_url = https://idp.example.com/token
client_id = app
client_secret = env:APP_SECRET
[upstream api]
url = https://api.example.com/v2
mount = /api
set_header = X-Tenant: acme
[route read]
match = GET HEAD /items/**
scopes = items:read
remove_header = X-Debug
[route write]
match = POST /items
scopes = items:write items:read
resource = https://api.example.com/items
"""
ENV = {"APP_SECRET": "canary-secret"}


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.ini"
    path.write_text(GOOD)
    return path


def test_check_tells_every_fault_in_one_run(tmp_path):
    path = tmp_path / "twelve.ini"
    path.touch(0o600)
    path.write_text(TWELVE)
    done = run("check", "-c", path)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    found = [re.fullmatch(rf"{re.escape(str(path))}:(\d+): (.+)", line) for line in lines]
    assert all(found), lines
    assert [int(match[1]) for match in found] == sorted(FAULTS), done.stderr
    for match in found:
        assert FAULTS[int(match[1])] in match[2], match[0]


def test_check_names_the_nearest_key(tmp_path):
    path = tmp_path / "near.ini"
    path.write_text(GOOD.replace("client_id", "cliend_id").replace("[upstream", "[upstrem"))
    done = run("check", "-c", path, env=ENV)
    assert "client_id" in done.stderr and "upstream" in done.stderr


def test_check_of_a_good_file(good):
    done = run("check", "-c", good, env=ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert "canary" not in done.stdout


def test_check_names_both_of_two_equal_routes(good):
    good.write_text(GOOD + "[route again]\nmatch = GET /items/**\n")
    done = run("check", "-c", good, env=ENV)
    assert done.returncode == 1
    assert "good.ini:18: " in done.stderr and "good.ini:10" in done.stderr


def test_check_of_long_lines_and_includes(tmp_path):
    part = tmp_path / "part.ini"
    scopes = " ".join(f"scope{i}" for i in range(800))  # 7 KiB: what inih alone would cut silently
    part.write_text(f"[route read]\nmatch = /**\nscopes = {scopes}\nwrong = 1\n")
    main = tmp_path / "main.ini"
    main.write_text("include = part.ini\n" + GOOD.split("[route")[0])
    done = run("check", "-c", main, env=ENV)
    assert done.returncode == 1
    assert re.search(r"part\.ini:4: .*wrong", done.stderr), done.stderr
    part.write_text(f"[route read]\nmatch = /**\nscopes = {scopes}\n")
    assert run("check", "-c", main, env=ENV).returncode == 0
    explained = run("explain", "-c", main, "GET", "/api/x", env=ENV)
    assert "scope799" in explained.stdout
    part.write_text(f"[route read]\nmatch = /**\nscopes = {'x' * 9000}\n")
    assert re.search(r"part\.ini:3: ", run("check", "-c", main, env=ENV).stderr)


def test_variables_are_replaced(good):
    good.write_text(GOOD.replace("https://api.example.com/v2", "${API:-https://fallback.example.com}"))
    for env, url in [({"API": "https://a.example.com"}, "https://a.example.com"), ({}, "https://fallback.example.com")]:
        assert url in run("explain", "-c", good, "GET", "/api/items/1", env={**ENV, **env}).stdout


def explained(done):
    """The output as {label: [values]}."""
    table = {}
    for line in done.stdout.splitlines():
        label, _, value = line.partition("  ")
        table.setdefault(label, []).append(value.strip())
    return table


def test_explain_says_the_whole_journey(good):
    fields = ["-H", "Cookie: a=b", "-H", "X-Debug: 1", "-H", "Authorization: Bearer canary", "-H", "Connection: close"]
    done = run("explain", "-c", good, *fields, "GET", "/api/items/7?x=%20y", env=ENV)
    said = explained(done)
    assert done.returncode == 0 and done.stderr == ""
    assert said["upstream"][0].startswith("api ") and "good.ini:5" in said["upstream"][0]
    assert said["rule"][0].startswith("match = GET HEAD /items/**") and "good.ini:10" in said["rule"][0]
    assert said["credential"][0].startswith("main ")
    assert said["scopes"] == ["items:read"]
    assert said["sent path"] == ["/v2/items/7?x=%20y"]
    assert {"X-Debug", "Authorization", "Connection"} <= set(said["dropped"])
    assert "Cookie: a=b" in said["kept"]
    assert {"Host: api.example.com", "X-Tenant: acme"} <= set(said["set"])
    assert any(value.startswith("Authorization: Bearer <") for value in said["set"])
    assert "canary" not in done.stdout.replace("Bearer canary", "")


def test_explain_sorts_scopes_and_names_resources(good):
    said = explained(run("explain", "-c", good, "POST", "http://api.example.com/v2/items", env=ENV))
    assert said["scopes"] == ["items:read items:write"]
    assert said["resource"] == ["https://api.example.com/items"]
    assert said["sent path"] == ["/v2/items"]


@pytest.mark.parametrize(
    "method, url, answer",
    [
        ("DELETE", "/api/items/7", "403 no-route"),
        ("GET", "/elsewhere", "404 no-upstream"),
        ("GET", "/api/items/..%2f..%2fx", "400 "),
        ("GET", "http://evil.example.test/items", "404 no-upstream"),
        ("GET", "/api/items/%00", "400 bad-target"),
        ("CONNECT", "api.example.com:443", "501 connect-not-supported"),
    ],
)
def test_explain_says_what_the_client_would_get(good, method, url, answer):
    done = run("explain", "-c", good, method, url, env=ENV)
    assert done.returncode == 1
    assert explained(done)["answer"][0].startswith(answer), done.stdout
    assert explained(done)["because"][0]


@pytest.mark.parametrize(
    "method, target",
    [
        ("GET", "/api/items/1"),
        ("DELETE", "/api/items/1"),
        ("GET", "/x"),
        ("GET", "/api/a/../b"),
        ("GET", "/api/items/%41"),
    ],
)
def test_explain_and_serve_agree(good, start, token_server, upstream, method, target):
    """The same functions answer both; this shows that nothing comes between."""
    text = GOOD.replace("https://idp.example.com/token", token_server().token_url).replace(
        "https://api.example.com/v2", upstream.url + "/v2"
    )
    daemon = start(text, env=ENV)
    said = explained(run("explain", "-c", daemon.config, method, target, env=ENV))
    answer = daemon.ask(method, target)
    if answer.status == 200:
        assert said["sent path"] == [upstream.last.target]
    else:
        assert said["answer"] == [f"{answer.status} {answer.kind}"]


@pytest.mark.parametrize(
    "arguments", [[], ["explain"], ["explain", "GET"], ["check", "--wrong"], ["no-such-command"], ["serve", "-c"], ["reload", "x"]]
)
def test_wrong_usage_ends_with_2(arguments):
    done = run(*arguments)
    assert done.returncode == 2 or (arguments == [] and done.returncode == 0)
    assert done.stderr or arguments == []


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["version"], ["--version"], ["help", "clock_skew"]])
def test_help_and_version(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 10


def test_a_full_output_is_a_failure():
    """What could not be written must not look done."""
    with open("/dev/full", "w") as full:
        assert subprocess.run([BINARY, "help"], stdout=full, stderr=subprocess.DEVNULL, timeout=10).returncode != 0


def test_serve_with_a_broken_file_says_all_and_does_not_start(tmp_path):
    path = tmp_path / "twelve.ini"
    path.touch(0o600)
    path.write_text(TWELVE)
    done = run("serve", "-c", path)
    assert done.returncode == 1
    for line in FAULTS:
        assert f"twelve.ini:{line}: " in done.stderr


def test_ping(start, token_server, upstream):
    port = free_port()
    daemon = start(one_route(token_server().credential(), upstream.url), f"listen = 127.0.0.1:{port}")
    assert run("ping", "-c", daemon.config).returncode == 0
    daemon.stop()
    assert run("ping", "-c", daemon.config).returncode == 1


def test_reload_by_the_pid_file(start, token_server, upstream, tmp_path):
    pid_file = tmp_path / "pid"
    daemon = start(one_route(token_server().credential(), upstream.url), f"pid_file = {pid_file}")
    plain = tmp_path / "plain.ini"
    plain.touch(0o600)
    plain.write_text(daemon.config.read_text().split("[admin]")[0])
    for arguments in (["-c", plain], ["--pid", daemon.process.pid]):
        mark = daemon.process.mark()
        done = run("reload", *arguments)
        assert (done.returncode, str(daemon.process.pid) in done.stdout) == (0, True), done.stderr
        daemon.process.wait_line("event=reloaded", 10, mark)
    daemon.config.write_text(daemon.config.read_text() + "[route")
    mark = daemon.process.mark()
    assert run("reload", "-c", plain).returncode == 0, "who runs on it says what is wrong with it"
    daemon.process.wait_line("event=reload.refused", 10, mark)


def test_reload_does_not_signal_others(good, tmp_path):
    no_file = run("reload", "-c", good)
    assert no_file.returncode == 1 and "pid_file" in no_file.stderr
    other = run("reload", "--pid", os.getpid())
    assert other.returncode == 1 and f"process {os.getpid()} is not bearerd" in other.stderr
    stale = tmp_path / "pid"
    good.write_text(good.read_text() + f"[proxy]\npid_file = {stale}\n")
    assert str(stale) in run("reload", "-c", good).stderr
    for content in ("", "x\n", "0\n", "99999999999\n"):
        stale.write_text(content)
        assert run("reload", "-c", good).returncode == 1


def test_reload_by_the_admin_listener_tells_what_came_of_it(scripted):
    """A stand-in for it: the answers, and what becomes of them."""

    def answering(*args):
        return lambda exchange: (exchange.answer(*args), exchange.close())

    admin = scripted(on=answering())
    assert run("reload", "--admin", admin.authority).stdout == "reloaded\n"
    assert admin.last.line == "POST /reload HTTP/1.1"
    detail = r'{"type":"x","detail":"b.ini:3: no such \"key\"\nb.ini:4: and\u0007 so","status":500}'
    admin.on = answering("500 No", detail.encode(), [("Content-Type", "application/problem+json")])
    refused = run("reload", "--admin", admin.authority)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == 'b.ini:3: no such "key"\nb.ini:4: and? so\n'
    admin.on = lambda exchange: (exchange.send(b"what?\r\n\r\n"), exchange.close())
    assert run("reload", "--admin", admin.authority).returncode == 1
    gone = run("reload", "--admin", "unix:/nonexistent/admin.sock")
    assert gone.returncode == 1 and "/nonexistent" in gone.stderr
