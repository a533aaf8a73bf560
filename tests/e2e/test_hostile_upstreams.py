# SPDX-License-Identifier: MIT
"""T-15, T-7: an upstream that answers so that two readers would see different messages, or that does not stop. Each row
is what it sends, byte for byte. The client gets 502, or a broken body where the head had gone through already; never
a second answer, never somebody else's. Then the next request, on a fresh connection, gets its own answer, and not over
the connection that was misused."""
import pytest
from conftest import one_route
from kit.raw import Broken

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SECOND = OK + b"Content-Length: 4\r\n\r\nEVIL"
ZERO = b"Content-Length: 0\r\n\r\n"
SETTINGS_FRAME = bytes.fromhex("00000c040000000000000300000064000400010000")

MALFORMED = {  # heads: 502 upstream-malformed
    # one length, and one way to tell it
    "two lengths": OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "two equal lengths": OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": OK + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a list of unequal lengths": OK + b"Content-Length: 4, 5\r\n\r\nabcde",
    "length with a sign": OK + b"Content-Length: +4\r\n\r\nabcd",
    "negative length": OK + b"Content-Length: -4\r\n\r\nabcd",
    "hexadecimal length": OK + b"Content-Length: 0x4\r\n\r\nabcd",
    "length with a space in it": OK + b"Content-Length: 4 4\r\n\r\nabcd",
    "empty length": OK + b"Content-Length:\r\n\r\nabcd",
    "length beyond 64 bits": OK + b"Content-Length: 18446744073709551620\r\n\r\nabcd",
    "length of 2^63": OK + b"Content-Length: 9223372036854775808\r\n\r\nabcd",
    "length, then chunked": OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked, then length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SECOND,
    "length and identity": OK + b"Content-Length: 4\r\nTransfer-Encoding: identity\r\n\r\nabcd",
    "gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, gzip": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice in a list": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then identity": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "xchunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with a parameter": OK + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "chunked in quotes": OK + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "empty transfer coding": OK + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # lines
    "bare LF behind the status line": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "bare LF behind a field": OK + b"X-A: b\nX-B: c\r\n" + ZERO,
    "bare LF at the end": OK + b"Content-Length: 0\r\n\n",
    "bare CR in a value": OK + b"X-A: b\rContent-Length: 4\r\n" + ZERO,
    "bare CR in the status line": b"HTTP/1.1 200 O\rK\r\n" + ZERO,
    "CR CR LF": OK + b"X-A: b\r\r\n" + ZERO,
    "folded with a space": OK + b"X-A: b\r\n Content-Length: 4\r\n" + ZERO,
    "folded with a tab": OK + b"X-A: b\r\n\tc\r\n" + ZERO,
    "white space before the first field": OK + b" X-A: b\r\n" + ZERO,
    "space before the colon": OK + b"Content-Length : 4\r\n\r\nabcd",
    "tab before the colon": OK + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "space in a name": OK + b"X A: b\r\n" + ZERO,
    "no name": OK + b": b\r\n" + ZERO,
    "no colon": OK + b"X-A\r\n" + ZERO,
    "NUL in a value": OK + b"X-A: b\0c\r\n" + ZERO,
    "NUL in a name": OK + b"X\0A: b\r\n" + ZERO,
    "NUL in the status line": b"HTTP/1.1 200 O\0K\r\n" + ZERO,
    "a control character in a value": OK + b"X-A: b\x01c\r\n" + ZERO,
    "DEL in a value": OK + b"X-A: b\x7fc\r\n" + ZERO,
    "a byte beyond ASCII in a name": OK + b"X-\xc3\xa4: b\r\n" + ZERO,
    "brackets in a name": OK + b"X(A): b\r\n" + ZERO,
    "129 fields": OK + b"".join(b"X-%d: y\r\n" % i for i in range(128)) + ZERO,
    "300 fields": OK + b"".join(b"X-%d: y\r\n" % i for i in range(300)) + ZERO,
    # the status line
    "HTTP/0.9": b"<html>hello</html>\r\n",
    "a line break first": b"\r\n" + SECOND,
    "the frames of HTTP/2": SETTINGS_FRAME,
    "HTTP/2 in words": b"HTTP/2 200 OK\r\n" + ZERO,
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n" + ZERO,
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + ZERO,
    "HTTP/01.1": b"HTTP/01.1 200 OK\r\n" + ZERO,
    "http in small letters": b"http/1.1 200 OK\r\n" + ZERO,
    "two spaces": b"HTTP/1.1  200 OK\r\n" + ZERO,
    "status of two digits": b"HTTP/1.1 20 OK\r\n" + ZERO,
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + ZERO,
    "status 099": b"HTTP/1.1 099 OK\r\n" + ZERO,
    "status 600": b"HTTP/1.1 600 OK\r\n" + ZERO,
    "negative status": b"HTTP/1.1 -20 OK\r\n" + ZERO,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a TLS alert": bytes.fromhex("15030300020228"),
    # interim responses
    "a flood of 100": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "a flood of 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 21 + SECOND,
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + SECOND,
    "an interim response with content": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nabcd" + SECOND,
    "an interim response in chunks": b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "a malformed answer behind an interim one": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nX A: b\r\n\r\n",
}
TOO_LARGE = {  # 502 upstream-head-too-large
    "one field of 1 MiB": OK + b"X-A: " + b"b" * (1 << 20) + b"\r\n" + ZERO,
    "a field that does not end": OK + b"X-A: " + b"b" * 40_000,
    "a status line of 1 MiB": b"HTTP/1.1 200 " + b"O" * (1 << 20) + b"\r\n" + ZERO,
    "fields of 20 KiB": OK + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 200) for i in range(100)) + ZERO,
}
CUT = {  # closed within the head: 502 upstream-closed
    "nothing": b"",
    "half a status line": b"HTTP/1.1 2",
    "a head without its end": OK + b"Content-Length: 0\r\n",
    "an interim response only": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}
