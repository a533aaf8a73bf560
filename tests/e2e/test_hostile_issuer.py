# SPDX-License-Identifier: MIT
"""T-14: an authorization server that means harm, or has gone mad. Each row is one answer; each is given to a slot of its
own, all at once; what must follow is the same for all: nothing of it is sent upstream, the client is told soon, memory
stays small, nobody is asked in haste, and the slot gets its token once the server is sane."""
import concurrent.futures
import gzip
import json
import threading
import time
import urllib.parse

import pytest
from kit.process import wait_until
from kit.scripted import send_json, token_answer

GOOD = '{"access_token": "evil", "token_type": "Bearer", "expires_in": 3600}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TIME_LIMIT_S = 3
ELSEWHERE = threading.Event()


def raw(data):
    """These bytes, and the end of the connection."""

    def send(exchange):
        exchange.read_body()
        exchange.send(data)
        exchange.close()

    return send


def body(data, status="200 OK", fields=(("Content-Type", "application/json"),)):
    return lambda exchange: exchange.answer(status, data if isinstance(data, bytes) else data.encode(), fields)


def member(name, value):
    """A good answer but for one member, given as JSON text; None leaves it out."""
    parts = {"access_token": '"evil"', "token_type": '"Bearer"', "expires_in": "3600", name: value}
    return body("{" + ", ".join(f'"{key}": {text}' for key, text in parts.items() if text is not None) + "}")


def endless(head, piece, pause_s=0.0):
    """Until the other side has had enough."""

    def send(exchange):
        exchange.read_body()
        exchange.send(head)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            exchange.send(piece)
            if pause_s:
                time.sleep(pause_s)

    return send


def reset(exchange):
    exchange.read_body()
    exchange.send(HEAD + b"Content-Length: 500\r\n\r\n" + GOOD.encode())
    exchange.reset()


def to_itself(exchange):
    exchange.answer("301 Moved Permanently", fields=[("Location", exchange.request.target)])


def to_elsewhere(exchange):
    """Followed, it would be asked again, with the secret, and note that."""
    exchange.answer("307 Temporary Redirect", fields=[("Location", f"http://localhost:{exchange.server.port}/elsewhere")])


def nested(depth, opening, closing):
    return GOOD[:-1] + ', "x": ' + opening * depth + closing * depth + "}"


MIB = b"x" * (1 << 20)
LENGTH = b"Content-Length: %d\r\n\r\n" % len(GOOD)
ROWS = {
    # framing and size
    "nothing": raw(b""),
    "garbage": raw(b"\x16\x03\x01\x02\x00garbage\r\n\r\n"),
    "HTTP/0.9": raw(GOOD.encode()),
    "no status": raw(b"HTTP/1.1 \r\n\r\n" + GOOD.encode()),
    "cut in the head": raw(HEAD[:30]),
    "cut in the body": raw(HEAD + b"Content-Length: 5000\r\n\r\n" + GOOD.encode()),
    "cut in the chunks": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s" % (len(GOOD), GOOD.encode())),
    "bad chunk size": raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + GOOD.encode() + b"\r\n0\r\n\r\n"),
    "reset in the body": reset,
    "a gigabyte": endless(HEAD + b"Content-Length: 1073741824\r\n\r\n", MIB),
    "no end": endless(HEAD + b"\r\n", MIB),
    "chunks without end": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + MIB + b"\r\n"),
    "blanks without end": endless(HEAD + b"\r\n", b" " * 65536),
    "a byte at a time": endless(HEAD + b"Content-Length: 500\r\n\r\n", b"{", 0.2),
    "a head byte at a time": endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.2),
    "100 Continue without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "103 without end": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100),
    "100,000 fields": raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100000 + LENGTH + GOOD.encode()),
    "a field of a megabyte": raw(b"HTTP/1.1 200 OK\r\nX-A: " + MIB + b"\r\n" + LENGTH + GOOD.encode()),
    "fields without end": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000),
    "101": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + GOOD.encode()),
    # status
    "201": body(GOOD, "201 Created"),
    "204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "206": body(GOOD, "206 Partial Content"),
    "301 to itself": to_itself,
    "307 to elsewhere": to_elsewhere,
    "304": raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    # encoding and type
    "gzip bomb": body(gzip.compress(b" " * (64 << 20)), fields=[("Content-Type", "application/json"), ("Content-Encoding", "gzip")]),
    "gzip": body(gzip.compress(GOOD.encode()), fields=[("Content-Type", "application/json"), ("Content-Encoding", "gzip")]),
    "gzip unsaid": body(gzip.compress(GOOD.encode())),
    "BOM": body(b"\xef\xbb\xbf" + GOOD.encode()),
    "UTF-16": body(GOOD.encode("utf-16")),
    "HTML": body("<html>" + GOOD, fields=[("Content-Type", "text/html")]),
    "JSON as text": body(GOOD, fields=[("Content-Type", "text/plain")]),
    "no type": body(GOOD, fields=[]),
    # JSON
    "empty": body(""),
    "array": body(f"[{GOOD}]"),
    "two documents": body(GOOD + GOOD),
    "bytes behind it": body(GOOD + "x"),
    "a comma behind": body(GOOD[:-1] + ",}"),
    "a comment": body("/* */" + GOOD),
    "single quotes": body(GOOD.replace('"', "'")),
    "not closed": body(GOOD[:-1]),
    "17 levels": body(nested(17, "[", "]")),
    "30,000 levels": body(nested(15000, "[", "]")),
    "30,000 objects": body(nested(6000, '{"a":', "}").replace(":}", ":1}", 1)),
    "twice access_token": body('{"access_token": "good?", ' + GOOD[1:]),
    "twice token_type": body('{"token_type": "mac", ' + GOOD[1:]),
    "twice something else": body('{"x": 1, "x": 2, ' + GOOD[1:]),
    "NaN": member("x", "NaN"),
    "1e309": member("expires_in", "1e309"),
    "a lone surrogate": member("x", '"\\ud800"'),
    "bad UTF-8": body(GOOD.replace("evil", "ev\xff").encode("latin-1")),
    "a control character": body(GOOD.replace("evil", "ev\x01il")),
    # members
    "no access_token": member("access_token", None),
    "null": member("access_token", "null"),
    "a number": member("access_token", "12345678"),
    "an array": member("access_token", '["evil"]'),
    "an empty one": member("access_token", '""'),
    "CR LF": member("access_token", '"evil\\r\\nX-Evil: yes"'),
    "NUL": member("access_token", '"evil\\u0000"'),
    "a blank": member("access_token", '"evil token"'),
    "a comma": member("access_token", '"evil,Basic"'),
    "a quote": member("access_token", '"evil\\""'),
    "not ASCII": member("access_token", '"\\u00e9vil"'),
    "larger than a field may be": member("access_token", json.dumps("e" * 66000)),
    "no type at all": member("token_type", None),
    "type mac": member("token_type", '"mac"'),
    "type 7": member("token_type", "7"),
    "type null": member("token_type", "null"),
    "type with a line end": member("token_type", '"Bearer\\r\\n"'),
}


