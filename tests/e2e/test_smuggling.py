# SPDX-License-Identifier: MIT
"""Requests that two readers could understand differently, each with another one behind it. Every one is refused and its
connection closed, or forwarded in a form that a strict parser reads in one way only; and what stands behind or inside it
never becomes a request that nobody sent."""
import functools
import re
import select
import socket

import pytest
from kit.bearerd import Bearerd, run, write_config
from kit.strict import StrictServer, first_request

CONFIG = """
[credential main]
source = static
token = abc
[upstream api]
url = {url}
[route open]
match = /open/**
"""
HOST = "Host: {host}\r\n"
SMUGGLED = "GET /open/smuggled HTTP/1.1\r\n" + HOST + "\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def upstream():
    server = StrictServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, upstream):
    config = write_config(tmp_path_factory.mktemp("smuggling"), CONFIG.format(url=upstream.url), "workers = 1\nbody_timeout = 2s")
    running = Bearerd(config).wait_ready()
    yield running
    running.stop()


@pytest.fixture
def seen(upstream):
    """What the upstream gets in this test."""
    upstream.requests.clear()
    upstream.begun.clear()
    yield upstream
    assert not upstream.faults, "bearerd sent what is no HTTP"
    for request in upstream.all():
        assert "smuggled" not in request.target + str(request.fields)


@functools.cache
def is_old_library():
    """libmicrohttpd 0.9.75 writes the head of an error page of its own twice; and it bears with some chunks that are
    malformed, which matters to nobody: the body goes on in chunks of bearerd's, the connection is closed."""
    return "libmicrohttpd 0.9" in run("version").stdout


def post(fields, body="hello"):
    return "POST /open/first HTTP/1.1\r\n" + HOST + fields + "\r\n" + body


def get(fields):
    return "GET /open/first HTTP/1.1\r\n" + HOST + fields + "\r\n"


def bytes_of(text, daemon):
    return text.replace("{host}", f"127.0.0.1:{daemon.port}").encode("latin-1")


def talk(daemon, data, one_by_one=False):
    """Sends all of it, and reads until the end of the connection."""
    with daemon.client(timeout=10) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if not one_by_one:
                client.send(data)
            for i in range(len(data) if one_by_one else 0):
                client.send(data[i : i + 1])
                # The pace is what is tested: most bytes come alone.
                if select.select([client.sock], [], [], 0.0003)[0]:
                    client._fill()
                    if client.eof:
                        break
        except OSError:
            pass  # refused before it was all sent
        return client.read_to_end(reset_is_fine=True)


