# SPDX-License-Identifier: MIT
"""The token's journey when the authorization server misbehaves, is down, or says no."""
import threading
import time

import pytest
from conftest import one_route
from kit.auth_server import BASIC, AuthServer
from kit.process import free_port, wait_until
from kit.scripted import send_json, token_answer


def hang(exchange):
    exchange.wait_peer_closed(20)


def cut(exchange):
    exchange.read_body()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    exchange.close()


def html(exchange):
    exchange.answer(body=b"<html>it works</html>", fields=[("Content-Type", "text/html")])


def redirect(exchange):
    exchange.answer("307 Temporary Redirect", fields=[("Location", "http://127.0.0.1:1/token")])


def answer(text, status="200 OK"):
    return status, text


def test_the_server_is_down_at_start_and_comes_later(start, certs, upstream):
    port = free_port()
    late = [f"token_url = https://localhost:{port}/token", f"ca_file = {certs.ca}"]
    late += [f"{key} = {value}" for key, value in BASIC.items() if key != "method"]
    daemon = start(one_route("[credential main]\n" + "\n".join(late), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (503, "token-unreachable")
    assert int(refused.get("Retry-After")) >= 1
    server = AuthServer(certs, port)
    try:
        wait_until(lambda: daemon.ask().status == 200, 20, "a token once the server is up")
        assert len(server.requests()) == 1
        daemon.wait_log("event=token.recovered")
    finally:
        server.stop()


def test_T04_an_expired_token_is_never_sent(start, token_server, upstream):
    """The authorization server goes down after the first token, of 3 s: until then all goes well, then nothing more."""
    upstream.on = lambda exchange: (times.append(time.monotonic()), exchange.answer())
    times = []
    server = token_server(token_answer("short", 3), answer('{"error": "server_error"}', "500 Oops"))
    daemon = start(one_route(server.credential(clock_skew="0s"), upstream.url))
    asked = time.monotonic()
    assert daemon.ask().status == 200
    refused = wait_until(lambda: (got := daemon.ask()).status != 200 and got, 10, "the token's end")
    assert (refused.status, refused.kind) == (503, "token-unavailable")
    assert time.monotonic() - asked > 2, "given up before it expired"
    for _ in range(10):
        assert daemon.ask().status == 503
    assert times[-1] - asked < 3.1
    assert len(server.requests) < 10, "hammered"


@pytest.mark.parametrize(
    "bad, kind",
    [
        (answer(""), "token-malformed"),
        (answer("[]"), "token-malformed"),
        (answer("null"), "token-malformed"),
        (answer('"token"'), "token-malformed"),
        (answer("{}"), "token-malformed"),
        (answer('{"access_token": null, "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "", "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": 12, "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "a b", "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "a\\r\\nX: y", "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "\\u0000", "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "t\xe9", "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "abc"}'), "token-malformed"),
        (answer('{"access_token": "a", "access_token": "b", "token_type": "Bearer"}'), "token-malformed"),
        (answer('{"access_token": "abc", "token_type": "Bearer"'), "token-malformed"),
        (answer("[" * 5000), "token-malformed"),
        (answer('{"access_token": "abc", "token_type": "Bearer", "x": "' + "y" * 70000 + '"}'), "token-malformed"),
        (html, "token-malformed"),
        (cut, "token-malformed"),
        (answer('{"access_token": "abc", "token_type": "Bearer"}', "201 Created"), "token-malformed"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value[1][:40] if isinstance(value, tuple) else "",
)
def test_T05_a_malformed_answer_is_an_error_and_asked_again(start, token_server, upstream, bad, kind):
    server = token_server(bad, token_answer("good"))
    daemon = start(one_route(server.credential(), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (502, kind)
    assert upstream.requests == []
    wait_until(lambda: daemon.ask().status == 200, 10, "the next answer is used")
    assert set(upstream.tokens()) == {"good"}
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Slow down"])
def test_T06_one_failure_poisons_nothing(start, token_server, upstream, status):
    server = token_server(answer("{}", status), token_answer("good"))
    daemon = start(one_route(server.credential(), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (503, "token-unavailable")
    wait_until(lambda: daemon.ask().status == 200, 10, "a token after all")
    assert len(server.requests) == 2


def test_failures_are_not_asked_again_at_once(start, token_server, upstream):
    """Back-off: many requests, few token requests; each client is told when to come again."""
    server = token_server(answer("{}", "500 Oops"))
    daemon = start(one_route(server.credential(), upstream.url))
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        refused = daemon.ask()
        assert refused.status == 503 and int(refused.get("Retry-After")) >= 1
    assert 2 <= len(server.requests) <= 4


def test_retry_after_of_the_authorization_server_is_kept(start, token_server, upstream):
    def busy(exchange):
        send_json(exchange, ("429 Too Many Requests", "{}"), [("Retry-After", "3")])

    server = token_server(busy, token_answer("good"))
    daemon = start(one_route(server.credential(), upstream.url))
    begin = time.monotonic()
    assert int(daemon.ask().get("Retry-After")) in (3, 4)
    wait_until(lambda: daemon.ask().status == 200, 10, "a token after the pause")
    assert time.monotonic() - begin > 2.5
    assert len(server.requests) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_waiters_fail_together_with_one_token_request(start, token_server, upstream, workers):
    go_on = threading.Event()

    def late_failure(exchange):
        assert go_on.wait(20)
        send_json(exchange, ("500 Oops", "{}"))

    server = token_server(late_failure)
    daemon = start(one_route(server.credential(), upstream.url), f"workers = {workers}")
    clients = [daemon.client() for _ in range(20)]
    for client in clients:
        client.request()
    server.wait_requests(1)
    go_on.set()
    assert {client.response().status for client in clients} == {503}
    assert len(server.requests) == 1
    for client in clients:
        client.close()


def test_T12_the_servers_own_words_reach_the_client(start, auth, upstream):
    daemon = start(one_route(auth.credential(client_secret="wrong"), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (502, "token-refused")
    assert "invalid_client: client authentication failed" in refused.problem["detail"]
    assert "invalid_client" in refused.get("Proxy-Status")
    daemon.wait_log("event=token.failed .*invalid_client")
    assert upstream.requests == []


def test_T12_description_is_untrusted_text(start, token_server, upstream):
    text = '{"error": "invalid_scope", "error_description": "a\\r\\nX-Evil: \\"b\\u00e9<script>"}'
    daemon = start(one_route(token_server(answer(text, "400 Bad Request")).credential(), upstream.url))
    refused = daemon.ask()
    assert refused.kind == "token-refused" and refused.get("X-Evil") is None
    assert "invalid_scope: a??X-Evil: 'b?<script>" in refused.problem["detail"]


def test_T12_an_error_that_repeats_the_secret_does_not_pass_it_on(start, token_server, upstream):
    text = '{"error": "invalid_client", "error_description": "no such secret: hunter22"}'
    server = token_server(answer(text, "401 Unauthorized"))
    daemon = start(one_route(server.credential(client_secret="hunter22"), upstream.url))
    daemon.secrets.append("hunter22")
    assert b"hunter22" not in daemon.ask().body


def test_a_refusal_holds_off_for_long(start, token_server, upstream):
    server = token_server(answer('{"error": "unauthorized_client"}', "400 Bad Request"))
    daemon = start(one_route(server.credential(), upstream.url))
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert daemon.ask().status == 502
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault, status, kind",
    [
        (None, 503, "token-unreachable"),
        (hang, 504, "token-timeout"),
        (cut, 502, "token-malformed"),
        (html, 502, "token-malformed"),
        (redirect, None, None),
        (answer('{"error": "invalid_client"}', "401 No"), 502, "token-refused"),
        (answer("{}", "500 Oops"), 503, "token-unavailable"),
    ],
    ids=["unreachable", "hang", "cut", "html", "redirect", "refused", "500"],
)
@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"x" * 100000)], ids=["GET", "POST"])
def test_T13_without_a_token_nothing_is_forwarded(start, token_server, upstream, fault, status, kind, method, body):
    server = token_server(fault) if fault else None
    credential = (
        server.credential(timeout="1s")
        if server
        else (f"[credential main]\ntoken_url = http://127.0.0.1:{free_port()}/\nclient_id = a\nclient_secret = b\n")
    )
    daemon = start(one_route(credential, upstream.url))
    refused = daemon.ask(method, body=body, fields=[("Authorization", "Bearer placeholder")])
    assert refused.status >= 500
    assert status in (None, refused.status) and kind in (None, refused.kind)
    assert not upstream.requests


def test_waiting_for_a_token_is_bounded(start, token_server, upstream):
    server = token_server(hang)
    daemon = start(one_route(server.credential(timeout="30s"), upstream.url), "token_timeout = 500ms")
    begin = time.monotonic()
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (504, "token-timeout")
    assert 0.4 < time.monotonic() - begin < 3


def test_who_waits_and_goes_leaves_nothing_behind(start, token_server, upstream):
    """Clients that give up while the token is on its way; it comes, and is there for the next one."""
    go_on = threading.Event()

    def late(exchange):
        assert go_on.wait(20)
        send_json(exchange, token_answer("late"))

    server = token_server(late)
    daemon = start(one_route(server.credential(), upstream.url), "[log]\naccess = yes")
    for _ in range(5):
        with daemon.client() as client:
            client.request()
            server.wait_requests(1)
    wait_until(lambda: daemon.log.count("event=request ") == 5, 10, "their going was noticed")
    go_on.set()
    assert daemon.ask().status == 200
    assert len(server.requests) == 1
    assert len(upstream.requests) == 1


def test_OA17_redirects_of_the_token_endpoint_are_not_followed(start, token_server, scripted, upstream):
    elsewhere = scripted()

    def away(exchange):
        exchange.answer("307 Temporary Redirect", fields=[("Location", elsewhere.url + "/token")])

    daemon = start(one_route(token_server(away).credential(), upstream.url))
    assert daemon.ask().status == 502
    assert elsewhere.connections == 0


def test_the_token_endpoints_certificate_is_verified(start, auth, upstream, certs):
    """No secret goes to a server that cannot show who it is."""
    daemon = start(one_route(auth.credential(ca_file=certs.other_ca), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (503, "token-unreachable")
    assert "certificate" in refused.problem["detail"]
    assert auth.requests() == []


def test_a_missing_secret_file_is_said_and_picked_up_later(start, auth, upstream, tmp_path):
    secret = tmp_path / "secret"
    daemon = start(one_route(auth.credential(client_secret=f"file:{secret}"), upstream.url))
    refused = daemon.ask()
    assert (refused.status, refused.kind) == (503, "token-local")
    assert str(secret) not in refused.text
    daemon.wait_log(f"event=token.local .*{secret}")
    secret.write_text(BASIC["client_secret"])
    secret.chmod(0o600)
    wait_until(lambda: daemon.ask().status == 200, 10, "the secret file in use")


@pytest.mark.parametrize("policy", [None, "accept", "refuse"])
def test_OA12_fewer_scopes_than_asked_for(start, token_server, upstream, policy):
    """Told of, used silently, or not used at all."""
    server = token_server(token_answer("few", extra=', "scope": "api:read"'))
    settings = {"granted_scopes": policy} if policy else {}
    daemon = start(one_route(server.credential(scopes="api:admin", **settings), upstream.url))
    answers = [daemon.ask() for _ in range(5)]
    assert len(server.requests) == 1
    if policy == "refuse":
        assert {answer.kind for answer in answers} == {"token-refused"} and upstream.requests == []
        assert "asked for 'api:admin api:read', granted 'api:read'" in answers[0].problem["detail"]
    else:
        assert set(upstream.tokens()) == {"few"}
    daemon.stop()
    assert ("event=token.scope" in daemon.log) == (policy is None)


def test_OA12_more_scopes_than_asked_for_are_told(start, token_server, upstream):
    server = token_server(token_answer("many", extra=', "scope": "api:read api:admin"'))
    daemon = start(one_route(server.credential(granted_scopes="refuse"), upstream.url))
    assert daemon.ask().status == 200
    daemon.wait_log('event=token.scope credential=main asked=api:read granted="api:read api:admin"')
