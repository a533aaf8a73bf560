# SPDX-License-Identifier: MIT
"""Fields behind a body: passed on as such, both ways, but for those that would change what a message is."""
import pytest
from conftest import one_route
from kit.raw import RawClient

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
FORBIDDEN = [
    "Transfer-Encoding: chunked", "Content-Length: 5", "content_length: 5", "Trailer: X", "TE: trailers", "Connection: close",
    "Keep-Alive: x", "Upgrade: x", "Host: evil.example.test", "Via: 1.1 x", "Forwarded: for=1.2.3.4", "X-Forwarded-Host: e",
    "X_Forwarded_For: 1.2.3.4", "Max-Forwards: 1", "Authorization: Bearer canary", "authorization: canary", "Cookie: a=b",
    "Set-Cookie: a=b", "WWW-Authenticate: Basic", "Proxy-Authorization: Basic x", "Proxy-Status: x", "Content-Type: a/b",
    "Content-Encoding: gzip", "Content-Range: bytes 0-1/2", "Cache-Control: no-store", "If-Match: x", "Range: bytes=0-1",
    "Expect: 100-continue", "Location: /x", "Date: x", "Age: 1", "Vary: *", "X-Bearerd-Key: canary", "X-HTTP-Method-Override: DELETE",
]  # fmt: skip


def trailers_of(connection):
    """Reads a chunked body at a scripted upstream; its trailer lines."""
    while size := int(connection.until(b"\r\n").split(b";")[0], 16):
        connection.exactly(size + 2)
    lines = []
    while (line := connection.until(b"\r\n")) != b"\r\n":
        lines.append(line[:-2].decode("latin-1"))
    return lines


@pytest.fixture
def sent(simple, upstream):
    """sent(lines…): a chunked request with these trailer lines; the upstream's, and what the client got."""

    def make(*lines, fields=(), route="", pieces=None):
        seen = []

        def handler(exchange):
            seen.append(trailers_of(exchange.connection))
            exchange.request.body = b""
            exchange.answer()

        upstream.on = handler
        with simple(route=route).client() as client:
            client.send(client.head("POST", fields=["Transfer-Encoding: chunked", *fields]))
            tail = "3\r\nabc\r\n0\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
            for piece in pieces(tail) if pieces else [tail]:
                client.send(piece)
            answer = client.response("POST")
        return answer, seen[0] if seen else None

    return make


def test_HS15_request_trailers_go_on_as_trailers(sent, upstream):
    lines = ["X-Checksum: 1234", "X-Sum: a", "x-sum:   b  ", "Content-Digest: sha-256=:x:", "Empty:"]
    answer, seen = sent(*lines, fields=["Trailer: X-Checksum, X-Sum", "Trailer: Content-Length", "TE: trailers, deflate;q=0.5"])
    assert answer.status == 200
    assert seen == ["X-Checksum: 1234", "X-Sum: a", "x-sum: b", "Content-Digest: sha-256=:x:", "Empty: "]
    assert upstream.last.get("X-Checksum") is None
    assert upstream.last.get("Trailer") == "X-Checksum, X-Sum"
    assert upstream.last.get("TE") == "trailers" and upstream.last.get("Connection") == "TE"


def test_HS15_those_that_must_not_be_trailers_are_dropped(sent):
    answer, seen = sent("X-Before: 1", *FORBIDDEN, "X-After: 2")
    assert answer.status == 200 and seen == ["X-Before: 1", "X-After: 2"]


def test_HS15_as_are_those_that_a_head_would_lose(sent):
    """What Connection names, what the route sets or removes, and the credential's own field in any spelling."""
    route = "set_header = X-Fixed: ours\nremove_header = X-Removed"
    answer, seen = sent("X-Hop: 1", "X-Fixed: 2", "X_Removed: 3", "X-Kept: 4", fields=["Connection: x-hop"], route=route)
    assert answer.status == 200 and seen == ["X-Kept: 4"]


def test_HS15_a_credential_s_own_field(start, scripted, auth):
    seen = []

    def handler(exchange):
        seen.append(trailers_of(exchange.connection))
        exchange.request.body = b""
        exchange.answer()

    server = scripted(handler)
    with start(one_route(auth.credential(header="X-Session-Token"), server.url)).client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]))
        client.send("0\r\nX-Session-Token: canary\r\nx_session_token: canary\r\nX-Other: 1\r\n\r\n")
        assert client.response("POST").status == 200
    assert seen == [["X-Other: 1"]]


@pytest.mark.parametrize("step", [1, 7])
def test_trailers_in_pieces(sent, step):
    lines = [f"X-{i}: {'v' * i}" for i in range(40)]
    answer, seen = sent(*lines, pieces=lambda tail: [tail[i : i + step] for i in range(0, len(tail), step)])
    assert answer.status == 200 and seen == lines


def test_many_trailers(sent):
    lines = [f"X-{i}: {'v' * 50}" for i in range(100)]
    answer, seen = sent(*lines)
    assert answer.status == 200 and seen == lines


