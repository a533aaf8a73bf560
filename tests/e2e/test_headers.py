# SPDX-License-Identifier: MIT
"""What fields go upstream, what come back, and what never does."""
import pytest
from conftest import one_route
from kit.scripted import token_answer

CANARY = "canary-of-the-client"


def test_T20_the_clients_authorization_is_replaced_not_joined(simple, auth, upstream):
    daemon = simple()
    daemon.ask(
        fields=[("Authorization", f"Basic {CANARY}"), ("AUTHORIZATION", f"Bearer {CANARY}"), ("authorization_", "kept")]
    )
    assert upstream.last.get_all("Authorization") == [f"Bearer {auth.requests()[0]['access_token']}"]
    assert CANARY.encode() not in upstream.last.head


def test_T30_a_placeholder_is_replaced_unless_the_route_says_so(simple, upstream):
    daemon = simple(route="client_authorization = keep")
    daemon.ask(fields=[("Authorization", "Bearer placeholder")])
    assert upstream.last.get("Authorization") == "Bearer placeholder"
    daemon.ask()
    assert upstream.last.get("Authorization").startswith("Bearer ey")


def test_T30_a_route_may_refuse_clients_that_bring_one(simple, upstream):
    refused = simple(route="client_authorization = reject").ask(fields=[("Authorization", "Bearer x")])
    assert (refused.status, refused.kind) == (400, "client-authorization")
    assert upstream.connections == 0


def test_BT2_a_token_in_the_query_is_refused(simple, upstream):
    refused = simple().ask(target="/x?a=b&access_token=c")
    assert (refused.status, refused.kind) == (400, "token-in-query")
    assert upstream.connections == 0


def test_T21_redirects_go_to_the_client(simple, upstream, scripted):
    elsewhere = scripted()
    upstream.on = lambda exchange: exchange.answer("302 Found", fields=[("Location", elsewhere.url + "/x?y")])
    answer = simple().ask()
    assert (answer.status, answer.get("Location")) == (302, elsewhere.url + "/x?y")
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "field",
    [
        "Proxy-Authorization: Basic canary",
        "Proxy-Connection: canary",
        "Keep-Alive: timeout=canary",
        "TE: canary",
        "Upgrade: canary",
    ]
    + [
        "X-Forwarded-For: canary",
        "Forwarded: for=canary",
        "X-Forwarded-Host: canary",
        "X_Forwarded_For: canary",
        "X-Real-IP: canary",
    ]
    + ["Proxy: canary", "X-Bearerd-Key: canary", "Trailer: canary"],
)
def test_T21_T28_what_is_not_for_the_upstream_does_not_reach_it(simple, upstream, field):
    assert simple().ask(fields=[field, "X-Kept: yes"]).status == 200
    assert b"canary" not in upstream.last.head
    assert upstream.last.get("X-Kept") == "yes"


def test_T28_fields_named_by_connection_are_dropped(simple, upstream):
    fields = ["Connection: x-one, close", "X-One: canary", "X-Two: kept", "Connection: X-Three", "X-three: canary"]
    assert simple().ask(fields=fields).status == 200
    assert b"canary" not in upstream.last.head
    assert upstream.last.get("X-Two") == "kept"
    assert upstream.last.get("Connection") in (None, "keep-alive")


@pytest.mark.parametrize("named", ["authorization", "host", "content-length", "transfer-encoding, authorization"])
def test_T28_ours_cannot_be_named_away(simple, upstream, named):
    answer = simple().ask("POST", fields=[f"Connection: {named}"], body=b"hello")
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert upstream.last.get("Authorization").startswith("Bearer ")
        assert upstream.last.get("Host") == upstream.authority
        assert upstream.last.body == b"hello"


def test_order_case_and_duplicates_are_kept(simple, upstream):
    sent = [
        ("X-b", "1"),
        ("accept", "a/b"),
        ("X-a", "2"),
        ("X-B", "3"),
        ("x-empty", ""),
        ("Cookie", "a=b; c=d"),
        ("X-Sp", "a  b\tc"),
    ]
    assert simple().ask(fields=[f"{name}: {value}" for name, value in sent]).status == 200
    kept = [line.split(":", 1) for line in upstream.last.head.decode().split("\r\n")[1:-2]]
    ours = ("Host", "Via", "Authorization", "Connection")
    assert [(name, value.strip(" ")) for name, value in kept if name not in ours] == sent


