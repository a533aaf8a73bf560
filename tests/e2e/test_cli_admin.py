# SPDX-License-Identifier: MIT
"""status, wait, drain and reload: what they ask of a running bearerd, what they make of its answer, how they end."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
from conftest import one_route
from kit.bearerd import BINARY, ENV, run, write_config
from kit.process import free_port, wait_until
from kit.terminal import Terminal

HOSTILE = "<b>&\x1b[31m\x1b]0;t\x07 \u202eevil\u202c \x9b2J ünder"
REFUSAL = ("401 Unauthorized", json.dumps({"error": "invalid_client", "error_description": HOSTILE}))
KEY = "an-admin-key-of-some-length-0123456789"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What the screen may send by itself: colours, and for --watch its cursor, wiping and alternate screen.
OURS = re.compile(r"\x1b\[(?:[0-9]*m|H|K|J|\?1049[hl]|\?25[hl]|\?7[hl])")


@pytest.fixture
def ready(start, auth, upstream):
    """With a token that is required, and a request that bore it."""
    daemon = start(one_route(auth.credential(required="yes"), upstream.url))
    wait_until(lambda: daemon.admin.ready()[0] == 200, 10, "a token")
    assert daemon.ask().status == 200
    return daemon


@pytest.fixture
def refused(start, token_server, upstream):
    """No token is to be had, and the reason is hostile."""
    daemon = start(one_route(token_server(REFUSAL).credential(required="yes"), upstream.url))
    daemon.wait_log("event=token.failed")
    return daemon


def lines(text):
    return [line.rstrip() for line in ESCAPE.sub("", text).replace("\r", "").split("\n")]


# -- status --------------------------------------------------------------------------------------


def test_status_shows_the_facts(ready):
    done = run("status", "-c", ready.config)
    assert (done.returncode, done.stderr) == (0, "")
    [token] = ready.admin.status()["tokens"]
    head, *rest = lines(done.stdout)
    assert re.fullmatch(rf"bearerd \S+  ready  process {ready.process.pid}, up \d+ s, \d+ workers", head)
    text = "\n".join(rest)
    assert f"127.0.0.1:{ready.port}" in text and str(ready.config) in text
    assert re.search(r"^main +api:read +valid +[#.|]{18} +\d+ \w+(?: \d+ \w+)?  all$", text, re.M), text
    assert re.search(r"^all +api +\d+\.\d\d +(?:-|0\.0 %) +\d+\.\d +\d+\.\d +0", text, re.M), text
    assert re.search(r"^api +http://127\.0\.0\.1:\d+ +\d+ +\d+ +0 +\d+ +0$", text, re.M), text
    assert "LATEST FAILURES  none" in text
    assert "\x1b" not in done.stdout, "colour where there is no terminal"
    assert all(len(line) <= 120 for line in rest)


def test_status_json_is_the_document_as_it_is(ready):
    done = run("status", "--json", "-c", ready.config)
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document.keys() == ready.admin.status().keys()
    assert document["tokens"][0]["credential"] == "main"


def test_status_of_one_that_is_not_ready(refused):
    for form in ([], ["--json"], ["--quiet"]):
        assert run("status", "-c", refused.config, *form).returncode == 1
    said = run("status", "-c", refused.config).stdout
    assert "not ready" in said and "invalid_client" in said and "LATEST FAILURES\nrefused: token of main for api:read" in said
    assert "client_secret" in said, "what may be done about it"
    quiet = run("status", "-c", refused.config, "--quiet")
    assert quiet.stdout == "" and "invalid_client" in quiet.stderr


def test_status_for_health_checks(ready):
    done = run("status", "--quiet", "-c", ready.config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_status_for_health_checks_without_an_admin_listener(start, token_server, upstream):
    port = free_port()
    daemon = start(one_route(token_server().credential(), upstream.url) + "\n[admin]\n", f"listen = 127.0.0.1:{port}")
    done = run("status", "--quiet", "-c", daemon.config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    daemon.stop()
    done = run("status", "--quiet", "-c", daemon.config)
    assert done.returncode == 3 and str(port) in done.stderr


def test_status_when_nobody_can_be_asked(tmp_path, scripted, start, token_server, upstream):
    gone = run("status", "--admin", f"unix:{tmp_path}/none.sock")
    assert (gone.returncode, gone.stdout) == (3, "") and "none.sock" in gone.stderr
    assert run("status", "--admin", f"127.0.0.1:{free_port()}", "--quiet").returncode == 3
    without = write_config(tmp_path, one_route(token_server().credential(), upstream.url))
    assert run("status", "-c", without).returncode == 3
    assert "[admin]" in run("status", "-c", without).stderr
    assert run("status", "-c", tmp_path / "no-such.ini").returncode == 3
    other = scripted(on=lambda exchange: (exchange.answer("200 OK", b"\x1b[2Jhello"), exchange.close()))
    said = run("status", "--admin", other.authority)
    assert said.returncode == 3 and "\x1b" not in said.stdout + said.stderr
    cut = scripted(on=lambda exchange: (exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), exchange.close()))
    assert "cut off" in run("status", "--json", "--admin", cut.authority).stderr


def test_status_over_tcp_with_a_key(start, token_server, upstream, tmp_path):
    """From the configuration, from a file; none, and a wrong one."""
    port = free_port()
    ini = one_route(token_server().credential(), upstream.url)
    daemon = start(f"{ini}[admin]\nlisten = 127.0.0.1:{port}\nkey = {KEY}\n")
    key, wrong = tmp_path / "key", tmp_path / "wrong"
    for path, text in ((key, KEY), (wrong, KEY[1:])):
        path.touch(0o600)
        path.write_text(text + "\n")
    assert run("status", "-c", daemon.config).returncode == 0
    for address in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert run("status", "--admin", address, "--key-file", key).returncode == 0
    for arguments in ([], ["--key-file", wrong]):
        done = run("status", "--admin", f"127.0.0.1:{port}", *arguments)
        assert done.returncode == 3 and "[admin] key" in done.stderr
        assert run("status", "--quiet", "--admin", f"127.0.0.1:{port}", *arguments).returncode == 0, "health needs none"
        assert run("drain", "--admin", f"127.0.0.1:{port}", *arguments).returncode == 1
    assert KEY[1:] not in daemon.log
    assert run("status", "--admin", f"127.0.0.1:{port}", "--key-file", tmp_path / "none").returncode == 3


def test_status_without_the_service_s_environment(start, token_server, upstream):
    """An operator's shell has none of the variables that the service has."""
    server = token_server()
    ini = one_route(server.credential(client_secret="env:ONLY_THE_SERVICE_HAS"), upstream.url)
    daemon = start(ini, f"listen = 127.0.0.1:{free_port()}", env={"ONLY_THE_SERVICE_HAS": "canary-secret"})
    for arguments in (["status"], ["wait"], ["ping"], ["reload"], ["drain"]):
        assert run(*arguments, "-c", daemon.config).returncode == 0, arguments
    assert daemon.process.wait_exit() == 0