@pytest.mark.parametrize(
    "lines",
    [
        ["X-A: b", " folded"], ["X-A: b", "\tfolded"], ["X A: b"], ["X-A : b"], [": b"], ["X-A: b\0c"], ["X-A: b\rc"], ["X(a): b"],
        ["X-A: \x7f"], ["X-A: b\nX-B: c"], ["no colon"], ["X-Ok: 1", "X-\x80: b"],
    ],  # fmt: skip
    ids=repr,
)
def test_malformed_trailers_never_make_a_whole_request(simple, upstream, lines):
    whole = []

    def handler(exchange):
        if exchange.request.method == "POST":
            whole.append(trailers_of(exchange.connection))
        exchange.request.body = b""
        exchange.answer()

    upstream.on = handler
    daemon = simple()
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]))
        client.send("3\r\nabc\r\n0\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n" + client.head(target="/smuggled"))
        data = client.read_to_end(reset_is_fine=True)
    assert data.startswith(b"HTTP/1.1 400 ") or not data
    assert daemon.ask(target="/after").status == 200
    assert not whole and "/smuggled" not in [request.target for request in upstream.requests]


@pytest.mark.parametrize("line", ["\0X-A: b", ":x", "X-A: b\r\n:x"], ids=repr)
def test_lines_that_end_the_section_too_early_let_no_request_in(simple, upstream, line):
    """libmicrohttpd 0.9 takes these for its end, or nearly: what is left must not be read as a request."""
    daemon = simple()
    with daemon.client() as client:
        client.send(client.head("POST", fields=["Transfer-Encoding: chunked"]))
        client.send(f"3\r\nabc\r\n0\r\n{line}\r\n" + client.head(target="/smuggled"))
        client.send(client.head(target="/smuggled"))
        client.read_to_end(reset_is_fine=True)
    assert daemon.ask(target="/after").status == 200
    assert "/smuggled" not in [request.target for request in upstream.requests]


def answered(*lines, head=b""):
    def handler(exchange):
        exchange.read_body()
        trailers = b"".join(line.encode("latin-1") + b"\r\n" for line in lines)
        exchange.send(CHUNKED + head + b"\r\n3\r\nabc\r\n0\r\n" + trailers + b"\r\n")

    return handler


def read_chunked(client: RawClient):
    """Head, body and trailer lines, as bytes."""
    head = client.read_until(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    body = b""
    while size := int(client.read_until(b"\r\n"), 16):
        body += client.read_until(b"\r\n")[:-2]
        assert len(body) >= size
    lines = []
    while (line := client.read_until(b"\r\n")) != b"\r\n":
        lines.append(line[:-2].decode("latin-1"))
    return head.decode("latin-1"), body, lines


def test_HS15_response_trailers_go_on_as_trailers(simple, upstream):
    upstream.on = answered("X-Checksum: 1234", "x-sum: a", "X-Sum:", head=b"Trailer: X-Checksum\r\nTrailer: Set-Cookie\r\n")
    with simple().client() as client:
        for _ in range(3):
            client.request()
            head, body, lines = read_chunked(client)
            assert body == b"abc" and [line.rstrip() for line in lines] == ["X-Checksum: 1234", "x-sum: a", "X-Sum:"]
            assert "X-Checksum: 1234" not in head and head.count("Trailer:") == 1 and "Trailer: X-Checksum\r\n" in head
    assert upstream.connections == 1


def test_HS15_response_trailers_that_must_not_be(simple, upstream):
    upstream.on = answered("X-Before: 1", *FORBIDDEN, "X-After: 2")
    with simple().client() as client:
        client.request()
        assert read_chunked(client)[1:] == (b"abc", ["X-Before: 1", "X-After: 2"])
        assert client.ask().status == 200


def test_T11_response_trailers_are_held_to_the_rules_of_the_head(simple, upstream):
    """Removed fields and tokens that come back do not slip out behind the body."""
    def answer(exchange):
        token = exchange.request.get("Authorization").split()[1]
        answered(f"X-Echo: {token}", "X-Debug: 1", "X-Secret: 2", "X-Sum: 3")(exchange)

    upstream.on = answer
    with simple(upstream_lines="response_remove_header = X-Debug", route="response_remove_header = x-secret").client() as client:
        client.request()
        assert read_chunked(client)[1:] == (b"abc", ["X-Sum: 3"])


def test_HS15_none_where_the_response_names_fields_of_its_connection(simple, upstream):
    upstream.on = answered("X-Hop: 1", head=b"Connection: x-hop\r\n")
    with simple().client() as client:
        client.request()
        assert read_chunked(client)[1:] == (b"abc", [])


def test_response_trailers_end_with_bearerd_where_the_client_has_no_chunks(simple, upstream):
    upstream.on = answered("X-Sum: 1", head=b"Trailer: X-Sum\r\n")
    with simple().client() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        head, body = client.read_to_end().split(b"\r\n\r\n", 1)
    assert body == b"abc" and b"railer" not in head and b"X-Sum" not in head


def test_response_trailers_byte_by_byte(simple, upstream):
    def handler(exchange):
        exchange.send(CHUNKED + b"\r\n3\r\nabc\r\n0\r\n")
        for byte in b"X-One: 1\r\nX-Two: 2\r\n\r\n":
            exchange.send(bytes([byte]))

    upstream.on = handler
    with simple().client() as client:
        client.request()
        assert read_chunked(client)[1:] == (b"abc", ["X-One: 1", "X-Two: 2"])


def test_response_trailers_that_do_not_fit_are_dropped_and_the_answer_is_whole(simple, upstream):
    upstream.on = answered(*[f"X-{i}: {'v' * 1000}" for i in range(15)])
    with simple("header_limit = 4k").client() as client:
        client.request()
        _, body, lines = read_chunked(client)
        assert body == b"abc" and 0 < len(lines) < 15
        assert client.ask().body == b"abc"
