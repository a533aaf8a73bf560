# SPDX-License-Identifier: MIT
"""The token's journey with everything in order: who shares a token, how many are fetched, when they are renewed."""
import base64
import concurrent.futures
import re
import socket
import threading
import time

import pytest
from conftest import one_route
from kit.auth_server import BASIC, OTHER, POST
from kit.process import wait_until
from kit.scripted import send_json, token_answer


def two_routes(credentials, url, first="", second=""):
    return (
        f"{credentials}\n[upstream api]\nurl = {url}\n"
        f"[route one]\nmatch = /one\n{first}\n[route two]\nmatch = /two\n{second}\n"
    )


def ask_at_once(daemon, targets):
    """One connection for each target; all requests are sent before the first answer is read."""
    clients = [daemon.client() for _ in targets]
    for client, target in zip(clients, targets):
        client.request(target=target)
    answers = [client.response() for client in clients]
    for client in clients:
        client.close()
    return answers


@pytest.mark.parametrize("workers", [1, 2])
def test_T07_cold_start_makes_one_token_request_per_slot(start, auth, upstream, workers):
    routes = two_routes(auth.credential(), upstream.url, "scopes = api:read", "scopes = api:write")
    daemon = start(routes, f"workers = {workers}")
    answers = ask_at_once(daemon, ["/one", "/two"] * 100)
    assert [answer.status for answer in answers] == [200] * 200
    assert sorted(request["scope"] for request in auth.requests()) == ["api:read", "api:write"]
    assert len(set(upstream.tokens())) == 2


def test_routes_with_the_same_scope_set_share_a_token(start, auth, upstream):
    routes = two_routes(
        auth.credential(), upstream.url, "scopes = api:read api:write", "scopes = api:write api:read api:read"
    )
    daemon = start(routes)
    assert [daemon.ask(target=target).status for target in ("/one", "/two")] == [200, 200]
    assert [request["scope"] for request in auth.requests()] == ["api:read api:write"]
    assert len(set(upstream.tokens())) == 1


def test_scopes_of_the_credential_are_added(start, auth, upstream):
    daemon = start(one_route(auth.credential(scopes="api:admin"), upstream.url))
    daemon.ask()
    assert auth.requests()[0]["scope"] == "api:admin api:read"


@pytest.mark.parametrize(
    "first, second",
    [
        ("scopes = api:read", "scopes = api:write"),
        ("resource = urn:ttl:1000", "resource = urn:ttl:2000"),
        ("credential = main", "credential = other"),
    ],
    ids=["scope", "resource", "client"],
)
def test_T01_what_differs_has_a_token_of_its_own(start, auth, upstream, first, second):
    credentials = auth.credential() + (auth.credential("other", OTHER) if "credential" in first else "")
    daemon = start(two_routes(credentials, upstream.url, first, second))
    for target in ("/one", "/two", "/one", "/two"):
        assert daemon.ask(target=target).status == 200
    one, two = upstream.tokens()[:2]
    assert one != two
    assert upstream.tokens() == [one, two, one, two]
    assert len(auth.requests()) == 2


def test_T01_audiences_have_tokens_of_their_own(start, token_server, upstream):
    server = token_server(token_answer("one"), token_answer("two"))
    daemon = start(two_routes(server.credential(), upstream.url, "audience = a", "audience = b"))
    for target in ("/one", "/two", "/one"):
        daemon.ask(target=target)
    assert upstream.tokens() == ["one", "two", "one"]
    assert [b"audience=a" in request.body for request in server.requests] == [True, False]


def test_T01_a_wrong_secret_gets_nobody_elses_token(start, auth, upstream):
    wrong = auth.credential("wrong", {**BASIC, "client_secret": "wrong"})
    routes = two_routes(
        auth.credential() + wrong,
        upstream.url,
        "credential = main\nscopes = api:read",
        "credential = wrong\nscopes = api:read",
    )
    daemon = start(routes)
    assert daemon.ask(target="/one").status == 200
    assert daemon.ask(target="/two").kind == "token-refused"
    assert len(upstream.requests) == 1


def test_T02_joined_names_do_not_make_equal_tokens(start, token_server, upstream):
    server = token_server(token_answer("one"), token_answer("two"))
    credentials = server.credential("a", client_id="ab", audience="c") + server.credential(
        "b", client_id="a", audience="bc"
    )
    daemon = start(two_routes(credentials, upstream.url, "credential = a", "credential = b"))
    daemon.ask(target="/one")
    daemon.ask(target="/two")
    assert upstream.tokens() == ["one", "two"]