BROKEN = {  # bodies: the client must see that it is not the whole
    "a size that is none": CHUNKED + b"x\r\nabcd\r\n0\r\n\r\n",
    "an empty size": CHUNKED + b"\r\nabcd\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-4\r\nabcd\r\n0\r\n\r\n",
    "a size with a sign": CHUNKED + b"+4\r\nabcd\r\n0\r\n\r\n",
    "a size with 0x": CHUNKED + b"0x4\r\nabcd\r\n0\r\n\r\n",
    "a size beyond 64 bits": CHUNKED + b"10000000000000004\r\nabcd\r\n0\r\n\r\n",
    "a size of 2^63": CHUNKED + b"8000000000000000\r\nabcd\r\n0\r\n\r\n",
    "a size of 100 zeros": CHUNKED + b"0" * 100 + b"4\r\nabcd\r\n0\r\n\r\n",
    "white space before a size": CHUNKED + b" 4\r\nabcd\r\n0\r\n\r\n",
    "a size line that ends with LF": CHUNKED + b"4\nabcd\r\n0\r\n\r\n",
    "a size line that ends with CR": CHUNKED + b"4\rabcd\r\n0\r\n\r\n",
    "a size too small": CHUNKED + b"2\r\nabcd\r\n0\r\n\r\n",
    "a size too large": CHUNKED + b"5\r\nabcd\r\n0\r\n\r\n",
    "no line break behind the data": CHUNKED + b"4\r\nabcd0\r\n\r\n",
    "LF behind the data": CHUNKED + b"4\r\nabcd\n0\r\n\r\n",
    "an extension of 5 KiB": CHUNKED + b"4;" + b"x" * 5000 + b"\r\nabcd\r\n0\r\n\r\n",
    "many extensions": CHUNKED + (b"1;" + b"x" * 90 + b"\r\na\r\n") * 100 + b"0\r\n\r\n",
    "NUL in an extension": CHUNKED + b"4;a\0b\r\nabcd\r\n0\r\n\r\n",
    "a malformed trailer": CHUNKED + b"4\r\nabcd\r\n0\r\nX A: b\r\n\r\n",
    "a folded trailer": CHUNKED + b"4\r\nabcd\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailers of 20 KiB": CHUNKED + b"4\r\nabcd\r\n0\r\n" + b"X-A: bbbbbbbb\r\n" * 1500 + b"\r\n",
    "HTTP behind a chunk": CHUNKED + b"4\r\nabcd\r\n" + SECOND,
}
ENDED = {  # the same, where it takes the end of the connection to tell
    "no last chunk": CHUNKED + b"4\r\nabcd\r\n",
    "a last chunk without its end": CHUNKED + b"4\r\nabcd\r\n0\r\n",
    "cut within a chunk": CHUNKED + b"8\r\nabcd",
    "cut within a size": CHUNKED + b"4\r\nabcd\r\n1",
    "fewer bytes than announced": OK + b"Content-Length: 8\r\n\r\nabcd",
}
SURPLUS = {  # a sound answer, and then something: (method, what, the body)
    "another answer": ("GET", OK + b"Content-Length: 2\r\n\r\nok" + SECOND, b"ok"),
    "another answer behind the last chunk": ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + SECOND, b"ok"),
    "one byte more": ("GET", OK + b"Content-Length: 2\r\n\r\nok!", b"ok"),
    "a line break more": ("GET", OK + b"Content-Length: 2\r\n\r\nok\r\n", b"ok"),
    "a body in the answer to HEAD": ("HEAD", OK + b"Content-Length: 4\r\n\r\nEVIL", b""),
    "another answer to HEAD": ("HEAD", OK + ZERO + SECOND, b""),
    "a 204 with content": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nEVIL", b""),
    "a 204 in chunks": ("GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n", b""),
    "a 204 and another answer": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n" + SECOND, b""),
    "a 304 with content": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nEVIL", b""),
}


