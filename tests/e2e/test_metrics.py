# SPDX-License-Identifier: MIT
"""/metrics: a format that Prometheus' own tool has nothing against, and numbers that are what happened."""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import threading

import pytest
import yaml
from conftest import one_route
from kit.bearerd import ROOT
from kit.process import wait_until
from kit.scripted import send_json, token_answer

API = {"upstream": "api", "route": "all"}
TOKEN = {"credential": "main", "scope": "api:read"}
EXAMPLES = ROOT / "conf/examples"


def promtool(*args, text=None):
    tool = shutil.which("promtool")
    assert tool, "promtool is missing; scripts/deps --test installs it"
    done = subprocess.run([tool, *map(str, args)], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ended(daemon):
    return daemon.admin.metrics().sum("bearerd_requests_total")


def wait_ended(daemon, count):
    """Requests count when their answers are out, which is a moment after the client has them."""
    wait_until(lambda: ended(daemon) == count, 10, f"{count} requests ended")
    return daemon.admin.metrics()


# -- the format ------------------------------------------------------------------------------------------


def test_promtool_has_nothing_against_it(simple, upstream):
    """Fresh, and with everything in it that can be."""
    daemon = simple(proxy="", route="", upstream_lines="")
    assert promtool("check", "metrics", text=daemon.admin.get("/metrics").text) == ""
    upstream.on = lambda exchange: exchange.answer("401 No")
    daemon.ask()
    daemon.ask(target="/a//b")
    daemon.ask("POST", "/x", body=b"123")
    metrics = wait_ended(daemon, 3)
    assert promtool("check", "metrics", text=metrics.text) == ""
    answer = daemon.admin.get("/metrics")
    assert answer.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"


def test_every_family_is_explained(simple):
    daemon = simple()
    daemon.ask()
    text = wait_ended(daemon, 1).text
    helps = re.findall(r"^# HELP (\S+) \S", text, re.M)
    types = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.M)
    assert helps == types and len(helps) == len(set(helps)) > 40
    families = {re.sub(r"_(bucket|sum|count)$", "", line.split("{")[0].split(" ")[0]) for line in text.splitlines() if line[0] != "#"}
    assert families <= set(types)


def test_documented(simple):
    """docs/admin.md has each of them, and no others."""
    daemon = simple()
    families = set(re.findall(r"^# TYPE (\S+)", daemon.admin.get("/metrics").text, re.M))
    page = (ROOT / "docs/admin.md").read_text()
    documented = set(re.findall(r"^\| `((?:bearerd|process)_\w+)`", page, re.M))
    assert families <= documented
    assert documented - families == {"bearerd_store_up", "bearerd_store_operations_total"}  # there is no store


def test_labels_come_from_the_configuration_alone(simple, upstream):
    """Whatever clients, upstreams and authorization servers say."""
    daemon = simple()
    before = set(daemon.admin.metrics().samples)
    for method in ("GET", "BREW", "X" * 100):
        daemon.ask(method, f"/some/path/{method}?q=1", [("X-Field", "value"), ("User-Agent", "canary-agent")])
    upstream.on = lambda exchange: exchange.answer("299 Odd", fields=[("Server", "canary-server")])
    daemon.ask()
    metrics = wait_ended(daemon, 4)
    labels = {label for _, have in metrics.samples for label in have}
    known = {label for _, have in before for label in have} | {("outcome", "refused"), ("outcome", "none_newer")}
    assert {(name, value) for name, value in labels - known if name != "le"} == set()
    assert "canary" not in metrics.text and "some/path" not in metrics.text


def test_names_are_escaped(start, token_server, upstream):
    """A scope may hold any printable character but quotes and backslash; an audience any."""
    server = token_server()
    ini = server.credential(audience='a"b\\c') + f"[upstream api]\nurl = {upstream.url}\n[route all]\nmatch = /**\nscopes = {{x}},y=z\n"
    daemon = start(ini)
    metrics = daemon.admin.metrics()
    assert promtool("check", "metrics", text=metrics.text) == ""
    assert metrics.get("bearerd_token_waiters", scope="{x},y=z", audience='a\\"b\\\\c') == 0


# -- requests --------------------------------------------------------------------------------------------