@pytest.mark.parametrize("env, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)])
def test_colour_on_a_terminal_alone(ready, env, coloured):
    terminal = Terminal("status", "-c", ready.config, env=env)
    assert terminal.wait() == 0
    assert bool(ESCAPE.search(terminal.seen)) == coloured
    assert "█" in terminal.seen and all(len(line) <= 110 for line in lines(terminal.seen))


def test_blocks_where_the_terminal_shows_them(ready):
    terminal = Terminal("status", "-c", ready.config, columns=80, env={"LANG": "C"})
    terminal.wait()
    assert terminal.seen.isascii() and all(len(line) <= 80 for line in lines(terminal.seen))


@pytest.fixture
def hostile(scripted):
    """In the place of an admin listener: every string of its documents is hostile."""
    document = {
        "process": {"version": HOSTILE, "phase": HOSTILE, "listen": [HOSTILE]},
        "config": {"path": HOSTILE, "reloads": {"last_failed": True, "last_error": HOSTILE}},
        "tokens": [{"credential": HOSTILE, "scope": HOSTILE, "state": HOSTILE, "failure": {"cause": HOSTILE}, "routes": [HOSTILE]}],
        "routes": [{"name": HOSTILE, "upstream": HOSTILE}],
        "upstreams": [{"name": HOSTILE, "authority": HOSTILE}],
        "failures": [{"of": "token", "kind": HOSTILE, "credential": HOSTILE, "cause": HOSTILE, "remedy": HOSTILE}],
        "status": HOSTILE,
        "missing": [{"credential": HOSTILE, "scope": HOSTILE, "state": HOSTILE, "cause": HOSTILE}],
        "detail": HOSTILE,
    }

    def answer(exchange):
        status = "200 OK" if exchange.request.target == "/status.json" else "503 No"
        exchange.answer(status, json.dumps(document, ensure_ascii=False).encode())
        exchange.close()

    return scripted(on=answer)


@pytest.mark.parametrize(
    "command", [["status"], ["status", "--watch"], ["status", "--json"], ["status", "--quiet"], ["wait", "--timeout", "2s"], ["reload"], ["drain"]]
)
def test_hostile_words_do_not_reach_the_terminal(hostile, command):
    terminal = Terminal(*command, "--admin", hostile.authority)
    wait_until(lambda: "evil" in terminal.seen, 20, "what was said")
    if "--watch" in command:
        terminal.process.send_signal(signal.SIGINT)
    terminal.wait()
    rest = OURS.sub("", terminal.seen)
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rest), repr(rest)


