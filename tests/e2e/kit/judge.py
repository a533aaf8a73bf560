# SPDX-License-Identifier: MIT
"""Asks a running bearerd which route it chooses for a target, and what it sends: each route has a token of its own,
which the upstream sees."""
import contextlib


class Judge:
    def __init__(self, daemon, upstream):
        self.daemon, self.upstream, self.client = daemon, upstream, None

    def __call__(self, target, method="GET", host=None):
        """(route, target as it was sent), or (None, the kind of the refusal)."""
        before = len(self.upstream.requests)
        self.client = self.client or self.daemon.client()
        answer = self.client.ask(method, target.decode("latin-1"), host=host)
        if answer.get("Connection") == "close" or self.client.eof:
            self.close()
        if answer.status != 200:
            assert len(self.upstream.requests) == before
            # Some it never gets to see: the library refuses them itself.
            is_ours = answer.get("Content-Type") is not None or answer.status != 400
            return None, answer.kind if is_ours else "refused by the library"
        assert len(self.upstream.requests) == before + 1
        return self.upstream.last.token, self.upstream.last.target.encode("latin-1")

    def close(self):
        if self.client:
            self.client.close()
        self.client = None


@contextlib.contextmanager
def judge_of(start, scripted, routes, base="/base", hosts="api.test"):
    """routes: {name: pattern}, on two upstreams: one at the root, one mounted at /m with a base path."""
    upstream = scripted(on=lambda exchange: exchange.answer())
    ini = "".join(f"[credential {name}]\nsource = static\ntoken = {name}\n" for name in routes)
    for name, url, more in (("api", "", f"hosts = {hosts}\nmount = /"), ("based", base, "hosts = based.test\nmount = /m")):
        ini += f"[upstream {name}]\nurl = {upstream.url}{url}\n{more}\n"
        for route, pattern in routes.items():
            ini += f"[route {name}-{route}]\nupstream = {name}\nmatch = {pattern}\ncredential = {route}\n"
    judge = Judge(start(ini), upstream)
    yield judge
    judge.close()
