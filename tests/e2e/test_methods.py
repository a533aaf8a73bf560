# SPDX-License-Identifier: MIT
"""Methods: any token is one, each may have a body; OPTIONS is counted down from proxy to proxy, TRACE goes nowhere."""
import pytest

TOKENS = ["get", "Get", "M-SEARCH", "PROPFIND", "X", "A1!#$%&'*+-.^_`|~z", "x" * 200, "PRI", "QUERY", "LINK"]
BODIED = ["GET", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "REPORT", "x-odd!"]


@pytest.mark.parametrize("method", TOKENS, ids=lambda method: method[:20])
def test_any_token_is_a_method(simple, upstream, method):
    with simple().client() as client:
        for _ in range(2):
            assert client.ask(method, "/x").status == 200
    assert {request.method for request in upstream.requests} == {method} and upstream.connections == 1


@pytest.mark.parametrize("method", ["G T", "G(T", "GÉT", "G/T", "G:T", "", "GET,"], ids=repr)
def test_nothing_else_is(simple, upstream, method):
    with simple().client() as client:
        client.send(f"{method} / HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        data = client.read_to_end(reset_is_fine=True)
    assert not data or data.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert not upstream.requests


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", BODIED)
def test_each_may_have_a_body(simple, upstream, method, framing):
    upstream.on = lambda exchange: exchange.answer(body=exchange.read_body()[::-1])
    with simple().client() as client:
        if framing == "length":
            client.request(method, "/x", body=b"body")
        else:
            client.send(client.head(method, "/x", ["Transfer-Encoding: chunked"]) + "4\r\nbody\r\n0\r\n\r\n")
        assert client.response(method).body == b"ydob"
    assert (upstream.last.method, upstream.last.body) == (method, b"body")


def test_HEAD_with_a_body(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(body=exchange.read_body()[::-1])
    with simple().client() as client:
        for _ in range(2):
            answer = client.ask("HEAD", "/x", body=b"body")
            assert answer.get("Content-Length") == "4" and answer.body == b""
    assert upstream.last.body == b"body" and upstream.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_length_of_0_stays_one_and_none_stays_none(simple, upstream, method):
    daemon = simple()
    assert daemon.ask(method, body=b"").status == 200
    assert upstream.last.get("Content-Length") == "0"
    assert daemon.ask(method).status == 200
    assert upstream.last.get("Content-Length") is None and upstream.last.get("Transfer-Encoding") is None


# -- Max-Forwards --------------------------------------------------------------------------------


@pytest.mark.parametrize("given, sent", [("1", "0"), ("10", "9"), ("99999999999999999999", "9998")])
def test_HS5_options_is_counted_down(simple, upstream, given, sent):
    assert simple().ask("OPTIONS", "/x", [("max-forwards", given)]).status == 200
    assert upstream.last.get("Max-Forwards") == sent


@pytest.mark.parametrize("target", ["/x", "*"])
def test_HS5_the_last_one_answers(simple, upstream, target):
    with simple().client() as client:
        answer = client.ask("OPTIONS", target, [("Max-Forwards", "0")])
        assert (answer.status, answer.body, answer.get("Content-Length")) == (200, b"", "0")
        assert "OPTIONS" in answer.get("Allow") and answer.get("Proxy-Status") == "bearerd"
        assert client.ask().status == 200
    assert [request.method for request in upstream.requests] == ["GET"]


def test_HS5_but_not_to_those_who_may_not_ask(simple, upstream):
    daemon = simple(proxy="client_key = sesame")
    assert daemon.ask("OPTIONS", "/x", [("Max-Forwards", "0")]).kind == "key-required"


@pytest.mark.parametrize("value", ["", "x", "-1", "1.0", "1, 2", "0x1"], ids=repr)
def test_HS5_junk_is_refused(simple, upstream, value):
    answer = simple().ask("OPTIONS", "/x", [f"Max-Forwards: {value}"])
    assert (answer.status, answer.kind) == (400, "malformed-request")
    assert not upstream.requests


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_HS5_other_methods_carry_it_through(simple, upstream, method):
    daemon = simple()
    for value in ("0", "5", "junk"):
        assert daemon.ask(method, "/x", [("Max-Forwards", value)]).status == 200
        assert upstream.last.get("Max-Forwards") == value
    assert daemon.ask(method, "/x").status == 200
    assert upstream.last.get("Max-Forwards") is None


@pytest.mark.parametrize("fields", [[], [("Max-Forwards", "0")], [("Max-Forwards", "5")]], ids=["plain", "0", "5"])
def test_HS6_trace_is_not_forwarded_or_echoed(simple, upstream, fields):
    answer = simple().ask("TRACE", "/x", [("Cookie", "canary"), *fields])
    assert (answer.status, answer.kind) == (405, "method-not-allowed")
    assert "TRACE" not in answer.get("Allow") and "canary" not in answer.text
    assert not upstream.requests