def test_watch_draws_again_and_gives_the_screen_back(ready):
    terminal = Terminal("status", "--watch", "-c", ready.config, rows=12)
    wait_until(lambda: len(terminal.pictures()) >= 2, 20, "a second picture")
    assert terminal.seen.startswith("\x1b[?1049h"), "the alternate screen"
    assert all(picture.count("\n") <= 11 for picture in terminal.pictures()), "more lines than rows"
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0
    assert terminal.seen.endswith("\x1b[?25h\x1b[?1049l") and terminal.seen.count("\x1b[?1049h") == 1


def test_watch_notices_a_new_size_and_a_restart(ready):
    terminal = Terminal("status", "--watch", "-c", ready.config, columns=130)
    wait_until(lambda: any("last five minutes" in picture for picture in terminal.pictures()), 20, "a wide picture")
    terminal.resize(40, 70)  # which sends SIGWINCH
    wait_until(lambda: "ROUTES" in terminal.pictures()[-1] and "last five minutes" not in terminal.pictures()[-1], 20, "a narrow one")
    assert all(len(line) <= 70 for line in lines(terminal.pictures()[-1]))
    ready.stop()
    wait_until(lambda: "cannot be asked" in terminal.pictures()[-1], 20, "that it is gone")
    assert terminal.process.poll() is None
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 0
    assert terminal.seen.endswith("\x1b[?1049l")


def test_watch_gives_the_screen_back_while_it_is_stopped(ready):
    """Ctrl-Z, and fg."""
    terminal = Terminal("status", "--watch", "-c", ready.config)
    wait_until(lambda: terminal.pictures(), 20, "a picture")
    terminal.process.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    wait_until(lambda: terminal.seen.endswith("\x1b[?1049l"), 20, "the screen given back")
    terminal.process.send_signal(signal.SIGCONT)
    wait_until(lambda: terminal.seen.count("\x1b[?1049h") == 2 and terminal.pictures()[-1], 20, "the screen taken again")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0 and terminal.seen.endswith("\x1b[?1049l")


def test_watch_wants_a_terminal(ready):
    done = run("status", "--watch", "-c", ready.config)
    assert done.returncode == 2 and "terminal" in done.stderr
    assert run("status", "--watch", "--json", "-c", ready.config).returncode == 2


# -- wait ----------------------------------------------------------------------------------------


def test_wait_until_it_is_ready(ready):
    done = run("wait", "-c", ready.config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")


def test_wait_for_one_that_is_not_there_yet(start, auth, upstream):
    """It begins before bearerd does, which then has no token at once."""
    port = free_port()
    waiting = subprocess.Popen([BINARY, "wait", "--admin", f"127.0.0.1:{port}", "--timeout", "30s"], env=ENV)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1)
    start(one_route(auth.credential(required="yes"), upstream.url) + f"[admin]\nlisten = 127.0.0.1:{port}\n")
    assert waiting.wait(30) == 0


def test_wait_says_why_when_the_time_is_up(refused, tmp_path):
    done = run("wait", "-c", refused.config, "--timeout", "1s")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not ready" in done.stderr and re.search(r"^credential main, scope api:read: failed: .*invalid_client", done.stderr, re.M)
    assert "\x1b" not in done.stderr and "\u202e" not in done.stderr
    gone = run("wait", "--admin", f"unix:{tmp_path}/none", "--timeout", "300ms")
    assert gone.returncode == 1 and "none: No such file" in gone.stderr
    assert run("wait", "-c", tmp_path / "no-such.ini").returncode == 1
    for wrong in ("5", "x", "0s", "2d"):
        assert run("wait", "-c", refused.config, "--timeout", wrong).returncode == 2


def test_wait_does_not_hang_on_one_that_does_not_answer(scripted):
    held = threading.Event()
    mute = scripted(on=lambda exchange: held.wait(20))
    began = time.monotonic()
    done = run("wait", "--admin", mute.authority, "--timeout", "1s")
    took = time.monotonic() - began
    held.set()
    assert done.returncode == 1 and took < 4, "a second, and not as long as it is used to wait for one answer"


def test_wait_without_an_admin_listener(tmp_path, token_server, upstream, start):
    port = free_port()
    ini = one_route(token_server().credential(), upstream.url)
    plain = write_config(tmp_path, ini, f"listen = 127.0.0.1:{port}", name="plain.ini")
    failed = run("wait", "-c", plain, "--timeout", "300ms")
    assert failed.returncode == 1 and "[admin]" in failed.stderr
    start(ini, f"listen = 127.0.0.1:{port}")
    done = run("wait", "-c", plain)
    assert (done.returncode, done.stdout) == (0, "bearerd answers\n")
    assert f"no [admin] listen: waiting until the proxy answers at 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("command", [["ping"], ["wait"], ["status"], ["drain"], ["reload"]])