def test_requests_by_class(simple, upstream):
    statuses = ["200 OK", "204 Nothing", "302 Away", "404 No", "500 Oh", "503 Oh"]
    upstream.on = lambda exchange: exchange.answer(statuses[int(exchange.request.target[1:])])
    daemon = simple("workers = 1")  # so that one request alone finds no token
    for i in range(len(statuses)):
        daemon.ask(target=f"/{i}")
    metrics = wait_ended(daemon, 6)
    by_class = {name: metrics.get("bearerd_requests_total", **API, **{"class": name}) for name in ("2xx", "3xx", "4xx", "5xx", "none")}
    assert by_class == {"2xx": 2, "3xx": 1, "4xx": 1, "5xx": 2, "none": 0}
    assert metrics.get("bearerd_request_duration_seconds_count", **API) == 6
    assert metrics.get("bearerd_request_duration_seconds_bucket", **API, le="+Inf") == 6
    assert metrics.get("bearerd_upstream_first_byte_seconds_count", **API) == 6
    assert metrics.get("bearerd_token_wait_seconds_count", **API) == 1  # the first
    assert metrics.get("bearerd_requests_in_flight", **API) == 0


def test_each_route_and_upstream(start, auth, upstream, scripted):
    other = scripted()
    ini = (
        one_route(auth.credential(), upstream.url, "upstream = api", "mount = /")
        + f"[upstream other]\nurl = {other.url}\nmount = /other\nunmatched = pass\n"
        + "[route some]\nupstream = other\nmatch = /some\ncredential = none\n"
    )
    daemon = start(ini)
    for target in ("/a", "/other/some", "/other/else", "/other/else"):
        assert daemon.ask(target=target).status == 200
    assert daemon.ask(target="/", host="nobody.example").status == 403
    metrics = wait_ended(daemon, 5)
    counts = {
        (dict(labels)["upstream"], dict(labels)["route"]): value
        for (name, labels), value in metrics.samples.items()
        if name == "bearerd_request_duration_seconds_count"
    }
    assert counts == {("api", "all"): 1, ("other", "some"): 1, ("other", "-"): 2, ("-", "-"): 1}
    assert metrics.get("bearerd_requests_total", upstream="-", route="-", **{"class": "4xx"}) == 1


def test_bytes(simple, upstream):
    upstream.on = lambda exchange: (exchange.read_body(), exchange.answer(body=b"y" * 300_000))
    daemon = simple()
    daemon.ask("POST", "/", body=b"x" * 200_000)
    metrics = wait_ended(daemon, 1)
    assert metrics.get("bearerd_request_body_bytes_total", **API) == 200_000
    assert metrics.get("bearerd_response_body_bytes_total", **API) == 300_000


def test_what_is_under_way(simple, upstream):
    released = threading.Event()
    upstream.on = lambda exchange: (exchange.read_body(), released.wait(20), exchange.answer())
    daemon = simple(upstream_lines="max_connections = 2", proxy="workers = 1")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.client()) for _ in range(3)]
        for client in clients:
            client.request()
        upstream.wait_requests(2)
        wait_until(lambda: daemon.admin.metrics().get("bearerd_requests_in_flight", **API) == 3)

        def pool():
            metrics = daemon.admin.metrics()
            states = [metrics.get("bearerd_upstream_connections", upstream="api", state=state) for state in ("idle", "busy")]
            return (*states, metrics.get("bearerd_upstream_waiting", upstream="api"))

        wait_until(lambda: pool() == (0, 2, 1), 10, "two busy, one waits")
        assert daemon.admin.metrics().get("bearerd_client_connections") == 3
        released.set()
        for client in clients:
            assert client.response().status == 200
    metrics = wait_ended(daemon, 3)
    assert metrics.get("bearerd_requests_in_flight", **API) == 0
    wait_until(lambda: pool() == (2, 0, 0), 10, "two idle")
    metrics = daemon.admin.metrics()
    assert metrics.get("bearerd_upstream_connects_total", upstream="api") == 2
    assert metrics.get("bearerd_upstream_connections_max", upstream="api") == 2
    assert metrics.get("bearerd_client_connections_total") == 3


