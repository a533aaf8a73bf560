# SPDX-License-Identifier: MIT
"""/status.json: what docs/admin.md says it holds, true, and safe to show whatever peers say."""
import concurrent.futures
import json
import re
import time

import pytest
from conftest import one_route
from kit.bearerd import ROOT
from kit.process import wait_until
from kit.scripted import send_json, token_answer

HOSTILE = "<script>alert(1)</script>\"'\\ \u2028 \x1b[31m &amp; ${x}"


def keys_of(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def wait_status(daemon, condition, what="condition"):
    return wait_until(lambda: condition(document := daemon.admin.status()) and document, 10, what)


def test_every_member_is_documented(start, token_server, upstream, tmp_path):
    """With a token, failures of both kinds, a hook and a store, so that nothing is left out."""
    server = token_server(("503 Busy", "{}"), token_answer("one"))
    ini = one_route(server.credential(on_token_update="/bin/cat", audience="https://a.example"), upstream.url)
    daemon = start(ini + f"[store]\nurl = sqlite:{tmp_path}/t.db\nkey = a key of sixteen bytes or more\n")
    upstream.on = lambda exchange: (exchange.read_body(), exchange.close())
    wait_until(lambda: daemon.ask().kind == "upstream-closed", 10, "a token")
    document = wait_status(daemon, lambda status: len(status["failures"]) == 2)
    page = (ROOT / "docs/admin.md").read_text().split("## status.json")[1]
    documented = set(re.findall(r"`(\w+)`", page)) | {"1xx", "2xx", "3xx", "4xx", "5xx", "none"}
    documented |= {"taken", "refused", "none_newer", "not_possible", "nonce"}  # as metrics have them
    documented |= set(re.findall(r"`(\w+)`", (ROOT / "docs/admin.md").read_text().split("bearerd_upstream_failures_total")[1].split("\n")[0]))
    assert set(keys_of(document)) <= documented
    assert document["schema"] == 1


def test_the_life_of_a_token(start, token_server, upstream):
    server = token_server(token_answer("one", 1000, ', "scope": "api:other"'))
    daemon = start(one_route(server.credential(clock_skew="10s", refresh_before="100s"), upstream.url))
    [token] = daemon.admin.status()["tokens"]
    assert (token["credential"], token["scope"], token["state"], token["token"], token["failure"]) == ("main", "api:read", "none", None, None)
    assert token["routes"] == ["all"] and token["source"] == "oauth" and token["header"] == "Authorization"
    began = time.time()
    daemon.ask()
    document = daemon.admin.status()
    [token] = document["tokens"]
    life = token["token"]
    assert token["state"] == "valid" and token["counts"]["tokens"] == 1
    assert began - 1 < life["fetched_at"] < document["now"] < life["renew_at"] < life["unusable_at"] < life["expires_at"]
    assert abs(life["expires_at"] - life["fetched_at"] - 1000) < 5
    assert abs(life["expires_at"] - life["unusable_at"] - 10) < 0.01
    assert 890 - 15 < life["renew_at"] - life["fetched_at"] < 890 + 15
    assert life["granted_scope"] == "api:other" and life["in_use"] and not life["bound"]
    assert re.fullmatch("[0-9a-f]{8}", life["fingerprint"]) and f"fingerprint={life['fingerprint']}" in daemon.log
    assert document["routes"][0]["tokens"] == [0]


def test_a_failure_with_cause_and_remedy(start, token_server, upstream):
    refusal = ("401 Unauthorized", json.dumps({"error": "invalid_client", "error_description": "no such client"}))
    daemon = start(one_route(token_server(refusal).credential(), upstream.url))
    daemon.ask()
    document = daemon.admin.status()
    failure = document["tokens"][0]["failure"]
    assert (failure["kind"], failure["error"], failure["status"], failure["in_a_row"]) == ("refused", "invalid_client", 401, 1)
    assert "no such client" in failure["cause"]
    assert failure["at"] <= document["now"] < failure["retry_at"]
    [entry] = document["failures"]
    assert (entry["of"], entry["credential"], entry["scope"], entry["kind"], entry["count"]) == ("token", "main", "api:read", "refused", 1)
    assert entry["cause"] == failure["cause"]
    assert "client_secret" in entry["remedy"]


def test_upstream_failures_are_counted_in_one_place(simple, upstream):
    """However many: told once a second, counted all."""
    upstream.on = lambda exchange: (exchange.read_body(), exchange.close())
    daemon = simple("workers = 1")
    for _ in range(5):
        assert daemon.ask().kind == "upstream-closed"
    time.sleep(1.1)  # that is what the second is about
    daemon.ask()
    document = wait_status(daemon, lambda status: status["failures"] and status["failures"][0]["count"] == 6)
    [entry] = document["failures"]
    assert (entry["of"], entry["upstream"], entry["route"], entry["kind"]) == ("upstream", "api", "all", "closed")
    assert "log" in entry["remedy"] and entry["first_at"] < entry["at"]
    assert document["upstreams"][0]["failures"]["closed"] == 6


def test_each_kind_has_its_own_count(simple, upstream):
    """A burst of one, and later a single one of another."""

    def answer(exchange):
        exchange.read_body()
        if exchange.request.target == "/cut":
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        exchange.close()

    upstream.on = answer
    daemon = simple("workers = 1")
    for _ in range(50):
        daemon.ask(target="/closed")
    time.sleep(1.1)
    with daemon.client() as client:
        client.request(target="/cut")
        client.read_to_end(reset_is_fine=True)

    def told():
        return [(entry["kind"], entry["count"]) for entry in daemon.admin.status()["failures"]]

    wait_until(lambda: told() == [("cut", 1), ("closed", 50)], 10, "both, with their own counts")


def test_words_that_vary_are_one_failure(start, token_server, upstream):
    """Trace ids and times in what servers say: the place is one, its words are the latest."""
    count = [0]

    def answer(exchange):
        exchange.read_body()
        count[0] += 1
        said = {"error": "temporarily_unavailable", "error_description": f"AADSTS90033: A transient error. Trace ID: {count[0]:08}"}
        send_json(exchange, ("503 Busy", json.dumps(said)))

    daemon = start(one_route(token_server(answer).credential(required="yes"), upstream.url))
    wait_until(lambda: count[0] >= 3, 20, "three tries")
    [entry] = wait_status(daemon, lambda document: document["failures"][0]["count"] >= 3)["failures"]
    assert entry["error"] == "temporarily_unavailable" and f"Trace ID: {entry['count']:08}" in entry["cause"]


def test_a_5xx_that_breaks_off_failed_once(start, auth, upstream):
    def answer(exchange):
        exchange.read_body()
        if exchange.request.target != "/bad":
            return exchange.answer()
        exchange.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf")
        exchange.close()

    upstream.on = answer
    daemon = start(one_route(auth.credential(), upstream.url))
    for _ in range(4):
        daemon.ask()
    for _ in range(3):
        with daemon.client() as client:
            client.request(target="/bad")
            client.read_to_end(reset_is_fine=True)
    route = wait_until(lambda: sum((route := daemon.admin.status()["routes"][0])["recent"]["requests"]) == 7 and route, 15, "a step")
    assert (route["failed"], route["broken"], sum(route["recent"]["failed"])) == (3, 3, 3)


def test_the_latest_twenty(start, token_server, upstream):
    """The newest first; more than twenty causes push the oldest out."""
    answers = [("400 No", json.dumps({"error": f"cause_{i}"})) for i in range(30)]
    server = token_server(*answers)
    routes = "".join(f"[route r{i}]\nmatch = /r{i}\nscopes = s{i}\n" for i in range(30))
    daemon = start(f"{server.credential()}[upstream api]\nurl = {upstream.url}\n{routes}")
    for i in range(30):
        daemon.ask(target=f"/r{i}")
    failures = daemon.admin.status()["failures"]
    assert [entry["scope"] for entry in failures] == [f"s{i}" for i in range(29, 9, -1)]
    assert [re.match(r"\w+", entry["cause"]).group() for entry in failures] == [f"cause_{i}" for i in range(29, 9, -1)]


def test_what_peers_say_cannot_break_out(start, token_server, upstream):
    refusal = ("401 Unauthorized", json.dumps({"error": "invalid_client", "error_description": HOSTILE}))
    daemon = start(one_route(token_server(refusal).credential(required="yes"), upstream.url))
    daemon.wait_log("event=token.failed")
    for page in ("/status.json", "/readyz"):
        answer = daemon.admin.get(page)
        assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in answer.body)  # plain ASCII, one line
        assert answer.get("Content-Type") == "application/json"
        cause = json.loads(answer.body)["tokens" if page == "/status.json" else "missing"][0]
        cause = (cause.get("failure") or cause)["cause"]
        assert "alert(1)" in cause and "\x1b" not in cause