class Mad:
    """Bad first, then good: by the scope that is asked for, which is the number of a row."""

    def __init__(self, scripted):
        self.asked = {number: [] for number in range(len(ROWS))}
        self.bad = list(ROWS.values())
        self.server = scripted(on=self.on)

    def on(self, exchange):
        form = dict(urllib.parse.parse_qsl(exchange.read_body().decode()))
        if exchange.request.target == "/elsewhere":
            ELSEWHERE.set()
        number = int(form["scope"].removeprefix("row"))
        self.asked[number].append(time.monotonic())
        if len(self.asked[number]) > 1:
            send_json(exchange, token_answer(f"sane-{number}"))
        else:
            self.bad[number](exchange)


def all_at_once(daemon):
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        return list(pool.map(lambda number: daemon.ask(target=f"/{number}"), range(len(ROWS))))


@pytest.fixture
def mad(start, release, scripted, upstream):
    """(daemon, server): a route and a slot for each row."""
    ELSEWHERE.clear()
    server = Mad(scripted)
    text = f"[credential main]\ntoken_url = {server.server.url}/token\nclient_id = c\nclient_secret = s3cr3t\ntimeout = {TIME_LIMIT_S}s\n"
    text += f"[upstream api]\nurl = {upstream.url}\n"
    text += "".join(f"[route r{number}]\nmatch = /{number}\nscopes = row{number}\n" for number in range(len(ROWS)))
    return lambda binary=None: (start(text, "header_limit = 64k", binary=binary), server)


def test_T14_hostile_answers_do_no_harm(mad, upstream):
    daemon, server = mad()
    answers = all_at_once(daemon)
    for name, answer in zip(ROWS, answers):
        assert answer.kind in ("token-malformed", "token-timeout", "token-unreachable", "token-unavailable"), (name, answer.text)
        assert b"evil" not in answer.body and answer.get("X-Evil") is None, name
    assert upstream.requests == []
    assert not ELSEWHERE.is_set()
    assert [name for name, times in zip(ROWS, server.asked.values()) if len(times) != 1] == []
    # One by one they get well: the next answer is used, and was not asked for at once.
    for number, name in enumerate(ROWS):
        wait_until(lambda: daemon.ask(target=f"/{number}").status == 200, 20, f"a token after: {name}")
        assert upstream.last.token == f"sane-{number}", name
        first, second = server.asked[number]
        assert second - first > 0.7, name
    assert {token[:5] for token in upstream.tokens()} == {"sane-"}


def test_T14_hostile_answers_take_no_memory(mad, release):
    daemon, _ = mad(release)
    assert daemon.ask(target="/0").status >= 500
    before = daemon.memory_peak_kib()
    all_at_once(daemon)
    # Up to 64 KiB of each body, and what libcurl needs for so many connections at once.
    assert daemon.memory_peak_kib() - before < 24 * 1024
