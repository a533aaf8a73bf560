# SPDX-License-Identifier: MIT
"""T31 in a real browser: a foreign web page can neither read an answer through bearerd nor cause a request to the
upstream, by any of the ways a page has; allow_origins opens exactly the origin it names. Each way is first tried on a
server without bearerd in front, to see that it does cause a request."""
import pytest
from conftest import one_route
from kit.browser import Browser, page_server
from kit.process import free_port, wait_until

pytestmark = pytest.mark.xdist_group("browser")  # one of it for all
HOSTS = {name: "127.0.0.1" for name in ("evil.test", "app.test", "rebind.test", "*.app.test")}

# Each returns (a promise of) what the page got to know: null when nothing.
READ = "async url => { try { return await (await fetch(url, %s)).text() } catch (e) { return null } }"
BLIND = "url => new Promise(done => { const e = document.createElement('%s'); e.onload = e.onerror = () => done(null); %s; document.body.append(e) })"
FORM = """url => new Promise(done => {
    const frame = document.createElement('iframe'); frame.name = 'f' + Math.random(); document.body.append(frame);
    const form = document.createElement('form'); form.method = '%s'; form.action = url; form.target = frame.name; form.enctype = '%s';
    const input = document.createElement('input'); input.name = 'a'; input.value = 'b'; form.append(input); document.body.append(form);
    frame.onload = () => { let text = null; try { text = frame.contentDocument.body.innerText } catch (e) {} done(text) };
    form.submit();
})"""
FRAME = """url => new Promise(done => {
    const frame = document.createElement('iframe'); %s
    frame.onload = () => { let text = null; try { text = frame.contentDocument.body.innerText || null } catch (e) {} done(text) };
    frame.src = url; document.body.append(frame);
})"""
WAYS = {
    "fetch cors": READ % "{}",
    "fetch cors with credentials": READ % "{credentials: 'include'}",
    "fetch cors POST": READ % "{method: 'POST', body: 'x'}",
    "fetch cors POST of JSON": READ % "{method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}}",
    "fetch cors PUT": READ % "{method: 'PUT', body: 'x'}",
    "fetch no-cors": READ % "{mode: 'no-cors'}",
    "fetch no-cors POST": READ % "{mode: 'no-cors', method: 'POST', body: 'x'}",
    "fetch without a referrer": READ % "{mode: 'no-cors', referrerPolicy: 'no-referrer'}",
    "fetch keepalive": READ % "{mode: 'no-cors', method: 'POST', body: 'x', keepalive: true}",
    "beacon": "async url => { navigator.sendBeacon(url, 'x'); return null }",
    "xhr": """url => new Promise(done => { const x = new XMLHttpRequest(); x.open('GET', url); x.onloadend = () => done(x.responseText || null); x.send() })""",
    "img": BLIND % ("img", "e.src = url"),
    "img without a referrer": BLIND % ("img", "e.referrerPolicy = 'no-referrer'; e.src = url"),
    "script": BLIND % ("script", "e.src = url"),
    "stylesheet": BLIND % ("link", "e.rel = 'stylesheet'; e.href = url"),
    "video": BLIND % ("video", "e.onloadeddata = e.onerror; e.src = url"),
    "object": BLIND % ("object", "e.data = url"),
    "form GET": FORM % ("get", "application/x-www-form-urlencoded"),
    "form POST": FORM % ("post", "application/x-www-form-urlencoded"),
    "form POST as text": FORM % ("post", "text/plain"),
    "frame": FRAME % "",
    "sandboxed frame": FRAME % "frame.sandbox = 'allow-scripts';",
    "fetch of a sandboxed frame": """url => new Promise(done => {
        const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts';
        addEventListener('message', event => done(event.data), {once: true});
        frame.srcdoc = `<script>fetch(${JSON.stringify(url)}).then(a => a.text()).then(t => parent.postMessage(t, '*'), () => parent.postMessage(null, '*'))</scr` + 'ipt>';
        document.body.append(frame);
    })""",
    "window": """url => new Promise(done => {
        const other = open(url);
        const look = () => { let text = null; try { text = other.document.body && other.document.body.innerText; if (other.location.href == 'about:blank') return setTimeout(look, 20) } catch (e) {} done(text || null) };
        setTimeout(look, 20);
    })""",
    "event source": "url => new Promise(done => { const e = new EventSource(url); e.onerror = () => { e.close(); done(null) }; e.onmessage = m => { e.close(); done(m.data) } })",
    "web socket": "url => new Promise(done => { const s = new WebSocket(url.replace('http', 'ws')); s.onmessage = m => done(m.data); s.onerror = s.onclose = () => done(null) })",
}
PREFLIGHTED = {"fetch cors POST of JSON", "fetch cors PUT"}
SECRET = "for those with a token only"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"), HOSTS)
    yield browser
    browser.stop()


@pytest.fixture(scope="module")
def site():
    """The port of a web site that any of the hosts can be."""
    with page_server() as port:
        yield port


def answer_openly(exchange):
    """Of an upstream that lets every page read everything: it does not help."""
    fields = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", "*"), ("Access-Control-Allow-Methods", "*")]
    exchange.answer(body=SECRET.encode(), fields=[*fields, ("Content-Type", "text/plain")])



