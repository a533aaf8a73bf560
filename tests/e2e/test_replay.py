# SPDX-License-Identifier: MIT
"""401 from the upstream: a newer token is got and the request sent once more, and never is that a storm."""
import collections
import concurrent.futures
import threading

import pytest
from conftest import one_route
from kit.process import wait_until
from kit.scripted import token_answer

CHALLENGE = 'Bearer realm="api", error="invalid_token"'


def accepts(*good, challenge=CHALLENGE):
    """An upstream that takes these tokens and answers 401 to all others."""

    def on(exchange):
        exchange.read_body()
        if exchange.request.token in good:
            exchange.answer(body=exchange.request.body)
        else:
            exchange.answer("401 Unauthorized", b"who?", [("WWW-Authenticate", challenge)] if challenge else [])

    return on


@pytest.fixture
def old_and_new(start, token_server, scripted):
    """(daemon, token server, upstream): the first token is refused, the second one taken."""

    def make(route="", on=None, answers=("old", "new"), proxy="", **settings):
        server = token_server(*map(token_answer, answers))
        upstream = scripted(on=on or accepts("new"))
        return start(one_route(server.credential(**settings), upstream.url, route), proxy), server, upstream

    return make


@pytest.mark.parametrize("challenge", [CHALLENGE, "Bearer", "Basic realm=x, Bearer error=invalid_token", None])
def test_BT4_a_refused_token_is_replaced_and_the_request_sent_again(old_and_new, challenge):
    daemon, server, upstream = old_and_new(on=accepts("new", challenge=challenge))
    assert daemon.ask(target="/x?y=1", fields=[("X-A", "b")]).status == 200
    assert upstream.tokens() == ["old", "new"]
    assert [request.line for request in upstream.requests] == ["GET /x?y=1 HTTP/1.1"] * 2
    assert upstream.last.get("X-A") == "b"
    assert len(server.requests) == 2
    assert daemon.ask().status == 200 and upstream.last.token == "new"


@pytest.mark.parametrize("workers", [1, 2])
def test_T10_a_hundred_refusals_at_once_make_one_token_request(old_and_new, workers):
    """All are sent with the old token before the first is refused."""
    all_there = threading.Barrier(100)

    def on(exchange):
        if exchange.request.token == "old":
            all_there.wait(20)
        accepts("new")(exchange)

    daemon, server, upstream = old_and_new(on=on, proxy=f"workers = {workers}")
    clients = [daemon.client() for _ in range(100)]
    for number, client in enumerate(clients):
        client.request(target=f"/{number}")
    assert {client.response().status for client in clients} == {200}
    assert len(server.requests) == 2
    assert set(collections.Counter(request.target for request in upstream.requests).values()) == {2}
    assert "event=token.refused_again" not in daemon.log, "the new one was held to be refused"
    for client in clients:
        client.close()


def test_T10_a_late_refusal_of_the_old_token_spares_the_new_one(old_and_new):
    """A request that was sent with the old token is refused when the new one has long been there."""
    reached, go_on = threading.Event(), threading.Event()

    def on(exchange):
        if exchange.request.target == "/late" and exchange.request.token == "old":
            reached.set()
            assert go_on.wait(20)
        accepts("new")(exchange)

    daemon, server, upstream = old_and_new(on=on, answers=("old", "new", "needless"))
    with daemon.client() as late:
        late.request(target="/late")
        assert reached.wait(10)
        assert daemon.ask().status == 200
        go_on.set()
        assert late.response().status == 200
    assert len(server.requests) == 2
    assert "event=token.refused_again" not in daemon.log, "the new one was held to be refused"
    assert upstream.last.token == "new"


def test_T10_a_token_that_is_refused_for_ever_makes_no_storm(old_and_new):
    """Each answer is the upstream's own 401; the token requests are few."""
    daemon, server, upstream = old_and_new(on=accepts(), answers=[f"token-{number}" for number in range(100)])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: daemon.ask(), range(400)))
    assert {answer.status for answer in answers} == {401}
    assert {answer.body for answer in answers} == {b"who?"}
    assert answers[0].get("WWW-Authenticate") == CHALLENGE
    assert len(server.requests) <= 3
    assert len(upstream.requests) <= 2 * 400
    daemon.wait_log("event=token.refused_again")


def test_T10_the_same_token_again_is_no_newer_one(old_and_new):
    """The authorization server insists on the token that the upstream refuses."""
    daemon, server, upstream = old_and_new(on=accepts(), answers=("same",))
    for _ in range(20):
        assert daemon.ask().status == 401
    assert len(server.requests) <= 3
    assert len(upstream.requests) <= 22, "a request was sent again with the same token"