@pytest.fixture
def hostile(start, auth, scripted, certs):
    """hostile(raw, …): a bearerd before an upstream that sends this once; then it echoes the target."""

    def make(raw, ends=False, tls=False):
        server = scripted(certs=certs if tls else None)

        def once(exchange):
            server.on = lambda later: later.answer(body=later.request.target.encode())
            exchange.read_body()
            if raw:
                exchange.send(raw)
            exchange.close() if ends else exchange.wait_unused()

        server.on = once
        lines = f"ca_file = {certs.ca}" if tls else ""
        return start(one_route(auth.credential(), server.url, upstream=lines), "workers = 1"), server

    return make


def is_sound_afterwards(daemon, server):
    for number in range(2):
        answer = daemon.ask(target=f"/afterwards/{number}")
        assert (answer.status, answer.text) == (200, f"/afterwards/{number}")
    assert [request.connection for request in server.requests] == [1, 2, 2]
    return True


@pytest.mark.parametrize("name", MALFORMED)
def test_heads_that_are_malformed(hostile, name):
    daemon, server = hostile(MALFORMED[name])
    refused = daemon.ask(target="/first")
    assert (refused.status, refused.kind) == (502, "upstream-malformed")
    assert b"EVIL" not in refused.body and is_sound_afterwards(daemon, server)


@pytest.mark.parametrize("name", TOO_LARGE)
def test_heads_that_are_too_large(hostile, name):
    daemon, server = hostile(TOO_LARGE[name])
    refused = daemon.ask(target="/first")
    assert (refused.status, refused.kind) == (502, "upstream-head-too-large")
    assert is_sound_afterwards(daemon, server)


BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@BOTH
@pytest.mark.parametrize("name", CUT)
def test_heads_that_end_too_early(hostile, name, tls):
    daemon, server = hostile(CUT[name], ends=True, tls=tls)
    refused = daemon.ask(target="/first")
    assert (refused.status, refused.kind) == (502, "upstream-closed")
    assert is_sound_afterwards(daemon, server)


def is_broken(daemon, target):
    with daemon.client() as client:
        client.request(target=target)
        with pytest.raises(Broken) as broken:
            client.response()
    response = getattr(broken.value, "response", None)
    return response is None or response.status == 200


@pytest.mark.parametrize("name", BROKEN)
def test_bodies_that_are_malformed(hostile, name):
    daemon, server = hostile(BROKEN[name])
    assert is_broken(daemon, "/first") and is_sound_afterwards(daemon, server)


@BOTH
@pytest.mark.parametrize("name", ENDED)
def test_bodies_that_end_too_early(hostile, name, tls):
    daemon, server = hostile(ENDED[name], ends=True, tls=tls)
    assert is_broken(daemon, "/first") and is_sound_afterwards(daemon, server)


@BOTH
@pytest.mark.parametrize("name", SURPLUS)
def test_what_comes_behind_an_answer_is_nobodys(hostile, name, tls):
    method, raw, body = SURPLUS[name]
    daemon, server = hostile(raw, tls=tls)
    with daemon.client() as client:
        client.request(method, "/first")
        answer = client.response(method)
        assert answer.status == int(raw[9:12]) and answer.body == body
        if answer.get("Connection") != "close":
            assert client.ask(target="/second").text == "/second"
            server.requests.pop()
    assert is_sound_afterwards(daemon, server)


def test_the_table_is_large_enough():
    assert len(MALFORMED) + len(TOO_LARGE) + len(CUT) + len(BROKEN) + len(ENDED) + len(SURPLUS) >= 100


@pytest.mark.parametrize("name", ["two lengths", "chunked, then length", "folded with a space", "bare CR in a value"])
def test_a_malformed_answer_byte_by_byte(simple, upstream, name):
    """However it is cut into pieces, it is refused."""

    def slowly(exchange):
        for byte in MALFORMED[name]:
            exchange.send(bytes([byte]))
        exchange.wait_peer_closed()

    upstream.on = slowly
    refused = simple().ask()
    assert (refused.status, refused.kind) == (502, "upstream-malformed")


def test_a_malformed_answer_on_a_connection_that_was_used_before(simple, upstream):
    """Nor is it a reason to send the request once more."""

    def later(exchange):
        if exchange.request.target == "/first":
            exchange.answer(body=b"fine")
        else:
            exchange.send(MALFORMED["two lengths"])
            exchange.wait_peer_closed()

    upstream.on = later
    daemon = simple("workers = 1")
    assert daemon.ask(target="/first").body == b"fine"
    assert daemon.ask(target="/second").kind == "upstream-malformed"
    assert [request.connection for request in upstream.requests] == [1, 1]