def statuses(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def check_refused(answer, allowed):
    """None among the allowed: libmicrohttpd may hang up without a word."""
    got = statuses(answer)
    if not got and None in allowed:
        assert answer == b""
        return
    assert got and set(got) == {got[0]} and got[0] in allowed, answer
    assert len(got) <= (2 if is_old_library() else 1), answer
    assert re.search(rb"\r\nConnection: close\r\n", answer, re.I)


LENGTHS = [
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\ncontent-length: 0\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: 5,\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: -0\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5 5\r\n",
    "Content-Length: 5.0\r\n",
    "Content-Length: 5e0\r\n",
    "Content-Length: 5;\r\n",
    'Content-Length: "5"\r\n',
    "Content-Length:\r\n",
    "Content-Length: \x0b5\r\n",
    "Content-Length: \xb2\r\n",
    "Content-Length: 9223372036854775808\r\n",
    "Content-Length: 18446744073709551621\r\n",
    "Content-Length: 99999999999999999999999999\r\n",
    "Content-Length : 5\r\n",
    "Content-Length\t: 5\r\n",
    "Content_Length: 5\r\n",
    "Content_Length: 5\r\nContent-Length: 0\r\n",
]
CODINGS = [
    "Content-Length: 5\r\n" + CHUNKED,
    CHUNKED + "Content-Length: 5\r\n",
    CHUNKED + CHUNKED,
    CHUNKED + "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: identity\r\n" + CHUNKED,
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\t: chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked-x\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    'Transfer-Encoding: "chunked"\r\n',
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding: chunked\x0b\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding: ,\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encod: chunked\r\n ing\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "X-A: b\rTransfer-Encoding: chunked\r\n",
    "X-A: b\nTransfer-Encoding: chunked\r\n",
]
FIELDS = [
    " X-A: b\r\n",
    "X-A: b\r\n folded: c\r\n",
    "X-A: b\r\n\tfolded\r\n",
    "X-A: b\r\n \r\n",
    "X A: b\r\n",
    "X-A\0: b\r\n",
    "X-A: b\0c\r\n",
    "\0X-A: b\r\n",
    ":x\r\nContent-Length: 5\r\n",
    ": \r\n",
    "X-A: b\rc\r\n",
    "X-A: b\r\r\n",
    "X\r-A: b\r\n",
    "X-A: b\n",
    "X-A: b\x01\r\n",
    "X-A: b\x7f\r\n",
    "X-A\r\n",
    "X-\x80: b\r\n",
    "X(a): b\r\n",
    '"X-A": b\r\n',
    "Host: evil.example.test\r\n",
    HOST,
]


@pytest.mark.parametrize("fields", LENGTHS + CODINGS + FIELDS, ids=repr)
def test_ambiguous_heads_are_refused_and_the_connection_closed(daemon, seen, fields):
    answer = talk(daemon, bytes_of(post(fields, SMUGGLED), daemon))
    check_refused(answer, {400, 413, 501})
    assert daemon.ask(target="/open/after").status == 200
    assert [request.target for request in seen.all()] == ["/open/after"]


LINES = [
    ("GET  /open/first HTTP/1.1", {400}),
    ("GET /open/first  HTTP/1.1", {400}),
    ("GET /open/first HTTP/1.1 ", {400, 505}),
    ("GET /open/first HTTP/1.1 x", {400, 505}),
    ("GET /open/first\tHTTP/1.1", {400, 505}),
    ("GET\t/open/first HTTP/1.1", {400, None}),
    ("GET /open/first x HTTP/1.1", {400}),
    (" GET /open/first HTTP/1.1", {400, None}),
    ("GET /open/first", {400, 505}),
    ("GET /open/first ", {400, 505}),
    ("GET", {400, 505, None}),
    ("GET /open/first HTTP/1.2", {505}),
    ("GET /open/first HTTP/2.0", {505}),
    ("GET /open/first HTTP/0.9", {505}),
    ("GET /open/first HTTP/1.10", {400, 505}),
    ("GET /open/first HTTP/1.1x", {400, 505}),
    ("GET /open/first http/1.1", {400, 505}),
    ("GET /open/first ICAP/1.0", {400, 505}),
    ("GET /open/first HTTP/1.1\r", {400, 505}),
    ("GET\0 /open/first HTTP/1.1", {400, None}),
    ("GET /open/\0first HTTP/1.1", {400, None}),
    ("GET /open/first\0 HTTP/1.1", {400, None}),
    ("GET /open/fi\rrst HTTP/1.1", {400}),
    ("GET /open/\x80 HTTP/1.1", {400}),
    ("GET /open/first#x HTTP/1.1", {400}),
    ("GET open/first HTTP/1.1", {400}),
    ("GET * HTTP/1.1", {400}),
    ("GET 127.0.0.1:80 HTTP/1.1", {400}),
    ("G(T /open/first HTTP/1.1", {400}),
    ("GET: /open/first HTTP/1.1", {400}),
    ("G\x80T /open/first HTTP/1.1", {400}),
    ("PRI * HTTP/2.0", {505}),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400, 505, None}),
]


@pytest.mark.parametrize("line, allowed", LINES, ids=[repr(line) for line, _ in LINES])
def test_bad_request_lines_are_refused(daemon, seen, line, allowed):
    answer = talk(daemon, bytes_of(line + "\r\n" + HOST + "\r\n" + SMUGGLED, daemon))
    check_refused(answer, allowed)
    assert daemon.ask(target="/open/after").status == 200
    assert [request.target for request in seen.all()] == ["/open/after"]


# -- chunks --------------------------------------------------------------------------------------