def test_routes_lately(start, auth, upstream):
    """Steps of five seconds: what happened in this one is there when it is over."""
    upstream.on = lambda exchange: exchange.answer("500 Oh" if exchange.request.target == "/bad" else "200 OK")
    daemon = start(one_route(auth.credential(), upstream.url))
    for target in ("/good", "/good", "/bad"):
        daemon.ask(target=target)
    document = wait_until(
        lambda: sum((status := daemon.admin.status())["routes"][0]["recent"]["requests"]) == 3 and status, 15, "a step"
    )
    route = document["routes"][0]
    assert sum(route["recent"]["failed"]) == 1 and route["failed"] == 1
    assert len(route["recent"]["requests"]) == 60 and route["recent"]["step_s"] == 5
    assert (route["requests"]["2xx"], route["requests"]["5xx"]) == (2, 1)
    assert route["duration"]["count"] == 3
    assert 0 < route["duration"]["p50_ms"] <= route["duration"]["p99_ms"]
    assert document["upstreams"][0]["without_route"]["recent"] == {"step_s": 5, "requests": [0] * 60, "failed": [0] * 60}


def test_no_query_and_no_words_of_clients(simple):
    daemon = simple()
    daemon.ask("CANARY", "/canary-path?canary=query", [("X-Canary", "canary-field")])
    daemon.ask(target="/", host="canary.example")
    text = wait_until(lambda: '"4xx":1' in (text := daemon.admin.get("/status.json").text) and text)
    assert "canary" not in text.lower()


@pytest.mark.parametrize("count", [0, 12_000])
def test_many_routes(start, auth, upstream, release, count):
    """As large as configurations get, it is one document, and nothing else waits for it for long."""
    routes = "".join(f"[route r{i}]\nmatch = /r{i}/**\nscopes = s{i % 50}\n" for i in range(count))
    daemon = start(one_route(auth.credential(), upstream.url) + routes, binary=release)
    assert daemon.ask().status == 200
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reading, longest = pool.submit(daemon.admin.status), 0
        while not reading.done():
            began = time.monotonic()
            assert daemon.admin.get("/livez").status == daemon.ask().status == 200
            longest = max(longest, time.monotonic() - began)
        document = reading.result()
    assert longest < 2
    assert len(document["routes"]) == count + 1
    assert [route["recent"] is None for route in document["routes"]].count(True) == max(0, count + 1 - 1000)
    assert daemon.ask().status == 200
