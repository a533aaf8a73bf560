# SPDX-License-Identifier: MIT
"""What upstreams are told of where a request came from, what a request is called, and what of the upstream's head
reaches the client."""
import re

import pytest
from conftest import one_route
from kit.raw import RawClient

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NEW_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
ID = re.compile(r"[0-9a-f]{32}")


def test_FW2_nothing_is_said_and_nothing_believed_by_default(simple, upstream):
    lies = ["Forwarded: for=canary", "X-Forwarded-For: canary", "X-Forwarded-Proto: canary", "X_Forwarded_Host: canary"]
    lies += [f"{name}: canary" for name in ("X-Real-IP", "Client-Cert", "X-SSL-Client-Cert", "X-Original-URL", "X_Rewrite_Url")]
    assert simple().ask(fields=lies).status == 200
    assert b"canary" not in upstream.last.head and b"orwarded" not in upstream.last.head


def test_FW1_forwarded(simple, upstream):
    daemon = simple(upstream_lines="forwarded = replace\nx_forwarded = replace")
    daemon.ask(fields=["Forwarded: for=evil", "X-Forwarded-For: evil"])
    assert upstream.last.get("Forwarded") == f'for=127.0.0.1;host="127.0.0.1:{daemon.port}";proto=http'
    assert upstream.last.get("X-Forwarded-For") == "127.0.0.1"
    assert upstream.last.get("X-Forwarded-Host") == f"127.0.0.1:{daemon.port}"
    assert upstream.last.get("X-Forwarded-Proto") == "http"


def test_FW1_forwarded_appends_to_what_a_trusted_client_says(simple, upstream):
    daemon = simple(upstream_lines="forwarded = append\nx_forwarded = append")
    daemon.ask(fields=['Forwarded: for="[2001:db8::1]"', "X-Forwarded-For: a, b", "X-Forwarded-Proto: https"])
    assert upstream.last.get("Forwarded").startswith('for="[2001:db8::1]", for=127.0.0.1;')
    assert upstream.last.get("X-Forwarded-For") == "a, b, 127.0.0.1"
    assert upstream.last.get("X-Forwarded-Proto") == "https"


def test_FW1_forwarded_over_ipv6_and_unix_sockets(start, auth, upstream, tmp_path):
    path = tmp_path / "proxy.sock"
    ini = one_route(auth.credential(), upstream.url, upstream="forwarded = replace\nx_forwarded = replace")
    daemon = start(ini, f"listen = [::1]:0\nlisten = unix:{path}")
    with RawClient(path) as client:
        assert client.ask().status == 200
    assert upstream.last.get("Forwarded") == "for=_unix;host=localhost;proto=http"
    assert upstream.last.get("X-Forwarded-For") == "unknown"
    port = int(daemon.addresses[0].rsplit(":", 1)[1])
    with RawClient(("::1", port)) as client:
        assert client.ask(host=f"[::1]:{port}").status == 200
    assert upstream.last.get("Forwarded") == f'for="[::1]";host="[::1]:{port}";proto=http'
    assert upstream.last.get("X-Forwarded-For") == "::1"


def test_TC1_traces_pass_as_they_are(simple, upstream):
    sent = [("traceparent", "what ever"), ("tracestate", "a=1"), ("tracestate", "b=2,c=3")]
    simple().ask(fields=sent)
    assert [pair for pair in upstream.last.fields if pair[0].startswith("trace")] == sent


@pytest.mark.parametrize("parents, kept", [
    ([], None), ([TRACE], TRACE), ([TRACE, TRACE], None), ([TRACE.upper()], None), ([TRACE.replace("00-", "ff-", 1)], None),
    (["00-" + "0" * 32 + TRACE[35:]], None), ([TRACE.replace("00-", "cc-", 1) + "-more"], TRACE), ([TRACE + "-more"], None),
])  # fmt: skip
def test_TC2_a_trace_is_started_where_there_is_none(simple, upstream, parents, kept):
    simple("trace = yes").ask(fields=[("traceparent", parent) for parent in parents] + [("tracestate", "a=1")])
    got = upstream.last.get("traceparent")
    assert got == kept if kept else NEW_TRACE.fullmatch(got) and got != TRACE
    assert upstream.last.get_all("tracestate") == (["a=1"] if kept else [])


def test_TC3_tracestate_passes_whole_or_not_at_all(simple, upstream):
    daemon = simple("trace = yes")
    members = [f"vendor{i}={'v' * 200}" for i in range(33)]
    daemon.ask(fields=[("traceparent", TRACE)] + [("tracestate", member) for member in members[:32]])
    assert upstream.last.get_all("tracestate") == members[:32]
    daemon.ask(fields=[("traceparent", TRACE), ("tracestate", ",".join(f"v{i}=1" for i in range(33)))])
    assert upstream.last.get_all("tracestate") == [] and upstream.last.get("traceparent") == TRACE