def test_who_waits_for_a_token(start, token_server, upstream):
    released = threading.Event()
    answer = token_answer("late")
    server = token_server(lambda exchange: (released.wait(20), exchange.answer(answer[0], answer[1].encode(), [("Content-Type", "application/json")])))
    daemon = start(one_route(server.credential(), upstream.url))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.client()) for _ in range(3)]
        for client in clients:
            client.request()
        wait_until(lambda: daemon.admin.metrics().get("bearerd_token_waiters", **TOKEN) == 3, 10, "three wait")
        metrics = daemon.admin.metrics()
        assert metrics.get("bearerd_requests_waiting_for_token", **API) == 3
        assert metrics.get("bearerd_token_state", **TOKEN, state="fetching") == 1
        released.set()
        for client in clients:
            assert client.response().status == 200
    metrics = wait_ended(daemon, 3)
    assert metrics.get("bearerd_token_waiters", **TOKEN) == 0
    assert metrics.get("bearerd_token_wait_seconds_count", **API) == 3
    assert metrics.get("bearerd_token_requests_total", **TOKEN, result="ok") == 1


def test_a_client_that_goes_away(simple, upstream):
    """Without an answer, and within one."""
    released = threading.Event()

    def answer(exchange):
        exchange.read_body()
        if exchange.request.target == "/slow":
            released.wait(20)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        released.wait(20)

    upstream.on = answer
    daemon = simple()
    with daemon.client() as client:
        client.request(target="/slow")
        upstream.wait_requests(1)
    metrics = wait_ended(daemon, 1)
    assert metrics.get("bearerd_requests_total", **API, **{"class": "none"}) == 1
    with daemon.client() as client:
        client.request(target="/body")
        client.read_until(b"\r\n\r\n")
    metrics = wait_ended(daemon, 2)
    released.set()
    assert metrics.get("bearerd_requests_broken_total", **API) == 1
    assert metrics.get("bearerd_requests_in_flight", **API) == 0


def test_upstream_failures(simple, upstream):
    def answer(exchange):
        exchange.read_body()
        if exchange.request.target == "/garbage":
            exchange.send(b"nonsense\r\n\r\n")
        elif exchange.request.target == "/cut":
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        exchange.close()

    upstream.on = answer
    daemon = simple(upstream_lines="first_byte_timeout = 200ms")
    assert daemon.ask(target="/closed").kind == "upstream-closed"
    assert daemon.ask(target="/garbage").kind == "upstream-malformed"
    with daemon.client() as client:
        client.request(target="/cut")
        client.read_to_end(reset_is_fine=True)
    upstream.on = lambda exchange: exchange.connection.more()
    assert daemon.ask(target="/slow").kind == "upstream-timeout"
    metrics = wait_ended(daemon, 4)
    kinds = {kind: metrics.get("bearerd_upstream_failures_total", upstream="api", kind=kind) for kind in ("closed", "malformed", "cut", "first_byte_timeout")}
    assert kinds == {"closed": 1, "malformed": 1, "cut": 1, "first_byte_timeout": 1}
    assert metrics.sum("bearerd_upstream_failures_total") == 4


def test_retries(simple, upstream):
    """The pooled connection is closed by the upstream with the request on its way."""
    daemon = simple("workers = 1")
    assert daemon.ask().status == 200
    seen = []

    def answer(exchange):
        exchange.read_body()
        seen.append(exchange.connection.number)
        if len(seen) == 1:
            exchange.close()
        else:
            exchange.answer()

    upstream.on = answer
    assert daemon.ask().status == 200
    metrics = wait_ended(daemon, 2)
    assert len(seen) == 2
    assert metrics.get("bearerd_retries_total", **API) == 1


@pytest.mark.parametrize(
    "tokens, good, body, route, outcome",
    [
        (["one", "two"], "two", b"", "", "taken"),
        (["one", "two"], "none", b"", "", "refused"),
        (["one", "one"], "none", b"", "", "none_newer"),
        (["one", "two"], "two", b"x" * 2000, "replay_limit = 1k", "not_possible"),
        (["one", "two"], "two", b"", "replay_on_401 = no", "not_possible"),
    ],
)
def test_replays(start, token_server, upstream, tokens, good, body, route, outcome):
    server = token_server(*[token_answer(token) for token in tokens])
    upstream.on = lambda exchange: exchange.answer("200 OK" if exchange.request.token == good else "401 No")
    daemon = start(one_route(server.credential(), upstream.url, route))
    daemon.ask("POST", "/", body=body)
    metrics = wait_ended(daemon, 1)
    outcomes = {dict(labels)["outcome"]: value for (name, labels), value in metrics.samples.items() if name == "bearerd_replays_total"}
    assert outcomes == {"refused": 0, "none_newer": 0, outcome: 1}