@pytest.mark.parametrize("told", [None, "0", "-5", "null", "true", '"soon"', '"-1"', "[]", "0.4"])
def test_T03_a_lifetime_that_tells_nothing_is_the_default(start, token_server, upstream, told):
    """Neither immortal nor fetched for each request: default_ttl, here 2 s, of which 1 s is used."""
    server = token_server(token_answer("a", told), token_answer("b", told))
    daemon = start(one_route(server.credential(default_ttl="2s", clock_skew="1s"), upstream.url))
    for _ in range(5):
        assert daemon.ask().status == 200
    assert len(server.requests) == 1
    wait_until(lambda: daemon.ask().status == 200 and upstream.last.token == "b", 5, "a second token")


@pytest.mark.parametrize("told", ["2", '"2"', "2.5"])
def test_T03_a_lifetime_is_believed_as_number_and_as_text(start, token_server, upstream, told):
    server = token_server(token_answer("a", told), token_answer("b", 3600))
    daemon = start(one_route(server.credential(default_ttl="1h", clock_skew="0s"), upstream.url))
    assert daemon.ask().status == 200 and daemon.ask().status == 200
    assert len(server.requests) == 1
    wait_until(lambda: daemon.ask().status == 200 and upstream.last.token == "b", 5, "a second token")


@pytest.mark.parametrize(
    "told", ["3600", '"3600"', "3600.5", "99999999999999999999999", "1e300", '"99999999999999999999"']
)
def test_T03_a_long_lifetime_is_cached(start, token_server, upstream, told):
    server = token_server(token_answer("a", told), token_answer("b", told))
    daemon = start(one_route(server.credential(default_ttl="1s"), upstream.url))
    deadline = time.monotonic() + 1.5  # longer than default_ttl: it must not have been used
    while time.monotonic() < deadline:
        assert daemon.ask().status == 200
    assert set(upstream.tokens()) == {"a"}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_upstream_is_connected_to_while_the_token_is_fetched(start, token_server, scripted, certs, tls):
    """The token comes only once each who waits has a connection, so that none can have waited for it; and keepalive,
    which is about what nobody waits for, closes none of them."""
    upstream = scripted(certs=certs if tls else None)

    def behind_the_connection(exchange):
        wait_until(lambda: upstream.connections == 4, 10, "a connection for each who waits")
        send_json(exchange, token_answer("one"))

    server = token_server(behind_the_connection)
    settings = "keepalive = 1\n" + (f"ca_file = {certs.ca}" if tls else "")
    daemon = start(one_route(server.credential(), upstream.url, upstream=settings), "workers = 1")
    answers = ask_at_once(daemon, ["/x"] * 4)
    assert [answer.status for answer in answers] == [200] * 4
    assert {request.connection for request in upstream.requests} == {1, 2, 3, 4}
    assert upstream.connections == 4


def connections_until_now(upstream):
    """Of others. Connections are accepted in the order they were made, and this one is the last."""
    with socket.create_connection(("127.0.0.1", upstream.port), 10) as last:
        last.sendall(b"GET /last HTTP/1.1\r\n\r\n")
        assert last.recv(1 << 16)
        return upstream.connections - 1


def test_a_connection_that_was_opened_in_vain_serves_the_next(start, token_server, upstream):
    """The token is refused once the connection is there, and a request whose token can be had uses it. While the slot
    is held off none is opened for it."""

    def refuse(exchange):
        wait_until(lambda: upstream.connections == 1, 10, "the connection")
        exchange.answer("400 Bad Request", b'{"error": "invalid_scope"}')

    broken, sound = token_server(refuse), token_server(token_answer("one"))
    credentials = broken.credential("broken") + sound.credential("sound")
    routes = two_routes(credentials, upstream.url, "credential = broken", "credential = sound")
    daemon = start(routes, "workers = 1")
    assert daemon.ask(target="/one").status == 502
    assert upstream.connections == 1 and not upstream.requests
    assert daemon.ask(target="/two").status == 200
    assert upstream.connections == 1 and upstream.last.token == "one"
    upstream.drop_connections()
    assert [daemon.ask(target="/one").status for _ in range(5)] == [502] * 5
    assert len(broken.requests) == 1
    assert connections_until_now(upstream) == 1