BROKEN_CHUNKS = [
    "x\r\nabc",
    "3x\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "3\0\r\nabc\r\n0\r\n\r\n",
    "3,3\r\nabc\r\n0\r\n\r\n",
    "\xb3\r\nabc\r\n0\r\n\r\n",
    ";a=b\r\nabc\r\n0\r\n\r\n",
    "\r\n3\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcde\r\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabc\r0\r\n\r\n",
    "3\rabc\r\n0\r\n\r\n",
    "3\r\r\nabc\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nabc",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "fffffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
    "8000000000000000\r\nabc",
]
# What libmicrohttpd 0.9.75 bears with: a body that was read so must be the end of its connection.
LOOSE_CHUNKS = [
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "6\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\n\n",
    "5\r\nhello\r\n0\r\n\n",
    "5;a=b\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    '5;a="\r\nhello\r\n0\r\n\r\n',
    "5;\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "5\r\nhello\r\n0\r\nX\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    "5\r\nhello\r\n0\r\n:x\r\n\r\n",
    "5\r\nhello\r\n0\r\n\0\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n",
]


@pytest.mark.parametrize("body", BROKEN_CHUNKS, ids=repr)
def test_broken_chunks_end_the_request_and_the_connection(daemon, seen, body):
    """What came before the fault may have gone upstream already, but then nothing makes a whole request of it."""
    answer = talk(daemon, bytes_of(post(CHUNKED, body + SMUGGLED), daemon))
    assert set(statuses(answer)) <= {400, 408, 413} and len(statuses(answer)) <= (2 if is_old_library() else 1)
    assert daemon.ask(target="/open/after").status == 200
    assert [request.target for request in seen.requests] == ["/open/after"]


@pytest.mark.parametrize("body", LOOSE_CHUNKS, ids=repr)
def test_loose_chunks_are_refused_or_the_last_on_their_connection(daemon, seen, body):
    answer = talk(daemon, bytes_of(post(CHUNKED, body + SMUGGLED), daemon))
    assert len(statuses(answer)) <= 1 and set(statuses(answer)) <= {200, 400, 408, 413}
    assert daemon.ask(target="/open/after").status == 200
    first = [request for request in seen.requests if request.target == "/open/first"]
    assert [request.body.rstrip(b"\r") for request in first] in ([], [b"hello"])
    assert [request.target for request in seen.requests[len(first) :]] == ["/open/after"]


# -- what passes ---------------------------------------------------------------------------------

LAST = "GET /open/last HTTP/1.1\r\n" + HOST + "Connection: close\r\n\r\n"
WHOLE = "5\r\nhello\r\n0\r\n\r\n"
PASSES = {
    "an empty line before": "\r\n" + get(""),
    "no white space": post("Content-Length:5\r\n"),
    "white space": post("Content-Length: \t 5\r\nX-A: \t b \t\r\n"),
    "zeros before": post("Content-Length: 0000000000000000000000005\r\n"),
    "another case": post("CONTENT-LENGTH: 5\r\n"),
    "a request as body": post("Content-Length: {len}\r\n", SMUGGLED),
    "body of GET": get("Content-Length: {len}\r\n") + SMUGGLED,
    "body of DELETE": "DELETE /open/first HTTP/1.1\r\n" + HOST + "Content-Length: {len}\r\n\r\n" + SMUGGLED,
    "chunked": post(CHUNKED, WHOLE),
    "chunked in capitals": post("TRANSFER-ENCODING: CHUNKED\r\n", WHOLE),
    "chunked GET": get(CHUNKED) + WHOLE,
    "a request as chunk": post(CHUNKED, "{len_hex}\r\n" + SMUGGLED + "\r\n0\r\n\r\n"),
    "zeros before a chunk": post(CHUNKED, "0000000005\r\nhello\r\n00\r\n\r\n"),
    "trailers": post(CHUNKED, "5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"),
    "trailers that frame": post(CHUNKED, "5\r\nhello\r\n0\r\nContent-Length: 50\r\n" + CHUNKED + "\r\n"),
    "trailers that route": post(CHUNKED, "5\r\nhello\r\n0\r\nHost: evil.test\r\nAuthorization: Bearer smuggled\r\n\r\n"),
    "TE is no coding": get("TE: chunked\r\nConnection: TE\r\n"),
    "announced trailer": post(CHUNKED + "Trailer: Content-Length\r\n", WHOLE),
    "length named away": post("Connection: Content-Length\r\nContent-Length: 5\r\n"),
    "coding named away": post("Connection: Transfer-Encoding\r\n" + CHUNKED, WHOLE),
    "Host named away": get("Connection: Host\r\n"),
    "almost a coding": get("Transfer-Encodin: chunked\r\nX-Transfer-Encoding: chunked\r\n"),
    "expectation": post("Content-Length: 5\r\nExpect: 100-continue\r\n"),
    "expectation without a body": get("Expect: 100-continue\r\n"),
    "expectation, chunked": post(CHUNKED + "Expect: 100-continue\r\n", WHOLE),
    "HTTP/1.0": "POST /open/first HTTP/1.0\r\n" + HOST + "Content-Length: 5\r\n\r\nhello",
    "absolute-form, another Host": "GET http://{upstream}/open/first HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "h2c": get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
    "fields for others": get("X-Forwarded-Host: evil.test\r\nX-Original-URL: /open/smuggled\r\n"),
    "obs-text and tabs": get("X-A: \xe9\ta\t b\r\n"),
    "a field of 8 KiB": get("X-A: " + "a" * 8000 + "\r\n"),
}


