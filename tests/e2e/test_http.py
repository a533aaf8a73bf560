# SPDX-License-Identifier: MIT
"""What RFC 9110, 9111 and 9112 ask of an intermediary and no other file here shows; docs/http.md has the whole list."""
import os
import pathlib
import re

import pytest
from kit.bearerd import ROOT


def test_HS4_answers_to_proxy_clients_bear_Via(simple, upstream):
    """And those to clients of a gateway need not: there bearerd stands for the server."""
    daemon = simple()
    upstream.on = lambda exchange: exchange.answer(fields=[("Via", "1.0 behind")])
    answer = daemon.ask(target=f"{upstream.url}/x", host=upstream.authority)
    assert ",".join(answer.get_all("Via")).replace(" ", "") == "1.0behind,1.1bearerd"
    assert daemon.ask().get_all("Via") == ["1.0 behind"]


@pytest.mark.parametrize("method, sent", [("GET", "/"), ("OPTIONS", "*")])
def test_HS7_HM7_an_empty_path(simple, upstream, method, sent):
    assert simple().ask(method, upstream.url, host=upstream.authority).status == 200
    assert upstream.last.target == sent


def test_HM7_an_asterisk_is_for_OPTIONS_alone(simple, upstream):
    daemon = simple()
    assert daemon.ask("OPTIONS", "*").status == 200
    assert upstream.last.target == "*"
    assert daemon.ask("GET", "*").kind == "bad-target"


def test_HS17_never_421_and_never_Vary_asterisk():
    for path in (ROOT / "src").rglob("*.[ch]"):
        text = path.read_text()
        assert not re.search(r'\b421\b|"Vary".*"\*"', text), path


def test_HC1_nothing_is_stored_nor_answered_from_store(simple, upstream):
    """Two equal requests are two at the upstream, conditions are its to judge, and what it says of caching stays."""
    fields = [("Cache-Control", "public, max-age=3600"), ("ETag", '"1"'), ("Age", "7")]
    upstream.on = lambda exchange: exchange.answer(body=b"%d" % len(upstream.requests), fields=fields)
    daemon = simple()
    assert [daemon.ask().body for _ in range(3)] == [b"1", b"2", b"3"]
    answer = daemon.ask(fields=['If-None-Match: "1"', "Cache-Control: only-if-cached", "Range: bytes=0-0"])
    assert (answer.status, answer.body) == (200, b"4")
    assert [(name, value) for name, value in answer.fields if name in ("cache-control", "etag", "age")] == [
        (name.lower(), value) for name, value in fields
    ]
    assert upstream.last.get("If-None-Match") == '"1"' and upstream.last.get("Range") == "bytes=0-0"


def test_HC3_tokens_are_in_memory_alone_unless_there_is_a_store(simple):
    daemon = simple()
    assert daemon.ask().status == 200
    writable = []
    for link in pathlib.Path(f"/proc/{daemon.process.pid}/fd").iterdir():
        if link.is_file():  # sockets and pipes are none
            flags = re.search(r"flags:\s+(\d+)", pathlib.Path(str(link).replace("/fd/", "/fdinfo/")).read_text())
            if int(flags.group(1), 8) & (os.O_WRONLY | os.O_RDWR):
                writable.append(os.readlink(link))
    assert not writable


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_HM3_the_version_is_our_own(simple, upstream, version):
    """In both directions, whatever the other side's is."""
    def old(exchange):
        exchange.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        exchange.close()

    upstream.on = old
    answer = simple().ask(version=version)
    assert answer.version == "1.1" and upstream.last.version == "HTTP/1.1"


def test_HM14_one_framing_and_the_length_is_kept(simple, upstream):
    """What has a length keeps it, what has none gets chunks, nothing gets both."""
    daemon = simple()
    for length in (0, 1, 100_000):
        answer = daemon.ask("PUT", body=b"x" * length)
        assert upstream.last.get("Content-Length") == str(length) and not upstream.last.get_all("Transfer-Encoding")
        assert len(answer.get_all("Content-Length")) == 1 and not answer.get_all("Transfer-Encoding")
    with daemon.client() as client:
        client.send(client.head("PUT", fields=["Transfer-Encoding: chunked"]) + "1\r\nx\r\n0\r\n\r\n")
        assert client.response().status == 200
    assert upstream.last.get("Transfer-Encoding") == "chunked" and not upstream.last.get_all("Content-Length")
    daemon.ask("POST")
    assert not upstream.last.get_all("Transfer-Encoding") and not upstream.last.get_all("Content-Length")


def test_HM17_a_proxy_keeps_no_connection_of_an_HTTP10_client(simple, upstream):
    """Another proxy in between may have passed keep-alive on without knowing it (9112 C.2.2)."""
    daemon = simple()
    for target, host in ((f"{upstream.url}/x", upstream.authority), ("http://elsewhere.test/x", "elsewhere.test")):
        with daemon.client() as client:
            answer = client.ask(target=target, host=host, version="HTTP/1.0", fields=["Connection: keep-alive"])
            assert answer.status in (200, 404) and answer.get("Connection") == "close"
            assert client.is_closed_by_peer()


def test_HM17_a_gateway_may(simple):
    with simple().client() as client:
        for _ in range(3):
            assert client.ask(version="HTTP/1.0", fields=["Connection: keep-alive"]).status == 200


# -- problems ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target, fields", [("/x", ["Origin: https://evil.test"]), ("/x?access_token=a", []), ("/\\", [])])
def test_PD3_HEAD_has_the_head_of_the_problem_alone(simple, target, fields):
    daemon = simple()
    whole = daemon.ask("GET", target, fields)
    assert whole.problem and whole.get("Cache-Control") == "no-store"
    with daemon.client() as client:
        client.send(client.head("HEAD", target, fields + ["Connection: close"]))
        head, _, body = client.read_to_end().partition(b"\r\n\r\n")
    assert body == b"" and head.startswith(b"HTTP/1.1 %d " % whole.status)
    assert b"\r\nContent-Length: %d" % len(whole.body) in head
    for name in ("Content-Type", "Cache-Control", "Proxy-Status"):
        assert f"\r\n{name}: {whole.get(name)}".encode() in head


def test_PD2_problems_tell_no_internals(start, token_server, tmp_path):
    """Of what is to be kept to ourselves, each in a problem that is about it."""
    secret, query, folder = "canary-secret", "canary-query", tmp_path / "canary-folder"
    server = token_server(("400 Bad Request", '{"error":"invalid_client","error_description":"no: canary-secret"}'))
    credential = server.credential(client_secret=secret, token_url=f"{server.url}/token?x={query}")
    other = server.credential("other", client_secret=f"file:{folder}/secret")
    daemon = start(
        f"{credential}\n{other}\n[upstream api]\nurl = http://127.0.0.1:1\n"
        "[route a]\nmatch = /a/**\ncredential = main\n[route b]\nmatch = /b/**\ncredential = other\n"
        "[route c]\nmatch = /c/**\ncredential = main\nclient_authorization = reject\n"
    )
    answers = [daemon.ask(target=f"/{name}/x?canary-client") for name in "abz"]
    answers.append(daemon.ask(target="/c/x?canary-client", fields=["Authorization: Bearer canary-client"]))
    assert [answer.kind for answer in answers] == ["token-refused", "token-local", "no-route", "client-authorization"]
    for answer in answers:
        assert "canary" not in answer.text + str(answer.fields)