def test_BT5_insufficient_scope_is_passed_on(old_and_new):
    challenge = 'Bearer error="insufficient_scope", scope="api:admin"'
    daemon, server, upstream = old_and_new(on=accepts(challenge=challenge))
    answer = daemon.ask()
    assert (answer.status, answer.get("WWW-Authenticate")) == (401, challenge)
    assert (len(server.requests), len(upstream.requests)) == (1, 1)
    daemon.wait_log("event=request.insufficient_scope route=all .*asked=\"?api:read")


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize("route", ["", "replay_on_401 = no"])
def test_BT5_insufficient_scope_is_told_in_the_log(old_and_new, status, route):
    """With what was asked for and what was granted (RFC 6750, 3.1 has it in a 403)."""
    fields = [("WWW-Authenticate", 'Bearer error="insufficient_scope"')]
    daemon, server, upstream = old_and_new(route, on=lambda exchange: exchange.answer(status, b"no", fields))
    server.answers = [token_answer("t", extra=', "scope": "api:less"')]
    assert daemon.ask().status == int(status[:3])
    daemon.wait_log("event=request.insufficient_scope .*route=all .*asked=\"?api:read\"? .*granted=\"?api:less", timeout=3)


def test_BT5_a_403_is_passed_on(old_and_new):
    daemon, server, upstream = old_and_new(on=lambda exchange: exchange.answer("403 Forbidden", b"no"))
    assert daemon.ask().status == 403
    assert (len(server.requests), len(upstream.requests)) == (1, 1)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 1000, 60000])
def test_T11_a_body_is_sent_again_byte_for_byte(old_and_new, size, chunked):
    daemon, server, upstream = old_and_new()
    body = bytes(number * 7 % 251 for number in range(size))
    if chunked:
        coded = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        with daemon.client() as client:
            client.send(client.head("POST", fields=[("Transfer-Encoding", "chunked")]).encode() + coded)
            answer = client.response()
    else:
        answer = daemon.ask("POST", body=body)
    assert (answer.status, answer.body) == (200, body)
    assert [request.body for request in upstream.requests] == [body, body]


@pytest.mark.parametrize(
    "limit, size, times",
    [("1k", 1024, 2), ("1k", 1025, 1), ("0", 1, 1), ("0", 0, 2), ("256k", 262144, 2), ("64k", 300000, 1)],
)
def test_T11_replay_limit(old_and_new, limit, size, times):
    daemon, server, upstream = old_and_new(f"replay_limit = {limit}")
    answer = daemon.ask("PUT", body=b"x" * size)
    assert answer.status == (200 if times == 2 else 401)
    assert [request.body for request in upstream.requests] == [b"x" * size] * times
    # The token is known to be refused all the same: the next request need not find out again.
    assert daemon.ask().status == 200


@pytest.mark.parametrize(
    "setting, method, times",
    [
        ("yes", "GET", 2), ("yes", "POST", 2), ("yes", "DELETE", 2),
        ("no", "GET", 1), ("no", "POST", 1),
        ("safe-methods", "GET", 2), ("safe-methods", "HEAD", 2), ("safe-methods", "OPTIONS", 2),
        ("safe-methods", "POST", 1), ("safe-methods", "PUT", 1), ("safe-methods", "DELETE", 1),
    ],
)  # fmt: skip
def test_T11_which_methods_are_sent_again(old_and_new, setting, method, times):
    daemon, server, upstream = old_and_new(f"replay_on_401 = {setting}")
    answer = daemon.ask(method, body=b"x" if method in ("POST", "PUT") else None)
    assert answer.status == (200 if times == 2 else 401)
    assert len(upstream.requests) == times


@pytest.mark.parametrize("route, body", [("replay_on_401 = no", None), ("replay_limit = 0", b"x")], ids=["no", "body"])
def test_BT4_who_is_not_sent_again_gets_a_newer_token_next_time(old_and_new, route, body):
    """The 401 is passed on, but the token that was refused is not used for ever."""
    daemon, server, upstream = old_and_new(route)
    assert daemon.ask("POST", body=body).status == 401
    wait_until(lambda: daemon.ask("POST", body=body).status == 200, 5, "the newer token")
    assert len(server.requests) == 2


def test_a_401_without_a_token_of_ours_is_none_of_our_business(start, token_server, scripted):
    upstream = scripted(on=accepts())
    server = token_server()
    route = one_route(server.credential(), upstream.url).replace("scopes = api:read", "credential = none")
    assert start(route).ask().status == 401
    assert (len(server.requests), len(upstream.requests)) == (0, 1)


def test_no_newer_token_to_be_had_and_the_401_is_passed_on(old_and_new, token_server, start, scripted):
    """The authorization server is down when the newer token is wanted: the upstream's answer, not ours."""
    server, upstream = token_server(token_answer("old"), ("500 Oops", "{}")), scripted(on=accepts())
    daemon = start(one_route(server.credential(), upstream.url))
    for _ in range(10):
        answer = daemon.ask()
        assert (answer.status, answer.body) == (401, b"who?")
    assert 2 <= len(server.requests) <= 3


def test_the_answer_after_the_replay_is_streamed_whole(old_and_new):
    body = b"z" * (1 << 20)

    def on(exchange):
        accepted = exchange.request.token == "new"
        exchange.answer("200 OK" if accepted else "401 Unauthorized", body if accepted else b"x" * 5000)

    daemon, server, upstream = old_and_new(on=on)
    with daemon.client() as client:
        for _ in range(3):
            assert client.ask().body == body
    assert len(upstream.requests) == 4