@pytest.mark.parametrize("delay, status, asked", [(0, 502, 1), (1.5, 200, 2)], ids=["at once", "late"])
def test_a_connection_that_waited_long_may_have_been_given_up(start, token_server, scripted, delay, status, asked):
    """Opened while the token was fetched, and closed by the upstream when the request comes: only one that waited for a
    while before is a reason to ask again."""
    upstream = scripted(lambda exchange: exchange.close() if exchange.connection.number == 1 else exchange.answer())

    def behind_the_connection(exchange):
        wait_until(lambda: upstream.connections == 1, 10, "the connection")
        time.sleep(delay)
        send_json(exchange, token_answer("one"))

    server = token_server(behind_the_connection)
    daemon = start(one_route(server.credential(), upstream.url), "workers = 1")
    assert daemon.ask().status == status
    assert len(upstream.requests) == asked


def test_T08_a_slow_token_endpoint_does_not_stop_who_has_a_token(start, token_server, upstream):
    reached, go_on = threading.Event(), threading.Event()

    def slow(exchange):
        reached.set()
        assert go_on.wait(20)
        send_json(exchange, token_answer("slow"))

    fast, waiting = token_server(token_answer("fast")), token_server(slow)
    credentials = fast.credential("fast") + waiting.credential("slow")
    daemon = start(two_routes(credentials, upstream.url, "credential = fast", "credential = slow"), "workers = 1")
    with daemon.client() as stuck:
        stuck.request(target="/two")
        assert reached.wait(10)
        for _ in range(20):
            assert daemon.ask(target="/one").status == 200
        assert set(upstream.tokens()) == {"fast"}
        go_on.set()
        assert stuck.response().status == 200
    assert upstream.last.token == "slow"


def test_T08_a_slow_renewal_stops_nobody(start, token_server, upstream):
    """The token is due and its renewal hangs: it goes on being used until it expires."""
    reached, go_on = threading.Event(), threading.Event()

    def slow(exchange):
        reached.set()
        assert go_on.wait(20)
        exchange.close()

    server = token_server(token_answer("first", 8), slow)
    daemon = start(one_route(server.credential(clock_skew="1s"), upstream.url))
    wait_until(lambda: daemon.ask().status == 200 and reached.is_set(), 10, "renewal under way")
    for _ in range(5):
        assert daemon.ask().status == 200
    assert set(upstream.tokens()) == {"first"}
    go_on.set()


def test_renewal_happens_ahead_of_expiry(start, auth, upstream):
    """Tokens of 4 s from the real server, used all the time: after the first, none is fetched because there is none."""
    daemon = start(one_route(auth.credential(resource="urn:ttl:4", clock_skew="1s"), upstream.url), "workers = 2")
    deadline = time.monotonic() + 9
    with daemon.client() as client:
        while time.monotonic() < deadline:
            assert client.ask().status == 200
            time.sleep(0.002)
    daemon.stop()
    reasons = re.findall("event=token.fetched.* reason=(\\w+)", daemon.log)
    assert len(auth.requests()) == len(reasons) >= 3
    assert reasons[0] == "cold" and set(reasons[1:]) <= {"renewal", "due"}, reasons
    assert set(upstream.tokens()) == {request["access_token"] for request in auth.requests()}


def test_nobody_waits_for_a_renewal(start, token_server, upstream):
    """Each token request takes a second. After the first, no request does."""

    def slow(exchange):
        time.sleep(1)
        send_json(exchange, token_answer(f"token-{len(server.requests)}", 5))

    server = token_server(slow)
    daemon = start(one_route(server.credential(clock_skew="500ms"), upstream.url), "workers = 2")
    slowest, deadline = 0, time.monotonic() + 10
    with daemon.client() as client:
        client.ask()
        while time.monotonic() < deadline:
            before = time.monotonic()
            assert client.ask().status == 200
            slowest = max(slowest, time.monotonic() - before)
            time.sleep(0.002)
    assert len(set(upstream.tokens())) >= 3
    assert slowest < 0.8


