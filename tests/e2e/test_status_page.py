# SPDX-License-Identifier: MIT
"""/status in a real browser: it loads, keeps itself up to date, stands whatever peers say, asks nobody else, and fits a
phone. PICTURES=FOLDER keeps pictures of it there; PICTURES_SECONDS=300 gives their charts a whole past."""
import base64
import copy
import hashlib
import json
import os
import pathlib
import re
import socket
import threading

import pytest
from conftest import one_route
from kit import canary
from kit.admin import Admin
from kit.browser import Browser
from kit.png import squeeze
from kit.process import free_port, wait_until
from kit.relays import relay
from kit.scene import Scene
from kit.scripted import send_json, token_answer

pytestmark = pytest.mark.xdist_group("browser")  # one of it for all
DESKTOP, PHONE = {"width": 1200, "height": 1160}, {"width": 360, "height": 740}
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src/admin/page"
PICTURES_SECONDS = int(os.environ.get("PICTURES_SECONDS", 20))
KEY = "a key for operators only"
HOSTILE = (
    "<script>hit('script')</script><img src=x onerror=\"hit('img')\"><svg onload=hit('svg')>\"'`${hit('template')}"
    "</title></style></bdi> &lt;b&gt; javascript:hit('url') \u202egnp.exe\u2066\u200f\u0000\u2028\ufeff\U000e0041 "
)

IS_LIVE = "() => document.getElementById('live').className == 'live'"
STATES = "() => [...document.querySelectorAll('#tokens h3 > .badge:not([hidden])')].map(badge => badge.textContent)"
TEXT = "id => document.getElementById(id).innerText"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"), {})
    yield browser
    browser.stop()


@pytest.fixture
def opened(browser):
    """opened(address, …): a page that has its first facts."""
    pages = []

    def make(address, is_live=True, **options):
        pages.append(browser.open(address, **{"viewport": DESKTOP, **options}))
        if is_live:
            pages[-1].wait(IS_LIVE)
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def served(start):
    """served(ini, lines): a bearerd whose admin listener is on TCP, for a browser; its address as .page."""

    def make(ini, lines="", listen="127.0.0.1:0", **options):
        daemon = start(f"{ini}\n[admin]\nlisten = {listen}\n{lines}\n", **options)
        port = int(daemon.wait_log(r"event=admin.listening address=127.0.0.1:(\d+)").group(1))
        daemon.page_admin, daemon.page = Admin(port), f"http://127.0.0.1:{port}/status"
        return daemon

    return make


class Mirror:
    """bearerd's page as it is, policy included, over facts that no real bearerd has."""

    def __init__(self, daemon, scripted):
        self.answer = daemon.page_admin.get("/status")
        self.document = daemon.page_admin.status()
        self.fault = None
        self.server = scripted(on=self.serve)
        self.page = f"{self.server.url}/status"

    def serve(self, exchange):
        if exchange.request.target == "/status":
            fields = [(name, self.answer.get(name)) for name in ("Content-Type", "Content-Security-Policy")]
            exchange.answer(body=self.answer.body, fields=fields)
        elif self.fault:
            exchange.answer(self.fault)
        else:
            send_json(exchange, ("200 OK", json.dumps(self.document)))

    def polls(self):
        return sum(request.target == "/status.json" for request in self.server.requests)


@pytest.fixture
def mirror(served, scripted, token_server, upstream):
    """Of a bearerd that has a token, and failures of both kinds to tell of."""
    server = token_server(("503 Busy", '{"error": "temporarily_unavailable"}'), token_answer("one"))
    daemon = served(one_route(server.credential(), upstream.url))
    upstream.on = lambda exchange: (exchange.read_body(), exchange.close())
    wait_until(lambda: daemon.ask().kind == "upstream-closed", 10, "a token")
    wait_until(lambda: len(daemon.page_admin.status()["failures"]) == 2)
    return Mirror(daemon, scripted)


