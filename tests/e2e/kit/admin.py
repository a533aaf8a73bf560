# SPDX-License-Identifier: MIT
"""The admin listener as an operator sees it: one request on a connection of its own, over its unix socket or TCP."""
import contextlib
import json
import re

from kit.raw import RawClient

# What every answer of it must say, whatever it is (see docs/admin.md).
ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Admin:
    def __init__(self, address):
        """address: the path of a unix socket, or a port of 127.0.0.1."""
        self.address = address

    def ask(self, method, target, fields=(), body=None, **options):
        with contextlib.closing(RawClient(self.address, timeout=20)) as client:
            answer = client.ask(method, target, fields, body, **options)
        for name, value in ALWAYS.items():
            assert answer.get(name) == value, (target, name, answer.fields)
        assert answer.get("Content-Security-Policy").startswith("default-src 'none'"), answer.fields
        return answer

    def get(self, target, fields=(), **options):
        return self.ask("GET", target, fields, **options)

    def post(self, target, fields=(), **options):
        return self.ask("POST", target, [("Content-Length", "0"), *fields], **options)

    def status(self):
        return json.loads(self.get("/status.json").body)

    def ready(self):
        """(status, document)"""
        answer = self.get("/readyz")
        return answer.status, json.loads(answer.body)

    def metrics(self):
        return Metrics(self.get("/metrics").text)


class Metrics:
    """samples: {(name, frozenset of labels): value}"""

    def __init__(self, text):
        self.text, self.samples = text, {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                key = name, frozenset(LABEL.findall(labels or ""))
                assert key not in self.samples, f"twice: {line}"
                self.samples[key] = float(value)

    def get(self, name, **labels):
        """The one sample of that name that has these labels, perhaps among others; None without one."""
        found = [value for (other, have), value in self.samples.items() if other == name and have >= set(labels.items())]
        assert len(found) < 2, f"{name}{labels}: {len(found)} samples"
        return found[0] if found else None

    def sum(self, name, **labels):
        return sum(value for (other, have), value in self.samples.items() if other == name and have >= set(labels.items()))
