# SPDX-License-Identifier: MIT
"""The log as docs/logs.md says it is: lines that programs can read, one for each request that is asked for, and names
that tie together what belongs together."""
import contextlib
import json
import os
import re
import socket
import subprocess

import pytest
from conftest import one_route
from kit.admin import Admin
from kit.bearerd import BINARY, ENV, write_config
from kit.process import Process, free_port, wait_until
from kit.raw import RawClient
from kit.scripted import token_answer


def requests_in(daemon, count):
    """The lines of requests, as dictionaries, once there are so many."""
    lines = wait_until(lambda: (found := re.findall(r"event=request .*", daemon.log)) and len(found) >= count and found)
    return [dict(re.findall(r'(\w+)=("[^"]*"|\S*)', line)) for line in lines]


def test_a_request_line(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(body=b"twelve bytes")
    daemon = simple("[log]\naccess = yes")
    daemon.ask("POST", "/items/7?secret=1", body=b"12345")
    daemon.ask("POST", "/items/7?secret=1", body=b"12345")
    cold, warm = requests_in(daemon, 2)
    for line in cold, warm:
        assert {name: line[name] for name in ("method", "path", "upstream", "route", "status", "end", "problem", "in", "out")} == {
            "method": "POST", "path": "/items/7", "upstream": "api", "route": "all", "status": "200", "end": "complete",
            "problem": "-", "in": "5", "out": "12",
        }  # fmt: skip
        assert int(line["took_us"]) >= int(line["first_byte_us"])
    assert int(cold["token_wait_us"]) > 0
    assert warm["token_wait_us"] == "0"
    assert cold["id"] != warm["id"]
    assert "secret" not in daemon.log


def test_a_problem_is_named(simple):
    daemon = simple("[log]\naccess = yes")
    daemon.ask(target="/a//%ff")
    daemon.ask(target="/", host="elsewhere.example")
    first, second = sorted(requests_in(daemon, 2), key=lambda line: line["status"])  # of two workers
    assert (first["status"], first["problem"], first["route"]) == ("400", "bad-target", "-")
    assert (second["status"], second["problem"], second["upstream"]) == ("403", "host-not-allowed", "-")


def test_errors_only(simple, upstream):
    upstream.on = lambda exchange: exchange.answer("404 Not Found" if exchange.request.target == "/no" else "200 OK")
    daemon = simple("[log]\naccess = errors")
    daemon.ask(target="/yes")
    daemon.ask(target="/no")
    daemon.ask(target="/yes")
    daemon.ask(target="/no")
    assert [line["path"] for line in requests_in(daemon, 2)] == ["/no", "/no"]


def test_a_sample(simple, upstream):
    """One in four, but every one that did not go well."""
    upstream.on = lambda exchange: exchange.answer("500 Oh" if exchange.request.target == "/no" else "200 OK")
    daemon = simple("workers = 1\n[log]\naccess = yes\naccess_sample = 4")
    for _ in range(12):
        daemon.ask(target="/yes")
        daemon.ask(target="/no")
    paths = [line["path"] for line in requests_in(daemon, 15)]
    assert (paths.count("/yes"), paths.count("/no")) == (3, 12)


def test_what_belongs_together(start, token_server, upstream):
    """A request whose token is refused: the line about sending it again, and its own, have the same id."""
    server = token_server(token_answer("one", 3600), token_answer("two", 3600))
    upstream.on = lambda exchange: exchange.answer("401 No" if exchange.request.token == "one" else "200 OK")
    daemon = start(one_route(server.credential(), upstream.url), "[log]\naccess = yes")
    assert daemon.ask().status == 200
    replayed = daemon.wait_log(r"event=request.replayed .*\bid=(\S+)").group(1)
    assert requests_in(daemon, 1)[0]["id"] == replayed


def test_json(simple):
    daemon = simple("[log]\naccess = yes\nformat = json")
    daemon.ask(target="/a%22b%5c")
    daemon.ask(target="/plain")
    daemon.wait_log('"event":"request",.*"path":"/plain"')
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log.splitlines() if line.startswith("{")]
    assert len(lines) == len(daemon.log.splitlines()), daemon.log  # every line, from the first to the last
    assert all(list(line)[:3] == ["ts", "level", "event"] for line in lines)
    assert {"starting", "listening", "ready", "request", "token.fetched", "stopping", "stopped"} <= {line["event"] for line in lines}
    plain = next(line for line in lines if line.get("path") == "/plain")
    assert plain["status"] == 200 and isinstance(plain["took_us"], int)