def test_outcomes_that_alerts_watch_begin_at_zero(simple):
    """A counter that is first seen with a one has not risen, as Prometheus sees it."""
    daemon = simple()
    assert "bearerd_replays_total{" not in daemon.admin.metrics().text
    daemon.ask()
    metrics = wait_ended(daemon, 1)
    assert [metrics.get("bearerd_replays_total", **API, outcome=outcome) for outcome in ("refused", "none_newer", "taken")] == [0, 0, None]


# -- tokens ----------------------------------------------------------------------------------------------


def test_the_life_of_a_token(start, token_server, upstream):
    server = token_server(token_answer("one", 3600, ', "scope": "api:other"'))
    daemon = start(one_route(server.credential(clock_skew="10s"), upstream.url))
    metrics = daemon.admin.metrics()
    assert metrics.get("bearerd_token_state", **TOKEN, state="none") == 1
    assert metrics.get("bearerd_token_expires_in_seconds", **TOKEN) is None
    assert metrics.get("bearerd_token_age_seconds", **TOKEN) is None
    daemon.ask()
    metrics = wait_ended(daemon, 1)
    assert metrics.get("bearerd_token_state", **TOKEN, state="valid") == 1
    assert sum(metrics.get("bearerd_token_state", **TOKEN, state=state) for state in ("none", "fetching", "valid", "due", "failing", "failed")) == 1
    assert 3500 < metrics.get("bearerd_token_expires_in_seconds", **TOKEN) <= 3590
    assert 0 <= metrics.get("bearerd_token_age_seconds", **TOKEN) < 60
    assert metrics.get("bearerd_token_scope_differs", **TOKEN) == 1
    assert metrics.get("bearerd_token_required", **TOKEN) == 0
    assert metrics.get("bearerd_token_retry_in_seconds", **TOKEN) == 0


@pytest.mark.parametrize(
    "answer, result, retry",
    [
        (("503 Busy", "{}"), "transient", (0, 3)),
        (("400 No", '{"error": "invalid_client"}'), "refused", (30, 60)),
        (("200 OK", "<html>"), "malformed", (0, 3)),
    ],
)
def test_failures_and_back_off(start, token_server, upstream, answer, result, retry):
    server = token_server(answer)
    daemon = start(one_route(server.credential(), upstream.url))
    daemon.ask()
    metrics = wait_ended(daemon, 1)
    assert metrics.get("bearerd_token_requests_total", **TOKEN, result=result) == 1
    assert metrics.sum("bearerd_token_requests_total", **TOKEN) == 1
    assert metrics.get("bearerd_token_state", **TOKEN, state="failed") == 1
    assert metrics.get("bearerd_token_failures_in_a_row", **TOKEN) == 1
    assert retry[0] < metrics.get("bearerd_token_retry_in_seconds", **TOKEN) <= retry[1]


def test_a_failing_renewal_is_seen_before_it_hurts(start, token_server, upstream):
    server = token_server(token_answer("one", 8), ("503 Busy", "{}"))
    daemon = start(one_route(server.credential(clock_skew="1s", refresh_before="6s"), upstream.url))
    assert daemon.ask().status == 200
    wait_until(lambda: daemon.admin.metrics().get("bearerd_token_state", **TOKEN, state="failing") == 1, 10, "failing")
    assert daemon.ask().status == 200


def test_how_long_a_renewal_can_fail_by_default(start, token_server, upstream):
    """alerts-test.yml plays a minute of it: that there is no more, and no less, is what its rule goes by."""
    daemon = start(one_route(token_server(token_answer("one", 3600)).credential(), upstream.url))
    daemon.ask()
    life = daemon.admin.status()["tokens"][0]["token"]
    assert 60 <= life["unusable_at"] - life["renew_at"] < 75


def test_a_token_whose_refetch_failed_is_valid(start, token_server, upstream):
    """An upstream refused it, and no newer one was to be had: that says nothing of its renewal, which is far away."""
    server = token_server(token_answer("one"), ("503 Busy", "{}"))
    refuses = [True]
    upstream.on = lambda exchange: exchange.answer("401 No" if refuses[0] else "200 OK")
    daemon = start(one_route(server.credential(), upstream.url))
    assert daemon.ask().status == 401
    refuses[0] = False
    assert daemon.ask().status == 200 and len(server.requests) == 2
    [token] = daemon.admin.status()["tokens"]
    assert (token["state"], token["failure"]["kind"]) == ("valid", "transient")
    assert daemon.admin.metrics().get("bearerd_token_state", **TOKEN, state="valid") == 1


