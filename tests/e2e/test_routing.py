# SPDX-License-Identifier: MIT
"""From request to upstream and route: which are chosen, what is sent, what is refused."""
import textwrap

import pytest
from kit.scripted import token_answer

ROUTES = """
    [route public]
    match = GET /public/**
    scopes = api:read
    [route admin]
    match = /admin/**
    scopes = api:admin
    [route item]
    match = GET HEAD /items/{id}
    scopes = api:read
    [route search]
    match = GET /items/search
    scopes = api:write
    [route endpoint]
    match = /serviceendpoints/**
    scopes = api:write
"""


@pytest.fixture
def routed(start, auth, upstream):
    """routed(upstream lines): the routes above, all on one scripted upstream."""

    def make(lines="", url=None, routes=ROUTES):
        head = f"{auth.credential()}\n[upstream api]\nurl = {url or upstream.url}\n{textwrap.dedent(lines)}\n"
        return start(head + textwrap.dedent(routes))

    return make


@pytest.mark.parametrize(
    "method, target, scope",
    [
        ("GET", "/public/a/b/c", "api:read"),
        ("GET", "/public", "api:read"),  # ** takes no rest, too
        ("DELETE", "/admin/x", "api:admin"),
        ("GET", "/items/42", "api:read"),
        ("GET", "/items/search", "api:write"),  # literal over one segment
        ("HEAD", "/items/search", "api:read"),  # named method decides
        ("GET", "/items/42?next=/admin/x", "api:read"),  # the query never takes part
    ],
)
def test_the_most_specific_route_wins(routed, auth, method, target, scope):
    assert routed().ask(method, target).status == 200
    assert auth.requests()[0]["scope"] == scope


@pytest.mark.parametrize(
    "method, target",
    [
        ("POST", "/public/a"),
        ("get", "/public/a"),  # methods are exact
        ("GET", "/Public/a"),
        ("GET", "/"),
        ("GET", "/items/42/parts"),
        ("GET", "/items"),
        ("GET", "/publicity"),
        ("GET", "/serviceendpointsall"),  # T23
        ("GET", "/serviceendpointsall/x"),
    ],
)
def test_T23_no_route_no_forwarding(routed, upstream, method, target):
    refused = routed().ask(method, target)
    assert (refused.status, refused.kind) == (403, "no-route")
    assert upstream.connections == 0


def test_unmatched_pass_forwards_without_a_token(routed, auth, upstream):
    daemon = routed("unmatched = pass")
    assert daemon.ask("GET", "/elsewhere").status == 200
    assert upstream.last.get("Authorization") is None
    assert auth.requests() == []


@pytest.mark.parametrize(
    "target",
    [
        "/public/..%2fadmin/x",
        "/public/%2e%2e/admin/x",
        "/public/../admin/x",
        "/public/./../admin/x",
        "/public/%252e%252e/admin/x",
        "/public/..;/admin/x",
        "/public/..;x=y/admin/x",
        "/public/..%5cadmin/x",
        "/public/%2e%2e%2fadmin",
        "/items/..%2fadmin%2fx",
        "//admin/x",
        "/admin/../public/x",
    ],
)
def test_T22_paths_that_servers_read_differently_are_refused(routed, upstream, target):
    refused = routed().ask("GET", target)
    assert (refused.status, refused.kind) in [(400, "ambiguous-path"), (400, "bad-target"), (403, "no-route")]
    assert upstream.connections == 0


@pytest.mark.parametrize(
    "target",
    [
        "/public/\\admin",
        "/public/a#b",
        "/public/a<b>",
        "/public/%zz",
        "/public/%00",
        "/public/%0d%0aX:y",
        "/public/\x80",
    ]
    + ["/public/%c0%ae%c0%ae/x", "/public/%ff", "/public/a|b", "/public/a^b", '/public/"', "/public/%1", "/public/{x}"],
)
def test_T22_bytes_that_no_honest_client_sends_are_refused(routed, upstream, target):
    refused = routed().ask("GET", target)
    assert refused.status == 400 and refused.kind in ("bad-target", "malformed-request")
    assert upstream.connections == 0


@pytest.mark.parametrize(
    "target",
    [
        "/public/a%20b/%C3%A4?x=%20y&z=a%2Fb&&=",
        "/public/a+b/~user/;v=1?",
        "/public/./x/../y",
        "/public//double//slash/",
        "/public/%7Euser/a%2Fb",
        "/public/x?a={b}|c&d=\\e",
    ],
)
def test_HS7_the_raw_target_goes_upstream(routed, upstream, target):
    assert routed().ask("GET", target).status == 200
    assert upstream.last.target == target


def test_client_fields_take_no_part_in_routing(routed, auth):
    fields = [("X-Original-URL", "/admin/x"), ("X-Rewrite-URL", "/admin/x")]
    assert routed().ask("GET", "/public/x", fields).status == 200
    assert auth.requests()[0]["scope"] == "api:read"


def test_a_field_that_stands_for_another_method_must_lead_to_the_same_route(routed, auth, upstream):
    daemon = routed()
    refused = daemon.ask("GET", "/items/search", [("X-HTTP-Method-Override", "HEAD")])
    assert (refused.status, refused.kind) == (400, "ambiguous-method")
    assert upstream.connections == 0
    assert daemon.ask("GET", "/items/7", [("X-HTTP-Method-Override", "HEAD")]).status == 200
    assert upstream.last.get("X-HTTP-Method-Override") == "HEAD"