@pytest.mark.parametrize("is_journal", [True, False])
def test_priorities_for_the_journal(auth, upstream, tmp_path, is_journal):
    """Standard error is what JOURNAL_STREAM names, or something else in the place of what it named."""
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url) + "[log]\nformat = logfmt\n")
    more = "" if is_journal else "0"
    script = f'export JOURNAL_STREAM=$(stat -L -c %d:%i /dev/fd/2){more}; exec "$0" "$@"'
    daemon = Process(["sh", "-c", script, BINARY, "serve", "-c", config], env=ENV, name="bearerd")
    daemon.wait_line("event=ready")
    assert daemon.stop() == 0
    levels = {"info": "<6>", "warn": "<4>"}  # root is warned of itself
    for line in daemon.lines:
        level = re.search(r" level=(\w+) ", line)[1]
        assert line.startswith(f"{levels[level]}ts=" if is_journal else "ts="), daemon.text


def two_ends(kind):
    """Descriptors: what is read from, and what is written to."""
    if kind == "pipe":
        return os.pipe()
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def read_all(fd):
    os.set_blocking(fd, False)
    text = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(fd, 65536):
            text += piece
    return text.decode()


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_nobody_reads_it(tmp_path, release, kind):
    """Requests, orders and the end do not wait for whoever reads standard error; what was lost is told when that is taken again."""
    port, many = free_port(), 4000
    text = f"[upstream api]\nurl = http://127.0.0.1:1\n[log]\naccess = yes\n[admin]\nlisten = unix:{tmp_path}/admin\n"
    config = write_config(tmp_path, text, f"listen = 127.0.0.1:{port}\nworkers = 2")
    reader, writer = two_ends(kind)
    daemon = subprocess.Popen([release, "serve", "-c", config], stderr=writer, stdin=subprocess.DEVNULL, env=ENV)
    os.close(writer)
    try:
        admin = Admin(f"{tmp_path}/admin")
        said = []
        wait_until(lambda: said.append(read_all(reader)) or "event=ready" in "".join(said), what="it is ready")

        def traffic(count):
            with contextlib.closing(RawClient(port)) as client:
                for _ in range(count):
                    assert client.ask(target=f"/{'x' * 200}").status == 403  # no route

        traffic(many)
        lost = admin.metrics().get("bearerd_log_dropped_total")
        assert 0 < lost < many
        text = read_all(reader)
        assert text.endswith("\n") and text.count("event=request ") == many - lost
        traffic(1)
        after = wait_until(lambda: read_all(reader))
        assert re.fullmatch(r"ts=\S+ level=warn event=log.dropped count=\d+\nts=\S+ level=info event=request .*\n", after), after
        # Where the room is too small for a request's line, it may do for the shorter one.
        assert sum(map(int, re.findall(r"event=log.dropped count=(\d+)", text + after))) == lost
        traffic(many)
        daemon.terminate()
        assert daemon.wait(20) == 0
    finally:
        daemon.kill()
        daemon.wait()
        os.close(reader)


def test_a_word_that_is_no_format(tmp_path, auth, upstream):
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url) + "[log]\naccess = sometimes\n")
    check = subprocess.run([BINARY, "check", "-c", config], capture_output=True, text=True, env=ENV)
    assert check.returncode and "no, yes or errors" in check.stdout + check.stderr