def test_refusals_by_upstreams(start, token_server, upstream):
    server = token_server(token_answer("one"), token_answer("two"))
    upstream.on = lambda exchange: exchange.answer("200 OK" if exchange.request.token == "two" else "401 No")
    daemon = start(one_route(server.credential(), upstream.url))
    assert daemon.ask().status == 200
    metrics = wait_ended(daemon, 1)
    assert metrics.get("bearerd_token_refusals_total", **TOKEN) == 1
    assert metrics.get("bearerd_token_renewals_total", **TOKEN) == 1
    assert metrics.get("bearerd_token_requests_total", **TOKEN, result="ok") == 2


def test_hooks(start, token_server, upstream, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\ncat >/dev/null; exit ${BEARERD_GENERATION%1}\n")
    hook.chmod(0o700)
    server = token_server(token_answer("one", 3), token_answer("two"))
    daemon = start(one_route(server.credential(on_token_update=hook, clock_skew="1s", refresh_before="1s"), upstream.url))
    daemon.ask()
    daemon.wait_log("event=hook.done")
    wait_until(lambda: daemon.ask().status == 200 and "event=hook.failed" in daemon.log, 10, "the second run")
    metrics = daemon.admin.metrics()
    assert metrics.get("bearerd_hook_runs_total", credential="main") == 2
    assert metrics.get("bearerd_hook_failures_total", credential="main") == 1


def test_the_store(start, auth, upstream, tmp_path):
    ini = one_route(auth.credential(), upstream.url) + f"[store]\nurl = sqlite:{tmp_path}/tokens.db\nkey = a key of sixteen bytes or more\n"
    first = start(ini, name="first.ini")
    assert first.ask().status == 200
    wait_until(lambda: first.admin.metrics().get("bearerd_store_operations_total", operation="put") == 1)
    second = start(ini, name="second.ini")
    assert second.ask().status == 200
    metrics = second.admin.metrics()
    assert promtool("check", "metrics", text=metrics.text) == ""
    assert metrics.get("bearerd_store_up") == 1
    assert metrics.get("bearerd_token_requests_total", **TOKEN, result="store") == 1
    assert metrics.get("bearerd_token_requests_total", **TOKEN, result="ok") == 0
    assert second.admin.status()["tokens"][0]["counts"]["from_store"] == 1


def test_a_reload_loses_no_counts(start, token_server, upstream):
    """With another secret, it is another client's token; its name, and so its counters, are the same."""
    released = threading.Event()
    answer = token_answer("late")
    late = lambda exchange: (released.wait(20), send_json(exchange, answer))  # noqa: E731
    server = token_server(token_answer("one"), late)
    ini = one_route(server.credential(client_secret="the-first-secret"), upstream.url)
    daemon = start(ini)
    assert daemon.ask().status == 200
    daemon.reload(ini.replace("the-first-secret", "the-second-secret"))
    assert daemon.admin.metrics().get("bearerd_token_requests_total", **TOKEN, result="ok") == 1
    with daemon.client() as client:
        client.request()
        wait_until(lambda: daemon.admin.metrics().get("bearerd_token_waiters", **TOKEN) == 1, 10, "one waits")
        daemon.reload(ini.replace("the-first-secret", "the-third-secret"))
        metrics = daemon.admin.metrics()
        assert metrics.get("bearerd_token_waiters", **TOKEN) == metrics.get("bearerd_requests_waiting_for_token", **API) == 1
        assert daemon.admin.status()["tokens"][0]["waiting"] == 1
        released.set()
        assert client.response().status == 200


def test_bytes_that_are_not_text(start, token_server, upstream, tmp_path):
    """A configuration in Latin-1: one label of it must not cost the whole page."""
    daemon = start(one_route(token_server().credential(audience="caf\udce9"), upstream.url))
    text = daemon.admin.get("/metrics").body
    assert 'audience="caf\ufffd"'.encode() in text
    assert promtool("check", "metrics", text=text.decode()) == ""


# -- the process -------------------------------------------------------------------------------------------


def test_the_process(simple):
    daemon = simple("workers = 2")
    metrics = daemon.admin.metrics()
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024
    assert abs(metrics.get("process_resident_memory_bytes") - resident) < resident / 4
    assert metrics.get("process_open_fds") >= 10
    assert metrics.get("process_cpu_seconds_total") > 0
    assert metrics.get("bearerd_workers") == 2
    assert metrics.sum("bearerd_build_info") == 1
    assert metrics.get("bearerd_config_last_reload_successful") == 1
    started = metrics.get("process_start_time_seconds")
    assert abs(started - pathlib.Path(daemon.config).stat().st_mtime) < 30
    assert metrics.get("bearerd_config_last_reload_success_timestamp_seconds") >= started


def test_many_routes(start, auth, upstream, release):
    """A thousand routes of which one is used: no page of a hundred lines for each."""
    routes = "".join(f"[route r{i}]\nmatch = /r{i}/**\nscopes = api:read\n" for i in range(1000))
    daemon = start(f"{auth.credential()}[upstream api]\nurl = {upstream.url}\n{routes}", binary=release)
    assert daemon.ask(target="/r7/x").status == 200
    metrics = wait_ended(daemon, 1)
    assert metrics.get("bearerd_requests_total", route="r7", **{"class": "2xx"}) == 1
    assert metrics.text.count('route="r8"') < 15
    assert promtool("check", "metrics", text=metrics.text) == ""


# -- what comes with it -------------------------------------------------------------------------------------


def test_the_alert_rules_are_sound():
    assert "SUCCESS" in promtool("check", "rules", EXAMPLES / "prometheus-alerts.yml")


def test_rules_and_dashboard_name_metrics_that_exist(simple, upstream, tmp_path):
    daemon = simple()
    daemon.ask()
    text = wait_ended(daemon, 1).text
    families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    families |= {f"{name}_{part}" for name in families for part in ("bucket", "sum", "count")} | {
        "bearerd_store_up",
        "bearerd_store_operations_total",
    }
    for file in ("prometheus-alerts.yml", "grafana-dashboard.json"):
        named = set(re.findall(r"\b(?:bearerd|process)_[a-z0-9_]+\b", (EXAMPLES / file).read_text()))
        assert len(named) > 8 and named <= families, (file, named - families)


def test_the_dashboard_asks_what_prometheus_understands(tmp_path):
    """Each expression, as a rule of its own; and a panel for each place, none on another."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions += [note["expr"] for note in dashboard["annotations"]["list"]]
    assert len(expressions) > 30
    plain = [expr.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$job", ".*") for expr in expressions]
    rules = [{"record": f"panel:expression:{i}", "expr": expr} for i, expr in enumerate(plain)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yml")
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    taken = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24


def test_a_token_s_state_is_that_of_one_process(tmp_path):
    """Two processes have the same token, in states of their own, and one has it for two audiences: three lines."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    [panel] = [panel for panel in dashboard["panels"] if panel["type"] == "state-timeline"]
    [target] = panel["targets"]
    tokens = {'instance="a", audience="one"': "valid", 'instance="a", audience="two"': "failing", 'instance="b", audience="one"': "valid"}
    numbers = {"valid": 1, "due": 2, "failing": 3, "failed": 4}
    series = [
        {"series": f'bearerd_token_state{{{labels}, credential="m", scope="x", state="{state}"}}', "values": f"{int(state == now)}x5"}
        for labels, now in tokens.items()
        for state in numbers
    ]
    want = [{"labels": f'{{{labels}, credential="m", scope="x"}}', "value": numbers[now]} for labels, now in tokens.items()]
    test = {"expr": target["expr"].replace("$instance", ".*"), "eval_time": "2m", "exp_samples": want}
    played = {"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [test]}]}
    (tmp_path / "played.yml").write_text(json.dumps(played))
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "played.yml")
    for label in ("instance", "credential", "scope", "audience"):
        assert f"{{{{{label}}}}}" in target["legendFormat"]


def test_the_alerts_fire_when_they_should():
    """promtool plays series to the rules, to each of them."""
    played = pathlib.Path(__file__).with_name("alerts-test.yml")
    assert "SUCCESS" in promtool("test", "rules", played)
    alerts = re.findall(r"- alert: (\w+)", (EXAMPLES / "prometheus-alerts.yml").read_text())
    fired = {test["alertname"] for group in yaml.safe_load(played.read_text())["tests"] for test in group["alert_rule_test"] if "exp_alerts" in test}
    assert len(alerts) > 10 and fired == set(alerts)