def test_responses_keep_order_duplicates_and_cookies(simple, upstream):
    sent = [
        ("Set-Cookie", "a=1; Path=/"),
        ("X-b", "1"),
        ("Set-Cookie", "b=2, c"),
        ("x-b", "2"),
        ("WWW-Authenticate", "Basic"),
        ("Server", "s"),
    ]
    upstream.on = lambda exchange: exchange.answer("401 No", b"no", sent)
    answer = simple().ask()
    assert answer.status == 401
    assert [pair for pair in answer.fields if pair[0] in {name.lower() for name, _ in sent}] == [
        (n.lower(), v) for n, v in sent
    ]


def test_T28_hop_by_hop_fields_of_the_response_are_dropped(simple, upstream):
    fields = [("Connection", "x-one"), ("X-One", "canary"), ("Keep-Alive", "timeout=canary"), ("X-Two", "kept")]
    fields += [("Proxy-Authenticate", "canary"), ("Upgrade", "canary")]
    upstream.on = lambda exchange: exchange.answer(fields=fields)
    answer = simple().ask()
    assert "canary" not in str(answer.fields)
    assert answer.get("X-Two") == "kept"


def test_host_is_the_upstreams_and_via_is_added(simple, upstream):
    daemon = simple()
    daemon.ask(host=f"localhost:{daemon.port}", fields=["Via: 1.0 before"])
    assert upstream.last.get("Host") == upstream.authority
    first, second = ",".join(upstream.last.get_all("Via")).split(",")
    assert first == "1.0 before" and second.strip().startswith("1.1 bearerd")


def test_HS3_a_request_that_comes_round_is_refused(simple, upstream, start, auth):
    daemon = simple()
    daemon.ask()
    refused = daemon.ask(fields=[("Via", upstream.last.get("Via"))])
    assert (refused.status, refused.kind) == (508, "loop")
    assert len(upstream.requests) == 1


def test_fields_set_and_removed_by_configuration(simple, upstream):
    daemon = simple(
        upstream_lines="set_header = X-Tenant: acme\nremove_header = Cookie X-Debug",
        route="set_header = X-Route: all\nset_header = X-Tenant: route\nremove_header = X-More",
    )
    daemon.ask(fields=[("cookie", "canary"), ("X-debug", "canary"), ("x-more", "canary"), ("x-tenant", "canary")])
    assert b"canary" not in upstream.last.head
    assert upstream.last.get("X-Tenant") == "route"
    assert upstream.last.get("X-Route") == "all"


def test_T26_a_large_cookie_passes(simple, upstream):
    cookie = "c=" + "x" * 12000
    daemon = simple()
    with daemon.client() as client:
        for _ in range(2):
            assert client.ask(fields=[("Cookie", cookie)]).status == 200
    assert upstream.last.get("Cookie") == cookie


def test_T26_a_large_token_passes(start, token_server, upstream):
    token = "t" * 8192
    daemon = start(one_route(token_server(token_answer(token)).credential(), upstream.url))
    assert daemon.ask(fields=[("Cookie", "c" * 4000)]).status == 200
    assert upstream.last.token == token


@pytest.mark.parametrize("count, size", [(1, 20000), (1, 100000), (3, 9000), (200, 10), (2000, 30)])
def test_T26_a_head_that_is_too_large_is_told_so(simple, upstream, count, size):
    fields = [(f"X-{i}", "x" * size) for i in range(count)]
    with simple().client() as client:
        client.send(client.head(fields=fields))
        refused = client.response()
    assert refused.status == 431
    assert upstream.connections == 0


@pytest.mark.parametrize("size", [20000, 100000])
def test_T26_a_target_that_is_too_long_is_told_so(simple, upstream, size):
    with simple().client() as client:
        client.send(client.head(target="/" + "x" * size))
        assert client.response().status in (414, 431)
    assert upstream.connections == 0


@pytest.mark.parametrize("count, size", [(1, 20000), (1, 200000), (40, 1000), (300, 5)])
def test_T26_a_response_head_that_is_too_large_is_told_so(simple, upstream, count, size):
    upstream.on = lambda exchange: exchange.answer(fields=[(f"X-{i}", "x" * size) for i in range(count)])
    refused = simple().ask()
    assert refused.status == 502
    assert refused.kind in ("upstream-head-too-large", "upstream-malformed")


def test_header_limit_is_a_setting(simple, upstream):
    daemon = simple("header_limit = 64k")
    assert daemon.ask(fields=[("Cookie", "c" * 30000)]).status == 200
    upstream.on = lambda exchange: exchange.answer(fields=[("X-Large", "x" * 30000)])
    assert daemon.ask().get("X-Large") == "x" * 30000
