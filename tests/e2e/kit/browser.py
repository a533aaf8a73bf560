# SPDX-License-Identifier: MIT
"""A real headless Chromium (browser.mjs), and servers of pages for it. Hosts are what the test says: they resolve to
addresses of this machine inside the browser only."""
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parents[1]


class Browser:
    def __init__(self, folder, hosts, *args):
        """hosts: {name: address}."""
        rules = ", ".join(f"MAP {name} {address}" for name, address in hosts.items())
        env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder),
            "BROWSER_ARGS": json.dumps([f"--host-resolver-rules={rules}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", *args]),
        }  # fmt: skip
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "node", "browser.mjs"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=HERE,
        )  # fmt: skip
        self.version = self._read()["version"]

    def _read(self):
        line = self.process.stdout.readline()
        assert line, "the browser ended"
        answer = json.loads(line)
        assert "fault" not in answer, answer["fault"]
        return answer

    def command(self, **words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return self._read()

    def open(self, url, **options):
        """options: of the page, as Playwright's newPage() has them (viewport, colorScheme, httpCredentials, …)."""
        return Page(self, self.command(open=url, **{"as": options})["page"])

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


class Page:
    def __init__(self, browser, number):
        self.browser, self.number = browser, number

    def run(self, function, value=None):
        """What the JavaScript function, called with the value in the page, returns or resolves to."""
        return self.browser.command(page=self.number, run=function, **{"with": value})["value"]

    def wait(self, function, value=None):
        """Until the function, called with the value in the page, returns something true."""
        return self.browser.command(page=self.number, wait=function, **{"with": value})["value"]

    def press(self, key):
        self.browser.command(page=self.number, press=key)

    def shot(self, path, full=False):
        """A picture (PNG) of what is in view, or of the whole page."""
        self.browser.command(page=self.number, shot=str(path), full=full)

    def messages(self):
        return self.browser.command(page=self.number)["messages"]

    def requests(self):
        """The addresses it has asked for."""
        return self.browser.command(page=self.number)["requests"]

    def close(self):
        self.browser.command(page=self.number, close=True)


@contextlib.contextmanager
def page_server(html="<!doctype html><title>page</title><body>", port=0, fields=()):
    """A web site of one page, on a port of 127.0.0.1."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            for name, value in (("Content-Type", "text/html"), ("Connection", "close"), *fields):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)
