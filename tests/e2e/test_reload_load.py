# SPDX-License-Identifier: MIT
"""Reloads by the hundred while requests go on: none fails, and nothing grows. BEARERD_RELOADS=1000 for more of them; with
BEARERD=… for a binary with other sanitizers."""
import contextlib
import os
import pathlib
import re
import threading

import pytest
from kit.process import free_port, wait_until

RELOADS = int(os.environ.get("BEARERD_RELOADS") or 200)


class Load:
    """Clients of three kinds: kept alive, a connection for each request, bodies. Each answer must be the right one."""

    def __init__(self, daemon):
        self.daemon, self.count, self.faults = daemon, 0, []
        self._end = threading.Event()
        kinds = [self._kept, self._kept, self._fresh, self._bodies]
        self._threads = [threading.Thread(target=self._run, args=[kind]) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def _run(self, kind):
        try:
            while not self._end.is_set():
                kind()
        except Exception as fault:
            self.faults.append(fault)

    def _check(self, answer, target):
        assert answer.status == 200, (answer.status, answer.fields, answer.body)
        assert f" {target} HTTP/1.1" in answer.text.splitlines()[0]
        self.count += 1

    def _kept(self):
        with self.daemon.client() as client:
            while not self._end.is_set():
                self._check(client.ask(target="/kept"), "/kept")

    def _fresh(self):
        self._check(self.daemon.ask(target="/fresh"), "/fresh")

    def _bodies(self):
        with self.daemon.client() as client:
            body = b"0123456789abcdef" * 4096
            answer = client.ask("POST", "/body", body=body)
            self._check(answer, "/body")
            assert answer.body.endswith(body)

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.faults, self.faults
        return self.count


def resident_kib(daemon):
    """Without the pages of the program and its libraries, which come and go."""
    return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text())[1])


def configurations(auth, plain, tls, certs):
    """Two that differ in what a reload has to do something about; what the clients ask for is the same in both."""
    port = free_port()
    common = f"[upstream api]\nurl = {plain.url}\n[route kept]\nupstream = api\nmatch = /kept\nscopes = api:read\n"
    first = (
        f"{auth.credential()}{common}[upstream tls]\nurl = {tls.url}\nca_file = {certs.ca}\nmount = /x\n"
        "[route rest]\nupstream = api\nmatch = /**\nscopes = api:write\n"
    )
    second = (
        f"{auth.credential(timeout='20s', on_token_update='/bin/true')}{common}"
        "[route fresh]\nupstream = api\nmatch = /fresh\nscopes = api:read api:write\n"
        "[route body]\nupstream = api\nmatch = POST /body\nscopes = api:write\nset_header = X-Second: yes\n"
    )
    return [(first, "workers = 2"), (second, f"workers = 2\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:{port}")]


@pytest.fixture
def loaded(start, auth, upstream, scripted, certs):
    def make(**options):
        both = configurations(auth, upstream, scripted(certs=certs), certs)
        daemon = start(*both[0], **options)
        return daemon, both, Load(daemon)

    return make


@pytest.mark.timeout(60 + RELOADS)
def test_no_request_fails_and_nothing_is_left(loaded, auth):
    daemon, both, load = loaded()
    with contextlib.ExitStack() as stack:
        stack.callback(load.stop)
        for i in range(RELOADS):
            before = load.count
            daemon.reload(*both[(i + 1) % 2])
            wait_until(lambda: load.faults or load.count > before, 20, "requests that go on")
    assert load.count >= RELOADS
    # Those that are in both; the third is asked for again each time, if a request needs it.
    scopes = [request["scope"] for request in auth.requests()]
    assert scopes.count("api:read") == 1 and scopes.count("api:write") == 1


@pytest.mark.timeout(60 + RELOADS)
def test_nothing_grows(loaded, release):
    daemon, both, load = loaded(binary=release)
    marks = []
    with contextlib.ExitStack() as stack:
        stack.callback(load.stop)
        for i in range(RELOADS):
            daemon.reload(*both[(i + 1) % 2])
            if (i + 1) % (RELOADS // 4) == 0:
                marks.append((resident_kib(daemon), daemon.descriptors()))
    (early, early_fds), (late, late_fds) = marks[0], marks[-1]
    assert late <= early + 512, marks
    assert late_fds <= early_fds + 16, marks  # connections come and go