def test_base_path_and_mount_are_swapped(routed, upstream):
    daemon = routed("mount = /orders", url=upstream.url + "/v2/shop")
    assert daemon.ask("GET", "/orders/public/x?y").status == 200
    assert upstream.last.target == "/v2/shop/public/x?y"
    assert daemon.ask("GET", "/ordersx/public/x").kind == "no-upstream"
    assert daemon.ask("GET", "/public/x").status == 404


def test_the_longest_mount_wins(start, auth, scripted):
    first, second = scripted(), scripted()
    daemon = start(
        f"""
        {textwrap.indent(auth.credential(), "        ")}
        [upstream all]
        url = {first.url}
        [upstream part]
        url = {second.url}
        mount = /part
        [route a]
        upstream = all
        match = /**
        scopes = api:read
        [route b]
        upstream = part
        match = /**
        scopes = api:write
    """
    )
    for target in ("/x", "/part/x", "/partner/x"):
        assert daemon.ask(target=target).status == 200
    assert [request.target for request in first.requests] == ["/x", "/partner/x"]
    assert [request.target for request in second.requests] == ["/x"]


def test_absolute_form_selects_by_authority(routed, upstream):
    daemon = routed()
    assert daemon.ask("GET", f"{upstream.url}/public/x?y", host=upstream.authority).status == 200
    assert upstream.last.target == "/public/x?y"
    assert upstream.last.get("Host") == upstream.authority


def test_absolute_form_with_https_in_clear(routed, upstream):
    """Some clients send GET https://… to their http_proxy: the upstream's own scheme is used."""
    daemon = routed("hosts = api.example.test")
    for target in (
        "https://api.example.test/public/x",
        "http://api.example.test/public/x",
        "HTTPS://API.Example.Test:443/public/x",
    ):
        assert daemon.ask("GET", target, host="api.example.test").status == 200
        assert upstream.last.target == "/public/x"


def test_absolute_form_the_targets_authority_counts_not_host(routed, upstream):
    daemon = routed("hosts = api.example.test")
    assert daemon.ask("GET", "http://api.example.test/public/x", host="evil.example.test").status in (200, 400)
    refused = daemon.ask("GET", "http://evil.example.test/public/x", host="api.example.test")
    assert (refused.status, refused.kind) == (404, "no-upstream")


def test_absolute_form_stays_under_the_base_path(routed, upstream):
    daemon = routed("hosts = api.example.test", url=upstream.url + "/v2")
    assert daemon.ask("GET", "http://api.example.test/v2/public/x", host="api.example.test").status == 200
    assert upstream.last.target == "/v2/public/x"
    for target in ("/public/x", "/v2x/public/x", "/v2/../public/x", "/v2/%2e%2e/public/x"):
        assert daemon.ask("GET", f"http://api.example.test{target}", host="api.example.test").status in (400, 404)
    assert len(upstream.requests) == 1


def test_a_host_of_an_upstream_selects_it_in_origin_form(start, token_server, scripted):
    first, second = scripted(), scripted()
    daemon = start(
        f"""
        {textwrap.indent(token_server(token_answer("t")).credential(), "        ")}
        [upstream a]
        url = {first.url}
        hosts = a.example.test
        mount = /a
        [upstream b]
        url = {second.url}
        hosts = b.example.test
        mount = /b
        [route a]
        upstream = a
        match = /**
        [route b]
        upstream = b
        match = /**
    """
    )
    assert daemon.ask(target="/x", host="b.example.test").status == 200
    assert second.last.target == "/x"
    assert daemon.ask(target="/a/x").status == 200
    assert first.last.target == "/x"


@pytest.mark.parametrize(
    "target",
    [
        "http://user@api.example.test/public/x",
        "http://api.example.test:99999/public/x",
        "http:///public/x",
        "ftp://api.example.test/public/x",
    ],
)
def test_bad_authorities_are_refused(routed, upstream, target):
    refused = routed("hosts = api.example.test").ask("GET", target, host="api.example.test")
    assert refused.status == 400 and refused.kind in ("bad-target", "malformed-request")
    assert upstream.connections == 0


def test_connect_is_refused_with_advice(routed, upstream):
    refused = routed("hosts = api.example.test").ask("CONNECT", "api.example.test:443", host="api.example.test:443")
    assert (refused.status, refused.kind) == (501, "connect-not-supported")
    assert "http://" in refused.problem["detail"]
    assert upstream.connections == 0


def test_options_asterisk(routed, upstream):
    routes = "[route all]\nmatch = /**\nscopes = api:read\n"
    answer = routed(routes=routes).ask("OPTIONS", "*")
    assert answer.status in (200, 403, 404)
    assert [request.target for request in upstream.requests] == (["*"] if answer.status == 200 else [])


def test_ten_thousand_routes(start, auth, upstream):
    """That they load and the right one is found; what a lookup costs is the benchmark's matter."""
    routes = "".join(
        f"[route r{i}]\nmatch = GET /r{i % 100}/x{i}/*\nscopes = api:{('read', 'write')[i % 2]}\n" for i in range(10000)
    )
    daemon = start(f"{auth.credential()}\n[upstream api]\nurl = {upstream.url}\n{routes}")
    assert daemon.ask("GET", "/r77/x9977/a").status == 200
    assert auth.requests()[0]["scope"] == "api:write"
    assert daemon.ask("GET", "/r78/x9977/a").kind == "no-route"