def passing(name, daemon, upstream):
    """The request and, behind it, one that may follow."""
    inner = bytes_of(SMUGGLED, daemon)
    text = PASSES[name].replace("{len}", str(len(inner))).replace("{len_hex}", f"{len(inner):x}")
    return bytes_of(text.replace("{upstream}", upstream.authority), daemon), bytes_of(LAST, daemon)


def check_passed(answer, seen, raw):
    wanted = first_request(raw.lstrip(b"\r\n"))
    assert set(statuses(answer)) <= {100, 200}
    assert [request.target for request in seen.all()] in (["/open/first"], ["/open/first", "/open/last"])
    first = seen.requests[0]
    assert (first.method, first.target, first.body) == (wanted.method, "/open/first", wanted.body)
    assert first.get_all("Host") == [seen.authority] and first.version == "1.1"
    assert first.get_all("Authorization") == ["Bearer abc"]
    assert len(first.get_all("Content-Length") + first.get_all("Transfer-Encoding")) == bool(wanted.body)


@pytest.mark.parametrize("name", PASSES)
def test_what_passes_is_read_alike_by_a_strict_parser(daemon, seen, name):
    raw, last = passing(name, daemon, seen)
    check_passed(talk(daemon, raw + last), seen, raw)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_chunk_extensions_are_ignored_or_refused(daemon, seen, one_by_one):
    """Refused by libmicrohttpd 1.0.1, which knows none."""
    raw = bytes_of(post(CHUNKED, '5;a;b=c;d="e f"\r\nhello\r\n0;x=y\r\n\r\n'), daemon)
    answer = talk(daemon, raw + bytes_of(LAST, daemon), one_by_one)
    if "libmicrohttpd 1.0.1" in run("version").stdout:
        assert set(statuses(answer)) <= {400} and seen.requests == []
    else:
        check_passed(answer, seen, raw)


