# SPDX-License-Identifier: MIT
"""Programs that know nothing of bearerd, pointed at it in their usual two ways: base URL, and http_proxy."""
import os
import re
import subprocess
import sys

import pytest
import requests
from conftest import one_route


def call(*argv, env=None):
    done = subprocess.run(
        list(map(str, argv)),
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def api(start, auth, nginx):
    """bearerd in front of nginx, which clients know as api.example.test."""
    return start(
        f"{auth.credential()}\n{nginx.upstream(hosts='api.example.test')}\n[route all]\nmatch = /**\nscopes = api:read\n"
    )


def test_curl_with_a_base_url(api):
    assert "authorization=Bearer ey" in call("curl", "-sSf", f"{api.url}/echo?x=1")
    assert "authorization=Bearer ey" in call("curl", "-sSf", f"http://localhost:{api.port}/echo")


def test_curl_with_a_proxy(api):
    assert "authorization=Bearer ey" in call("curl", "-sSf", "--proxy", api.url, "http://api.example.test/echo")
    assert "GET /echo?x " in call("curl", "-sSf", "http://api.example.test/echo?x", env={"http_proxy": api.url})


def test_curl_uploads_and_downloads(api, start, auth, upstream, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(os.urandom(5_000_000))
    upstream.on = lambda exchange: exchange.answer(body=exchange.read_body())
    daemon = start(one_route(auth.credential(), upstream.url), name="second.ini")
    for extra in ([], ["-H", "Transfer-Encoding: chunked"]):
        out = tmp_path / "out"
        call("curl", "-sSf", "-T", data, "-o", out, *extra, f"{daemon.url}/x")
        assert out.read_bytes() == data.read_bytes()


def test_curl_HEAD_and_compressed(api):
    head = call("curl", "-sSf", "-I", f"{api.url}/files/small.txt")
    assert "Content-Length: 11" in head.replace("content-length", "Content-Length")


def test_python_requests_with_a_base_url(api):
    with requests.Session() as session:
        for _ in range(3):
            answer = session.get(f"{api.url}/echo", timeout=20)
            assert answer.status_code == 200 and "authorization=Bearer ey" in answer.text


def test_python_requests_with_http_proxy(api):
    """As a legacy script would: the variable is set, the script is not changed."""
    script = "import requests; print(requests.get('http://api.example.test/echo?q=1', timeout=20).text)"
    out = call(sys.executable, "-c", script, env={"http_proxy": api.url})
    assert out.startswith("GET /echo?q=1 HTTP/1.1") and "authorization=Bearer ey" in out


def test_python_requests_with_https_urls_through_the_proxy_are_told_why_not(api):
    """They use CONNECT, which would hide the request from bearerd."""
    with pytest.raises(requests.exceptions.ProxyError, match="501"):
        requests.get("https://api.example.test/echo", proxies={"https": api.url}, timeout=20)


def test_GET_https_in_clear(api):
    assert "authorization=Bearer ey" in api.ask("GET", "https://api.example.test/echo", host="api.example.test").text


@pytest.mark.parametrize("keep_alive", [False, True])
def test_ab_which_speaks_http10(api, keep_alive):
    options = ["-k"] if keep_alive else []
    report = call("ab", "-q", "-n", "300", "-c", "10", *options, f"{api.url}/files/small.txt")
    assert re.search(r"Complete requests:\s+300\b", report)
    assert re.search(r"Failed requests:\s+0\b", report)
    assert "Non-2xx" not in report
    if keep_alive:
        assert re.search(r"Keep-Alive requests:\s+300\b", report)


def test_ab_with_a_proxy(api):
    report = call("ab", "-q", "-n", "50", "-c", "5", "-X", f"127.0.0.1:{api.port}", "http://api.example.test/echo")
    assert re.search(r"Failed requests:\s+0\b", report) and "Non-2xx" not in report


def test_ab_posts(api, start, auth, upstream, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"x" * 10240)
    daemon = start(one_route(auth.credential(), upstream.url), name="second.ini")
    report = call("ab", "-q", "-n", "100", "-c", "5", "-k", "-p", data, "-T", "text/plain", f"{daemon.url}/x")
    assert re.search(r"Failed requests:\s+0\b", report) and "Non-2xx" not in report
    assert all(len(request.body) == 10240 for request in upstream.requests)


def test_T27_the_environments_proxies_are_not_used(start, auth, scripted, upstream):
    """Otherwise the machine's http_proxy, which may well be bearerd, would be sent tokens and secrets."""
    trap = scripted()
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    daemon = start(one_route(auth.credential(), upstream.url), env=dict.fromkeys(names, trap.url))
    assert daemon.ask().status == 200
    assert trap.connections == 0
    assert len(upstream.requests) == 1