def look(page):
    """Nothing to complain of, nobody else asked, nothing beside the screen."""
    assert page.messages() == []
    origin = page.run("() => location.origin")
    foreign = {address for address in page.requests() if not address.startswith(("data:", f"{origin}/status"))}
    assert foreign == set()
    assert page.run("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def shows(page, text, place="main"):
    return wait_until(lambda: text in page.run(TEXT, place), 10, text)


# -- what is served ---------------------------------------------------------------------------------


def test_the_policy_lets_its_own_script_and_style_run_and_nothing_else(served, auth, upstream):
    daemon = served(one_route(auth.credential(), upstream.url))
    answer = daemon.page_admin.get("/status")
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    text = answer.body.decode()
    policy = dict(part.split(" ", 1) for part in answer.get("Content-Security-Policy").split("; "))
    for element, name in (("script", "script-src"), ("style", "style-src")):
        [source] = re.findall(rf"<{element}>(.*?)</{element}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert policy.pop(name) == f"'sha256-{digest}'"
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
    }  # fmt: skip
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert len(answer.body) < 40 * 1024
    head = daemon.page_admin.ask("HEAD", "/status")
    assert head.get("Content-Security-Policy") == answer.get("Content-Security-Policy")


def test_no_markup_is_ever_made_from_text():
    for path in SOURCES.iterdir():
        found = re.findall(
            r"\w+HTML\w*|document\.write|\beval\b|\bFunction\(|\bon\w+=|\bstyle=|DOMParser|createContextualFragment|setHTML", path.read_text()
        )
        assert not found, (path, found)


def test_a_browser_that_asks_for_the_list_gets_the_page(served, opened, auth, upstream):
    daemon = served(one_route(auth.credential(), upstream.url))
    answer = daemon.page_admin.get("/", [("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")])
    assert (answer.status, answer.get("Location")) == (303, "/status")
    for accept in ("*/*", "application/json", "text/plain, text/html"):
        assert daemon.page_admin.get("/", [("Accept", accept)]).status == 200
    page = opened(daemon.page.removesuffix("status"))
    assert page.run("() => location.pathname") == "/status"


def test_a_browser_that_has_the_key(served, opened, auth, upstream):
    """Asked for by the browser, for the page and all that it asks for."""
    daemon = served(one_route(auth.credential(), upstream.url), f"key = {KEY}")
    assert daemon.page_admin.get("/status").status == 401
    page = opened(daemon.page, httpCredentials={"username": "me", "password": KEY})
    assert page.run(TEXT, "phase").strip() == "ready"
    assert KEY not in page.run("() => document.documentElement.outerHTML")


@pytest.fixture
def tunnel():
    """tunnel(path): a port of this machine that leads to a unix socket, as `ssh -L` makes one."""
    servers = []

    def serve(server, path):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            behind = socket.socket(socket.AF_UNIX)
            behind.connect(str(path))
            threading.Thread(target=relay, args=[client, behind], daemon=True).start()

    def make(path, port):
        servers.append(socket.create_server(("127.0.0.1", port)))
        threading.Thread(target=serve, args=[servers[-1], path], daemon=True).start()

    yield make
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_through_a_tunnel_to_the_socket(start, opened, tunnel, auth, upstream, tmp_path_factory):
    """Under a name that accept_hosts has, and under no other."""
    path, port = tmp_path_factory.mktemp("s") / "a.sock", free_port()
    start(one_route(auth.credential(), upstream.url) + f"[admin]\nlisten = unix:{path}\naccept_hosts = localhost:{port}\n")
    tunnel(path, port)
    page = opened(f"http://localhost:{port}/status")
    look(page)
    assert "host-not-allowed" in opened(f"http://127.0.0.1:{port}/status", is_live=False).run("() => document.body.innerText")


# -- it lives ---------------------------------------------------------------------------------------


def test_it_keeps_itself_up_to_date(served, opened, auth, upstream):
    daemon = served(one_route(auth.credential(), upstream.url))
    page = opened(daemon.page)
    page.run("() => { window.mark = 'not loaded again' }")
    assert page.run(STATES) == ["not asked for"]
    row = page.run("() => { window.row = document.querySelector('#tokens li'); return window.row.innerText }")
    assert "main" in row and "api:read" in row and "used by" in row and "all" in row
    upstream.on = lambda exchange: exchange.answer("500 Oh" if exchange.request.target == "/bad" else "200 OK")
    for target in ("/good", "/good", "/bad"):
        daemon.ask(target=target)
    wait_until(lambda: page.run(STATES) == ["valid"], 10, "the token")
    shows(page, "3, 1 failed", "routes")
    wait_until(lambda: "33 %" in page.run(TEXT, "routes"), 15, "a step of the history")
    assert "3 requests in five minutes" in page.run("() => document.querySelector('#routes .chart').getAttribute('aria-label')")
    # The same elements, not others in their place.
    assert page.run("() => window.mark == 'not loaded again' && window.row === document.querySelector('#tokens li')")
    look(page)


def test_bars_move_between_two_documents(mirror, opened):
    """By the server's clock, be the browser's what it may."""
    life = mirror.document["tokens"][0]["token"]
    mirror.document["now"] = 1_000_000_000
    life.update(fetched_at=999_999_990, renew_at=1_000_000_015, unusable_at=1_000_000_020, expires_at=1_000_000_030)
    page = opened(mirror.page)
    width = "() => parseFloat(document.querySelector('.bar .spent').style.width)"
    at_first = page.run(width)
    assert 33 < at_first < 60 and page.run("() => document.querySelector('.bar .zone').style.left") == f"{100 * 25 / 30:.3f}%"
    mirror.document["now"] += 2
    page.run("() => { const ask = window.fetch; window.fetch = (...all) => new Promise(go => setTimeout(go, 3000)).then(() => ask(...all)) }")
    seen = {at_first}
    wait_until(lambda: seen.add(page.run(width)) or len(seen) >= 4, 10, "three steps of the bar")
    label = page.run("() => document.querySelector('.bar').getAttribute('aria-label')")
    assert re.fullmatch(r"fetched at [\d: -]+, due for renewal at [\d: -]+, unusable at [\d: -]+", label)


def test_it_says_when_bearerd_is_gone_and_when_it_is_back(served, opened, auth, upstream):
    port = free_port()
    ini = one_route(auth.credential(), upstream.url)
    daemon = served(ini, listen=f"127.0.0.1:{port}")
    page = opened(daemon.page)
    daemon.stop()
    wait_until(lambda: page.run(TEXT, "live").startswith("no answer since "), 10, "the loss")
    assert "bearerd does not answer since" in page.run(TEXT, "alerts")
    assert "main" in page.run(TEXT, "tokens")  # what it said last
    assert page.run("() => document.title").startswith("no answer")
    served(ini, listen=f"127.0.0.1:{port}", name="again.ini")
    page.wait(IS_LIVE)
    assert page.run(TEXT, "alerts") == ""
    assert page.run("() => document.title").startswith("ready")


@pytest.mark.parametrize("status, words", [("503 Busy", "status 503"), ("401 No", "load this page again")])
def test_it_says_what_it_is_answered(mirror, opened, status, words):
    page = opened(mirror.page)
    mirror.fault = status
    shows(page, words, "alerts")
    mirror.fault = None
    page.wait(IS_LIVE)


def test_it_asks_more_and_more_seldom_while_there_is_no_answer(mirror, opened):
    mirror.fault = "503 Busy"
    page = opened(mirror.page, is_live=False)
    times = wait_until(lambda: len(times := page.run("() => performance.getEntriesByName(location.origin + '/status.json').map(entry => entry.startTime)")) >= 3 and times, 20, "three")
    assert times[2] - times[1] > 1.5 * (times[1] - times[0])


def test_a_page_that_nobody_sees_does_not_ask(mirror, opened):
    page = opened(mirror.page)
    page.run("() => { Object.defineProperty(document, 'hidden', {get: () => window.away, configurable: true}); window.away = true; document.dispatchEvent(new Event('visibilitychange')) }")
    assert page.run(TEXT, "live") == "paused"
    before = mirror.polls()
    page.run("() => new Promise(done => setTimeout(done, 5000))")  # nothing is what is waited for
    assert mirror.polls() <= before + 1  # one may have been under way
    page.run("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')) }")
    page.wait(IS_LIVE)
    assert mirror.polls() > before


# -- what it shows ----------------------------------------------------------------------------------


def test_a_refused_reload_is_shown_loudly(served, opened, auth, upstream):
    daemon = served(one_route(auth.credential(), upstream.url))
    page = opened(daemon.page)
    good = daemon.config.read_text()
    daemon.config.write_text(good.replace("match = /**", "match = nowhere\nscoops = x"))
    daemon.reload(expect="reload.refused")
    shows(page, "The last reload was refused", "alerts")
    said = page.run("() => document.querySelector('#alerts .bad pre').innerText")
    assert re.match(rf"{daemon.config}:\d+: \[route all\] ", said)
    daemon.config.write_text(good)
    daemon.reload()
    wait_until(lambda: page.run(TEXT, "alerts") == "", 10, "the alert's end")
    look(page)


def test_readiness_causes_and_remedies(served, opened, token_server, upstream):
    refusal = ("401 Unauthorized", json.dumps({"error": "invalid_client", "error_description": "no such client"}))
    daemon = served(one_route(token_server(refusal).credential(required="yes", client_secret="not-to-be-seen"), upstream.url))
    daemon.wait_log("event=token.failed")
    page = opened(daemon.page)
    assert page.run(TEXT, "phase").strip() == "not ready"
    assert "main: api:read" in page.run(TEXT, "alerts")
    [fault] = page.run("() => [...document.querySelectorAll('#tokens .fault')].map(node => node.innerText)")
    assert fault.startswith("The authorization server refuses: invalid_client: no such client (HTTP 401") and "Next try in" in fault
    failures = page.run(TEXT, "failures")
    assert "invalid_client: no such client" in failures and "look at client_id" in failures
    assert page.run(STATES) == ["no token", "required"]
    look(page)


def test_requests_without_a_route(served, opened, auth, upstream):
    daemon = served(one_route(auth.credential(), upstream.url).replace("match = /**", "match = /x"))
    daemon.ask(target="/other?query=canary")
    page = opened(daemon.page)
    assert page.run("() => [...document.querySelectorAll('#routes .name')].map(node => node.innerText)") == ["all", "no route"]


def test_no_secret_is_on_it(served, opened, auth, upstream):
    upstream.on = lambda exchange: exchange.answer("500 Oh")
    daemon = served(one_route(auth.credential(), upstream.url))
    daemon.ask(target="/path-canary?query-canary", fields=[("X-Canary", "field-canary")])
    page = opened(daemon.page)
    shows(page, "1, 1 failed", "routes")
    shown = page.run("() => document.documentElement.outerHTML")
    token = upstream.last.token
    assert "canary" not in shown and token not in shown
    assert not canary.find(canary.secrets_of(daemon.config, {}), {"the page": shown})


def test_few_of_many_are_not_none(mirror, opened):
    recent = mirror.document["routes"][0]["recent"]
    recent["requests"][-1], recent["failed"][-1] = 5000, 1
    page = opened(mirror.page)
    assert page.run("() => document.querySelector('#routes td[data-name=Failed]').textContent") == "< 0.1 %"


def test_what_is_read_out_does_not_change_with_the_pace(mirror, opened):
    """A live region says it each time. The pace stands beside it."""
    page = opened(mirror.page)
    assert page.run(TEXT, "live") == "live" and re.fullmatch(r"every [\d.]+ s", page.run(TEXT, "pace"))
    page.run("() => { const ask = window.fetch; window.fetch = (...all) => new Promise(go => setTimeout(go, 1000)).then(() => ask(...all)) }")
    wait_until(lambda: re.fullmatch(r"every 1\d s", page.run(TEXT, "pace")), 20, "a slower pace")
    assert page.run(TEXT, "live") == "live"
    mirror.fault = "503 Busy"
    wait_until(lambda: page.run(TEXT, "live").startswith("no answer since "), 40, "the loss")
    assert page.run(TEXT, "pace") == ""


def test_no_end_is_the_same_for_the_page_and_the_terminal():
    page = re.search(r"FOREVER_S = (\d+) \* 365 \* 86400;", (SOURCES / "rows.js").read_text())[1]
    terminal = re.search(r"NO_END_S \((\d+)\.0 \* 365 \* 86400\)", (SOURCES.parents[1] / "cli/status_screen_tokens.c").read_text())[1]
    assert page == terminal


def test_a_valid_token_that_a_newer_one_could_not_be_had_for(mirror, opened):
    """It was refused by an upstream. Nothing is tried by itself until it is due, and nothing is failing."""
    token, now = mirror.document["tokens"][0], mirror.document["now"]
    token["failure"] = {"kind": "transient", "error": None, "cause": "503 Busy", "status": 503, "at": now, "retry_at": now + 900, "in_a_row": 1}
    assert (token["state"], token["token"]["in_use"]) == ("valid", True)
    page = opened(mirror.page)
    shown = page.run(TEXT, "tokens")
    assert "A newer one could not be had. The authorization server has trouble" in shown and "Not asked again for" in shown
    assert "Next try" not in shown and "failing" not in page.run(TEXT, "tiles") + page.run("() => document.title")


def hostile(value, text):
    """The document with this text in the place of every text."""
    if isinstance(value, dict):
        return {name: hostile(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner, text) for inner in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("keeps", [True, False], ids=["words", "all"])
def test_no_text_breaks_out(mirror, opened, viewport, keeps):
    """Every text of the document hostile; or those that bearerd chooses from a list as they are, so that what hangs on
    them is shown as well."""
    before = mirror.document
    text = HOSTILE + "x" * 5000
    document = hostile(before, text)
    document["config"]["reloads"].update(last_failed=True, last_error=f"{text}\n{text}")
    document["store"] = {"up": False, "loads": 1, "puts": 1, "errors": 1, "unreadable": 1}
    token = document["tokens"][0]
    token.update(audience=text, details=text, resource=[text], hook={"runs": 1, "failures": 1, "replaced": 0}, required=True)
    token["token"]["granted_scope"] = text
    token["failure"] = {"kind": text, "error": text, "cause": text, "status": 401, "at": 1, "retry_at": 2e9, "in_a_row": 3}
    if keeps:
        document["process"]["phase"] = "running"
        token["state"] = token["failure"]["kind"] = "failing"
        for one, old in zip(document["failures"], before["failures"]):
            one.update(of=old["of"], kind=old["kind"])
    mirror.document = document
    page = opened(mirror.page, is_live=False, viewport=viewport)
    page.run("() => { window.hits = []; window.hit = what => window.hits.push(what) }")
    page.wait(IS_LIVE)
    assert page.run("() => window.hits") == []
    count = "name => document.querySelectorAll(name).length"
    assert [page.run(count, name) for name in ("script", "img", "style", "main svg svg", "iframe", "[onload]", "[onerror]", "[onclick]")] == [1, 0, 1, 0, 0, 0, 0, 0]
    shown = page.run("() => document.body.innerText + document.title")
    assert "<script>hit('script')</script><img src=x onerror=" in shown and "\\u202egnp.exe\\u2066\\u200f\\u0000\\u2028\\ufeff\\ue0041" in shown
    everything = page.run("() => document.documentElement.outerHTML + document.title")
    assert not set("\u202e\u2066\u200f\u2028\ufeff\U000e0041") & set(everything)
    look(page)


def test_what_an_authorization_server_says_stays_text(served, opened, token_server, upstream):
    refusal = ("401 Unauthorized", json.dumps({"error": "invalid_client", "error_description": HOSTILE.replace("\0", "")}))
    daemon = served(one_route(token_server(refusal).credential(required="yes", client_secret="not-to-be-seen"), upstream.url))
    daemon.wait_log("event=token.failed")
    page = opened(daemon.page)
    assert "<script>hit('script')</script><img src=x onerror=" in page.run(TEXT, "tokens")
    assert "<script>hit('script')</script><img src=x onerror=" in page.run(TEXT, "failures")
    assert page.run("() => document.querySelectorAll('main script, img').length") == 0
    look(page)


def test_the_browser_itself_takes_no_markup_from_text(mirror, opened):
    """Trusted Types: were there a way that the tests have not found, it would end here."""
    page = opened(mirror.page)
    attempts = "() => ['innerHTML', 'outerHTML'].map(name => { try { document.querySelector('main')[name] = '<b>x</b>'; return null } catch (fault) { return fault.name } })"
    assert page.run(attempts) == ["TypeError", "TypeError"]


def test_ten_thousand_of_each(mirror, opened):
    document = mirror.document
    token, route, upstream = document["tokens"][0], document["routes"][0], document["upstreams"][0]
    token["token"] = token["failure"] = None
    document["tokens"] = [{**token, "credential": f"c{i}", "state": "none", "routes": [f"r{i}"]} for i in range(10_000)]
    quiet = {**route, "recent": None, "requests": {"2xx": 0}, "failed": 0}
    document["routes"] = [{**quiet, "name": f"r{i}", "tokens": [i]} for i in range(10_000)]
    document["upstreams"] = [{**upstream, "name": f"u{i}"} for i in range(10_000)]
    busy = copy.deepcopy(quiet)
    document["routes"][7777].update(busy, name="busy-one", requests={"2xx": 5})
    document["tokens"][8888].update(state="failed", credential="bad-one", failure={"kind": "refused", "error": None, "cause": "no", "status": None, "at": 1, "retry_at": 1, "in_a_row": 1})
    page = opened(mirror.page)
    assert page.run("() => ['tokens', 'routes', 'upstreams'].map(id => document.getElementById(id).children.length)") == [100, 100, 100]
    assert "100 shown" in page.run(TEXT, "routes-note") and "10,000" in page.run(TEXT, "routes-note")
    names = "id => [...document.querySelectorAll(`#${id} h3 bdi, #${id} .name`)].map(node => node.innerText)"
    assert page.run(names, "routes")[0] == "busy-one" and page.run(names, "tokens")[0] == "bad-one"
    page.press("/")
    for letter in "r9998":
        page.press(letter)
    wait_until(lambda: page.run(names, "routes") == ["r9998"], 10, "what the filter finds")
    assert page.run(names, "tokens") == ["c9998"] and page.run(names, "upstreams") == []
    assert "1 of 10,000 match" in page.run(TEXT, "routes-note")
    look(page)


def test_a_token_that_does_not_expire(mirror, opened):
    life = mirror.document["tokens"][0]["token"]
    life["unusable_at"] = life["expires_at"] = life["renew_at"] = 1e14
    page = opened(mirror.page)
    shows(page, "does not expire", "tokens")


# -- for everybody ----------------------------------------------------------------------------------

# Elements with text of their own whose contrast with what is behind them is less than WCAG 2.2 AA asks for.
FAINT = """() => {
    const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const behind = node => { for (; node; node = node.parentElement) { const c = parse(getComputedStyle(node).backgroundColor); if (c.length && c[3] !== 0) return c } };
    return [...document.querySelectorAll('body *')].filter(node => node.checkVisibility() && [...node.childNodes].some(inner => inner.nodeType == 3 && inner.data.trim())).map(node => {
        const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
        return [(a + .05) / (b + .05), node.className, node.textContent.slice(0, 40)];
    }).filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.timeout(90 + 2 * PICTURES_SECONDS)
def test_everybody_can_read_it(served, opened, token_server, scripted, certs, tmp_path):
    """Tokens in every state, light and dark, on a desk and on a phone; kept as pictures when asked for."""
    seconds = PICTURES_SECONDS
    folder = pathlib.Path(os.environ.get("PICTURES", tmp_path))
    scene = Scene(token_server, scripted, certs, seconds)
    daemon = served(scene.ini)
    with scene.traffic(daemon):
        pages = {
            f"{name}-{scheme}": opened(daemon.page, viewport=viewport, colorScheme=scheme)
            for name, viewport in (("desktop", DESKTOP), ("phone", PHONE))
            for scheme in ("light", "dark")
        }
        for name, page in pages.items():
            states = {"valid", "due for renewal", "valid, renewal fails", "no token"}
            wait_until(lambda: set(page.run(STATES)) >= states, 1.3 * seconds + 10, f"every state on {name}")
            page.shot(folder / f"status-{name}.png", full=True)
        opened(daemon.page, viewport={"width": 1200, "height": 1870}).shot(folder / "status.png")
        if "PICTURES" in os.environ:
            squeeze(folder / "status.png")
        for page in pages.values():
            assert page.run(FAINT) == []
            look(page)


def test_less_motion_for_those_who_ask_for_it(mirror, opened):
    transition = "() => getComputedStyle(document.querySelector('.bar .spent')).transitionDuration"
    assert opened(mirror.page).run(transition) == "1s"
    assert opened(mirror.page, reducedMotion="reduce").run(transition) == "0s"


def test_charts_and_bars_have_names(mirror, opened):
    page = opened(mirror.page)
    names = page.run("() => [...document.querySelectorAll('[role=img]')].map(node => node.getAttribute('aria-label'))")
    assert len(names) == 4 and all(names)
    assert page.run("() => [...document.querySelectorAll('section')].filter(node => !node.hasAttribute('aria-labelledby') && !node.hasAttribute('aria-label')).length") == 0