def test_an_unused_token_is_not_renewed(start, token_server, upstream):
    server = token_server(token_answer("a", 2), token_answer("b", 2))
    daemon = start(one_route(server.credential(clock_skew="0s"), upstream.url))
    daemon.ask()
    # Its first user wants the renewal; that one is used by nobody, and there it ends.
    time.sleep(5)
    assert len(server.requests) <= 2
    assert daemon.ask().status == 200


def test_T09_the_same_token_again_makes_no_loop(start, token_server, upstream):
    """A server that hands out one token with the time that is left of it."""
    end = time.monotonic() + 3

    def remaining(exchange):
        left = max(end - time.monotonic(), 0.05)
        send_json(exchange, token_answer("same", f"{left:.3f}"))

    server = token_server(remaining)
    daemon = start(one_route(server.credential(clock_skew="0s"), upstream.url))
    while time.monotonic() < end + 2:
        daemon.ask()
    assert 1 <= len(server.requests) <= 8


def test_T09_short_tokens_are_used_in_spite_of_large_margins(start, token_server, upstream):
    server = token_server(token_answer("a", 16), token_answer("b", 16))  # renewed after four
    daemon = start(one_route(server.credential(clock_skew="10m", refresh_before="1h"), upstream.url))
    for _ in range(20):
        assert daemon.ask().status == 200
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", [BASIC, POST], ids=["basic", "post"])
def test_T14_credentials_go_one_way_only(start, auth, upstream, client):
    """Reserved characters in both; the real server decodes them as RFC 6749 says."""
    daemon = start(one_route(auth.credential(client=client), upstream.url))
    assert daemon.ask().status == 200
    (request,) = auth.requests()
    assert request["client_id"] == client["client_id"]
    assert (request["in_header"], request["in_body"]) == (client is BASIC, client is POST)


def test_a_public_client_sends_its_name_only(start, token_server, upstream):
    server = token_server()
    daemon = start(
        one_route(server.credential(auth_method="none").replace("client_secret = secret\n", ""), upstream.url)
    )
    assert daemon.ask().status == 200
    assert sorted(server.last.body.split(b"&")) == [
        b"client_id=client",
        b"grant_type=client_credentials",
        b"scope=api%3Aread",
    ]
    assert server.last.get("Authorization") is None


@pytest.mark.parametrize(
    "encoding, expected",
    [
        # Appendix B's encoding, each part by itself
        ("form", b"1PpG%2FQ+1:z%2FtZ9VwFZqApmIQ%2BZH1I5pLk%2FuB4ud%3AX%2F8bL%2BwfFTt1rFw%3D"),
        ("raw", b"1PpG/Q 1:z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X/8bL+wfFTt1rFw="),
    ],
)
def test_T14_basic_encoding(start, token_server, upstream, encoding, expected):
    server = token_server()
    client = {"client_id": "1PpG/Q 1", "client_secret": "z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X/8bL+wfFTt1rFw="}
    daemon = start(one_route(server.credential(**client, basic_encoding=encoding), upstream.url))
    assert daemon.ask().status == 200
    assert server.last.get("Authorization") == "Basic " + base64.b64encode(expected).decode()
    assert b"client_id=" not in server.last.body and b"client_secret=" not in server.last.body


def test_OA1_the_token_request(start, token_server, upstream):
    server = token_server()
    settings = {"audience": "https://a.example/x?y", "resource": "urn:a urn:b"}
    daemon = start(one_route(server.credential(**settings, token_url=f"{server.token_url}?tenant=1"), upstream.url))
    assert daemon.ask().status == 200
    request = server.last
    assert request.line == "POST /token?tenant=1 HTTP/1.1"
    assert request.get("Content-Type") == "application/x-www-form-urlencoded"
    assert request.get("Accept") == "application/json"
    assert request.get("Cookie") is None and request.get("Referer") is None
    assert sorted(request.body.decode().split("&")) == [
        "audience=https%3A%2F%2Fa.example%2Fx%3Fy",
        "grant_type=client_credentials",
        "resource=urn%3Aa",
        "resource=urn%3Ab",
        "scope=api%3Aread",
    ]


@pytest.mark.parametrize("token_type", ["bearer", "BEARER", "Bearer"])
def test_T15_the_scheme_is_ours(start, token_server, upstream, token_type):
    answer = "200 OK", f'{{"access_token": "abc", "token_type": "{token_type}", "expires_in": 60}}'
    daemon = start(one_route(token_server(answer).credential(), upstream.url))
    assert daemon.ask().status == 200
    assert upstream.last.get("Authorization") == "Bearer abc"