def test_the_clients_request_id_names_the_request(simple, upstream):
    daemon = simple()
    assert daemon.ask(fields=["X-Request-Id: my-id.1"]).status == 200
    assert upstream.last.get("X-Request-Id") == "my-id.1"
    refused = daemon.ask(fields=["X-Request-Id: my-id.2", "Origin: https://evil.example.test"])
    assert refused.problem["request_id"] == "my-id.2"
    assert daemon.ask().status == 200
    assert upstream.last.get("X-Request-Id") is None


def test_a_request_without_a_fit_id_gets_one(simple, upstream):
    daemon = simple("request_id = make")
    seen = set()
    for given in ([], ['X-Request-Id: "quoted"'], ["X-Request-Id: a", "X-Request-Id: b"], ["X-Request-Id: " + "x" * 129]):
        assert daemon.ask(fields=given).status == 200
        assert ID.fullmatch(upstream.last.get("X-Request-Id"))
        seen.add(upstream.last.get("X-Request-Id"))
    assert len(seen) == 4
    daemon.ask(fields=["X-Request-Id: mine"])
    assert upstream.last.get("X-Request-Id") == "mine"


def test_problem_upstream_and_log_tell_the_same_id(start, auth, scripted):
    upstream = scripted(on=lambda exchange: exchange.close())
    daemon = start(one_route(auth.credential(), upstream.url) + "[log]\naccess = yes\n", "request_id = make")
    problem = daemon.ask("POST", body=b"x").problem
    assert problem["type"].endswith(":upstream-closed")
    name = problem["request_id"]
    assert ID.fullmatch(name) and upstream.last.get("X-Request-Id") == name
    for event in ("upstream.failed", "request"):
        daemon.wait_log(rf"event={event}\b.*\bid={name}\b")


def test_even_a_malformed_request_has_a_name(simple):
    with simple().client() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert ID.fullmatch(client.response().problem["request_id"])


def echo_token(exchange):
    token = exchange.request.token
    fields = [("X-Echo", f"Bearer {token}"), ("Location", f"https://a.test/?access_token={token}&b"), ("X-Part", token[:-1])]
    exchange.answer(body=exchange.request.head, fields=fields)


def test_T11_a_field_that_holds_the_token_is_dropped(simple, upstream):
    upstream.on = echo_token
    daemon = simple()
    answer = daemon.ask()
    token = upstream.last.token
    assert answer.status == 200 and len(token) > 100
    assert token not in str(answer.fields)
    assert answer.get("X-Echo") is None and answer.get("Location") is None and answer.get("X-Part") == token[:-1]
    daemon.wait_log("event=response.token_dropped .*field=(X-Echo|Location)")
    assert token.encode() in answer.body  # bodies are not searched, and docs/security.md says so


def test_T11_or_not(simple, upstream):
    upstream.on = echo_token
    assert simple(upstream_lines="scrub = no").ask().get("X-Echo") == f"Bearer {upstream.last.token}"


@pytest.mark.parametrize("said, got", [
    ([], ["private"]), (["max-age=60"], ["max-age=60", "private"]), (["public, max-age=60"], ["public, max-age=60"]),
    (["s-maxage=1"], ["s-maxage=1"]), (["must-revalidate"], ["must-revalidate"]), (["no-store"], ["no-store"]),
])  # fmt: skip
def test_HC2_shared_caches_are_told_what_a_token_was_needed_for(simple, upstream, said, got):
    upstream.on = lambda exchange: exchange.answer(fields=[("Cache-Control", value) for value in said])
    assert simple().ask().get_all("Cache-Control") == got


def test_HC2_only_where_a_token_went_and_unless_told_otherwise(simple, upstream):
    upstream.on = lambda exchange: exchange.answer()
    assert simple(route="cache_control = pass").ask().get("Cache-Control") is None
    kept = simple(route="client_authorization = keep", name="keep.ini").ask(fields=["Authorization: Basic eA=="])
    assert kept.get("Cache-Control") is None


def test_fields_of_the_response_set_and_removed_by_configuration(simple, upstream):
    upstream.on = lambda exchange: exchange.answer(fields=[("Server", "s/1"), ("X-Debug", "d"), ("X-Frame-Options", "ALLOW")])
    answer = simple(
        upstream_lines="response_remove_header = Server\nresponse_set_header = X-Frame-Options: DENY",
        route="response_remove_header = X-Debug\nresponse_set_header = X-A: 1",
    ).ask()
    assert answer.get("Server") is None and answer.get("X-Debug") is None
    assert answer.get("X-Frame-Options") == "DENY" and answer.get("X-A") == "1"


def test_BT2_query_token_pass(simple, upstream):
    assert simple(route="query_token = pass").ask(target="/x?access_token=c").status == 200
    assert upstream.last.target == "/x?access_token=c"