def test_a_configuration_that_does_not_say_where(tmp_path, command):
    path = write_config(tmp_path, "[upstream a]\nurl = https://x.example\n", "listen = nonsense\n[admin]\nlisten = nonsense")
    done = run(*command, "-c", path)
    assert done.returncode in (1, 3) and done.stderr.startswith(f"{command[0]}: ")


# -- ping, and sockets that others open -----------------------------------------------------------


def test_ping_of_one_that_is_busy(start, auth, upstream):
    """It has as many clients as it may have: it lives, and must not be killed for that."""
    released = threading.Event()
    upstream.on = lambda exchange: (exchange.read_body(), released.wait(30), exchange.answer())
    port = free_port()
    daemon = start(one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:{port}\nworkers = 1\nmax_connections = 2")
    with daemon.client() as one, daemon.client() as two:
        one.request(), two.request()
        upstream.wait_requests(2)
        done = run("ping", "-c", daemon.config)
        released.set()
        assert (done.returncode, done.stderr) == (0, "")
        assert one.response().status == two.response().status == 200


def test_ping_asks_the_proxy_where_the_admin_listener_takes_no_connections(start, token_server, upstream, scripted):
    """Not yet, or not from this user. One that takes them, and does not answer, hangs."""
    ini = one_route(token_server().credential(), upstream.url)
    daemon = start(ini, f"listen = 127.0.0.1:{free_port()}")
    text = daemon.config.read_text().split("[admin]")[0]
    assert run("ping", "-c", daemon.config).returncode == 0
    daemon.config.write_text(f"{text}[admin]\nlisten = 127.0.0.1:{free_port()}\n")
    assert run("ping", "-c", daemon.config).returncode == 0
    held = threading.Event()
    mute = scripted(on=lambda exchange: held.wait(20))
    daemon.config.write_text(f"{text}[admin]\nlisten = {mute.authority}\n")
    done = run("ping", "-c", daemon.config)
    held.set()
    assert done.returncode == 1 and mute.authority in done.stderr


@pytest.mark.parametrize("command", [["status"], ["status", "--quiet"], ["status", "--json"], ["wait", "--timeout", "300ms"], ["drain"], ["reload"]])
def test_an_admin_socket_that_is_handed_over(start, token_server, upstream, command):
    """There is one, but nobody can tell where: no word of there being none, and nobody else asked in its place."""
    daemon = start(one_route(token_server().credential(), upstream.url), f"listen = 127.0.0.1:{free_port()}")
    handed = daemon.config.with_name("handed.ini")
    handed.touch(0o600)
    handed.write_text(re.sub(r"\[admin\]\nlisten = .*", "[admin]\nlisten = fd:admin", daemon.config.read_text()))
    done = run(*command, "-c", handed)
    assert (done.returncode, done.stdout) == (3, "")
    assert "fd:admin" in done.stderr and "--admin" in done.stderr and "no [admin]" not in done.stderr
    named = run(*command, "-c", handed, "--admin", f"unix:{daemon.admin.address}")
    assert named.returncode == 0, named.stderr
    if "drain" in command:
        assert daemon.process.wait_exit() == 0


# -- drain and reload ----------------------------------------------------------------------------


def test_drain(ready):
    done = run("drain", "-c", ready.config)
    assert (done.returncode, done.stderr) == (0, "") and "draining" in done.stdout
    assert ready.process.wait_exit() == 0
    again = run("drain", "-c", ready.config)
    assert again.returncode == 1 and again.stderr.startswith("drain: ")


def test_reload_by_the_configuration_tells_what_is_wrong(ready):
    assert run("reload", "-c", ready.config).stdout == "reloaded\n"
    good = ready.config.read_text()
    ready.config.write_text(good + "[route x]\nmatch = /**\nwrong = 1\n")
    done = run("reload", "-c", ready.config)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"bearerd\.ini:\d+: \[route x\] wrong: unknown key", done.stderr), done.stderr
    ready.config.write_text(good)


def test_reload_finds_one_that_has_no_admin_listener_yet(start, token_server, upstream, tmp_path):
    """[admin] has just been written into the file; who runs on it is found by its pid_file."""
    port = free_port()
    daemon = start(one_route(token_server().credential(), upstream.url), f"pid_file = {tmp_path}/pid")
    text = daemon.config.read_text()
    daemon.config.write_text(re.sub(r"\[admin\]\nlisten = .*", f"[admin]\nlisten = 127.0.0.1:{port}", text))
    daemon.admin = None
    assert str(daemon.process.pid) in run("reload", "-c", daemon.config).stdout
    daemon.wait_log("event=reloaded")
    assert run("status", "-c", daemon.config).returncode == 0