@pytest.mark.parametrize("token_type", ['"mac"', '"BearerToken"', "7", "null"])
def test_T15_other_token_types_are_not_used(start, token_server, upstream, token_type):
    answer = "200 OK", f'{{"access_token": "abc", "token_type": {token_type}, "expires_in": 60}}'
    daemon = start(one_route(token_server(answer).credential(), upstream.url))
    assert daemon.ask().kind == "token-malformed"
    assert upstream.requests == []


def test_a_credential_may_use_another_field(start, auth, upstream):
    daemon = start(one_route(auth.credential(header="VZ-M2M-Token", prefix=""), upstream.url))
    daemon.ask(fields=[("Authorization", "Bearer mine"), ("vz-m2m-token", "mine, too")])
    assert upstream.last.get("VZ-M2M-Token") == auth.requests()[0]["access_token"]
    assert b"mine" not in upstream.last.head


def test_a_route_may_send_two_credentials(start, auth, token_server, upstream):
    credentials = auth.credential() + token_server(token_answer("second")).credential(
        "gate", header="X-Gate", prefix="Key"
    )
    daemon = start(one_route(credentials, upstream.url, route="credential = main gate"))
    assert daemon.ask().status == 200
    assert upstream.last.get("X-Gate") == "Key second"
    assert upstream.last.token == auth.requests()[0]["access_token"]


def test_a_route_may_send_none(start, auth, upstream):
    daemon = start(one_route(auth.credential(), upstream.url).replace("scopes = api:read", "credential = none"))
    assert daemon.ask(fields=[("Authorization", "Bearer mine")]).status == 200
    assert auth.requests() == []
    assert upstream.last.get("Authorization") is None


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_T17_a_newline_at_a_secret_files_end_is_no_part_of_it(start, auth, upstream, tmp_path, ending):
    secret = tmp_path / "secret"
    secret.write_bytes(BASIC["client_secret"].encode() + ending.encode())
    secret.chmod(0o600)
    daemon = start(one_route(auth.credential(client_secret=f"file:{secret}"), upstream.url))
    for _ in range(3):
        assert daemon.ask().status == 200
    assert len(auth.requests()) == 1  # a secret from a file switches no caching off


def test_T17_a_rotated_secret_is_noticed_without_restart(start, auth, upstream, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not the right one\n")
    secret.chmod(0o600)
    daemon = start(one_route(auth.credential(client_secret=f"file:{secret}"), upstream.url))
    assert daemon.ask().kind == "token-refused"
    secret.write_text(BASIC["client_secret"] + "\n")
    wait_until(lambda: daemon.ask().status == 200, 15, "the new secret in use")
    assert [request["status"] for request in auth.requests()] == [401, 200]


def test_secrets_from_the_environment(start, auth, upstream):
    daemon = start(
        one_route(auth.credential(client_secret="env:APP_SECRET"), upstream.url),
        env={"APP_SECRET": BASIC["client_secret"]},
    )
    assert daemon.ask().status == 200


def test_secrets_from_the_credentials_folder(start, auth, upstream, tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    (folder / "app").write_text(BASIC["client_secret"])
    (folder / "app").chmod(0o400)
    daemon = start(
        one_route(auth.credential(client_secret="credential:app"), upstream.url),
        env={"CREDENTIALS_DIRECTORY": str(folder)},
    )
    assert daemon.ask().status == 200


def test_T19_without_scopes_there_is_no_scope_parameter(start, token_server, upstream):
    server = token_server()
    daemon = start(one_route(server.credential(), upstream.url).replace("scopes = api:read", ""))
    assert daemon.ask().status == 200
    assert server.last.body == b"grant_type=client_credentials"


def test_many_slots_fetch_side_by_side(start, auth, upstream):
    """40 routes with a token each, asked for at once by 8 threads: each is fetched once."""
    routes = "".join(
        f"[route r{i}]\nmatch = /{i}\nscopes = api:read\nresource = urn:ttl:{1000 + i}\n" for i in range(40)
    )
    daemon = start(f"{auth.credential()}\n[upstream api]\nurl = {upstream.url}\n{routes}", "workers = 2")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: daemon.ask(target=f"/{i % 40}").status, range(160)))
    assert answers == [200] * 160
    assert len(auth.requests()) == 40