def arrivals(upstream, path):
    return [request for request in upstream.requests if request.target.startswith(path)]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_causes_a_request_where_nobody_forbids_it(browser, site, upstream, way):
    upstream.on = answer_openly
    page = browser.open(f"http://evil.test:{site}/")
    got = page.run(WAYS[way], f"{upstream.url}/way")
    page.close()
    first = wait_until(lambda: arrivals(upstream, "/way"), 10, "the request")[0]
    assert (first.method == "OPTIONS") == (way in PREFLIGHTED)
    if way in ("fetch cors", "xhr", "fetch of a sandboxed frame"):
        assert got == SECRET


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_T31_no_way_leads_a_foreign_page_through_bearerd(browser, site, start, auth, upstream, host):
    upstream.on = answer_openly
    # Somebody else may call: that must not help either.
    ini = one_route(auth.credential(), upstream.url) + "[log]\naccess = yes\n"
    daemon = start(ini, f"allow_origins = http://app.test:{site}")
    page = browser.open(f"http://evil.test:{site}/")
    for number, way in enumerate(WAYS):
        got = page.run(WAYS[way], f"http://{host}:{daemon.port}/way{number}")
        assert got is None or SECRET not in got, way
        # It was the refusal that kept it away, not that it never came.
        daemon.wait_log(rf"event=request\b.*\bpath=/way{number}\b.*\bstatus=403\b")
    page.close()
    assert upstream.connections == 0
    assert auth.requests() == []  # not even a token was asked for


def test_T31_a_rebound_name_reads_nothing(browser, upstream, auth, start):
    """DNS rebinding as the browser sees it: behind the page's own origin, attacker's server and port, stands bearerd all
    of a sudden. Everything is same-origin then; only Host tells."""
    upstream.on = answer_openly
    port = free_port()
    with page_server(port=port):
        page = browser.open(f"http://rebind.test:{port}/")
    start(one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:{port}")
    for options in ("{}", "{method: 'POST', body: 'x'}", "{method: 'DELETE', headers: {'X-Any': '1'}}"):
        got = page.run(READ % options, f"http://rebind.test:{port}/x")
        assert "host-not-allowed" in got and SECRET not in got
    page.close()
    assert upstream.connections == 0


# What an allowed page can do: status, body, and a field that browsers hide unless told otherwise.
CALL = """async ([url, options]) => { try {
    const answer = await fetch(url, options);
    return [answer.status, await answer.text(), answer.headers.get('X-Upstream')];
} catch (e) { return String(e) } }"""


def answer_to_a_page(exchange):
    body = f"{exchange.request.method} {exchange.read_body().decode()}".encode()
    exchange.answer(body=body, fields=[("X-Upstream", "seen"), ("Access-Control-Allow-Origin", "http://other.test")])


def test_allow_origins_opens_exactly_the_named_one(browser, site, simple, upstream):
    upstream.on = answer_to_a_page
    daemon = simple(f"allow_origins = http://app.test:{site}\nclient_key = sesame")
    url = f"{daemon.url}/x"
    key = {"X-Bearerd-Key": "sesame"}
    page = browser.open(f"http://app.test:{site}/")
    assert page.run(CALL, [url, {"headers": key}]) == [200, "GET ", "seen"]
    json = {"method": "PATCH", "body": "{}", "headers": {**key, "Content-Type": "application/json"}}
    assert page.run(CALL, [url, json]) == [200, "PATCH {}", "seen"]
    status, body, _ = page.run(CALL, [url, {}])  # and it can read why it was refused
    assert status == 401 and "key-required" in body
    assert [request.method for request in upstream.requests] == ["GET", "PATCH"]  # no preflight went on
    page.close()
    with page_server() as another_port:
        for other in (f"http://evil.test:{site}", f"http://x.app.test:{site}", f"http://app.test:{another_port}"):
            page = browser.open(f"{other}/")
            for options in ({"headers": key}, json, {}, {"mode": "no-cors", "method": "POST", "body": "x"}):
                assert page.run(CALL, [url, options]) == "TypeError: Failed to fetch" or options.get("mode")
            page.close()
    assert len(upstream.requests) == 2


def test_what_a_person_opens_is_served_and_its_page_is_foreign_to_bearerd(browser, simple, upstream):
    """A page that came from one upstream is not to use the tokens of another, unless its origin is named."""
    upstream.on = lambda exchange: exchange.answer(body=b"<!doctype html><body>", fields=[("Content-Type", "text/html")])
    page = browser.open(simple().url)
    assert len(upstream.requests) >= 1
    status, body, _ = page.run(CALL, ["/x", {}])
    assert status == 403 and "origin-not-allowed" in body
    page.close()
    port = free_port()
    own = simple(f"listen = 127.0.0.1:{port}\nallow_origins = http://127.0.0.1:{port}", name="own.ini")
    page = browser.open(own.url)
    assert page.run(CALL, ["/x", {}])[0] == 200
    assert page.run(CALL, ["/x", {"method": "POST", "body": "x"}])[0] == 200
    page.close()