def test_pipelined_requests_pass_in_order(daemon, seen):
    """So that the absence of a second request elsewhere shows something."""
    raw = bytes_of("".join(f"GET /open/{i} HTTP/1.1\r\n" + HOST + "\r\n" for i in range(5)) + LAST, daemon)
    answer = talk(daemon, raw)
    assert statuses(answer) == [200] * 6 and re.findall(rb"\r\n\r\n(\d+)", answer) == [b"%d" % i for i in range(1, 7)]
    assert [request.target for request in seen.requests] == [f"/open/{i}" for i in range(5)] + ["/open/last"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_a_body_is_never_read_as_a_request(daemon, seen, method):
    inner = bytes_of(SMUGGLED, daemon)
    with daemon.client() as client:
        assert client.ask(method, "/open/first", body=inner).status == 200
        assert client.ask("GET", "/open/second").status == 200
    assert [request.target for request in seen.requests] == ["/open/first", "/open/second"]
    assert seen.requests[0].body == inner


# -- answers before the body, other protocols ------------------------------------------------------

BEFORE_THE_BODY = [
    "POST /closed HTTP/1.1\r\n" + HOST + "Content-Length: {len}\r\n\r\n" + SMUGGLED,
    "POST /closed HTTP/1.1\r\n" + HOST + "Content-Length: 5\r\n\r\nhello",
    "POST /closed HTTP/1.1\r\n" + HOST + CHUNKED + "\r\n{len_hex}\r\n" + SMUGGLED + "\r\n0\r\n\r\n",
    "POST /closed HTTP/1.1\r\n" + HOST + CHUNKED + "\r\nzz\r\n",
    "POST /closed HTTP/1.1\r\n" + HOST + "Content-Length: {len}\r\nExpect: 100-continue\r\n\r\n" + SMUGGLED,
    "POST /closed HTTP/1.1\r\n" + HOST + CHUNKED + "Expect: 100-continue\r\n\r\n{len_hex}\r\n" + SMUGGLED + "\r\n0\r\n\r\n",
    "POST /closed HTTP/1.1\r\n" + HOST + "Content-Length: 9000000\r\n\r\n" + SMUGGLED,
    "TRACE /open/first HTTP/1.1\r\n" + HOST + "Content-Length: {len}\r\n\r\n" + SMUGGLED,
    "POST /open/%00 HTTP/1.1\r\n" + HOST + "Content-Length: {len}\r\n\r\n" + SMUGGLED,
    "POST /open/first HTTP/1.1\r\nHost: evil.test\r\nContent-Length: {len}\r\n\r\n" + SMUGGLED,
    "POST /open/first HTTP/1.1\r\n" + HOST + "Origin: https://evil.test\r\nContent-Length: {len}\r\n\r\n" + SMUGGLED,
]


@pytest.mark.parametrize("text", BEFORE_THE_BODY, ids=lambda text: repr(text.replace(HOST, "")[:70]))
def test_bodies_of_refused_requests_are_no_requests(daemon, seen, text):
    inner = bytes_of(SMUGGLED, daemon)
    text = text.replace("{len}", str(len(inner))).replace("{len_hex}", f"{len(inner):x}")
    answer = talk(daemon, bytes_of(text + LAST, daemon)) if "9000000" not in text else talk_short(daemon, text)
    assert 400 <= [code for code in statuses(answer) if code >= 200][0] < 600
    assert daemon.ask(target="/open/after").status == 200
    targets = [request.target for request in seen.all()]
    assert targets[-1] == "/open/after" and set(targets[:-1]) <= {"/open/last"} and len(targets) <= 2


def talk_short(daemon, text):
    """The body never comes: the answer does, and it says that it is the last one."""
    with daemon.client() as client:
        client.send(bytes_of(text, daemon))
        answer = client.read_until(b"\r\n\r\n")
        assert re.search(rb"\r\nConnection: close\r\n", answer, re.I)
        return answer


@pytest.mark.parametrize(
    "head",
    [
        "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
        "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\nContent-Length: 0\r\n\r\n",
        "CONNECT /open/first HTTP/1.1\r\n" + HOST + "\r\n",
        "OPTIONS /closed HTTP/1.1\r\n" + HOST + "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n",
        "GET /closed HTTP/1.1\r\n" + HOST + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=lambda head: repr(head.split("\r\n")[0] + head[-30:]),
)
def test_HS14_bytes_behind_connect_or_upgrade_are_no_request(daemon, seen, head):
    answer = talk(daemon, bytes_of(head + SMUGGLED, daemon))
    assert len(statuses(answer)) == 1 and 400 <= statuses(answer)[0] < 600
    assert daemon.ask(target="/open/after").status == 200
    assert [request.target for request in seen.all()] == ["/open/after"]


# -- byte by byte --------------------------------------------------------------------------------

SAMPLE = LENGTHS[::6] + CODINGS[::6] + FIELDS[::4]


@pytest.mark.parametrize("fields", SAMPLE, ids=repr)
def test_ambiguous_heads_in_single_bytes(daemon, seen, fields):
    answer = talk(daemon, bytes_of(post(fields, SMUGGLED), daemon), one_by_one=True)
    check_refused(answer, {400, 413, 501})
    assert seen.all() == []


@pytest.mark.parametrize("body", BROKEN_CHUNKS[::4] + LOOSE_CHUNKS[::5], ids=repr)
def test_broken_chunks_in_single_bytes(daemon, seen, body):
    talk(daemon, bytes_of(post(CHUNKED, body + SMUGGLED), daemon), one_by_one=True)
    assert daemon.ask(target="/open/after").status == 200
    assert [request.target for request in seen.requests if request.target != "/open/first"] == ["/open/after"]


@pytest.mark.parametrize("name", list(PASSES)[::3])
def test_what_passes_passes_in_single_bytes(daemon, seen, name):
    raw, last = passing(name, daemon, seen)
    check_passed(talk(daemon, raw + last, one_by_one=len(raw) < 2000), seen, raw)
