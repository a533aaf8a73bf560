# SPDX-License-Identifier: MIT
"""A client at the level of bytes. What comes back is read by h11, a strict parser that knows nothing of bearerd: a
response it does not take, or that ends too early, fails the test as Broken."""
import json
import socket

import h11


LARGE = 1 << 20  # h11 takes half a minute for 64 MiB: beyond this, lengths are counted here


class Broken(AssertionError):
    """The peer's answer is no complete, valid HTTP message."""


class Response:
    def __init__(self, head):
        self.status = head.status_code
        self.fields = [(name.decode().lower(), value.decode("latin-1")) for name, value in head.headers]
        self.version = head.http_version.decode()
        self.body = b""

    def get_all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def get(self, name):
        values = self.get_all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode("latin-1")

    @property
    def problem(self):
        """The problem document, after checking that it is one and agrees with the response (RFC 9457, RFC 9209)."""
        assert self.get("Content-Type") == "application/problem+json", (self.status, self.fields, self.body)
        document = json.loads(self.body)
        assert document["status"] == self.status
        assert {"type", "title", "detail"} <= set(document)
        assert all(isinstance(document[name], str) and document[name] for name in ("type", "title", "detail"))
        assert self.get("Proxy-Status").startswith("bearerd; error=")
        return document

    @property
    def kind(self):
        """The last part of the problem's type: what the tests and docs/problems.md call it."""
        prefix, _, kind = self.problem["type"].rpartition(":")
        assert prefix == "urn:bearerd:problem"
        return kind


class RawClient:
    def __init__(self, address, timeout=20, source=None, problems=None):
        """address: a port of 127.0.0.1, a pair of host and port, or the path of a unix socket; source: the client's own
        address; problems: a dictionary that takes down what bearerd answers of its own."""
        self.problems = problems
        if isinstance(address, (int, tuple)):
            place = ("127.0.0.1", address) if isinstance(address, int) else address
            self.sock = socket.create_connection(place, timeout, (source, 0) if source else None)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(str(address))
        self.host = f"127.0.0.1:{address}" if isinstance(address, int) else "localhost"
        self.data = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def head(self, method="GET", target="/", fields=(), host=None, version="HTTP/1.1"):
        """A request head; fields: list of (name, value) or of raw lines."""
        lines = [f"{method} {target} {version}", f"Host: {host or self.host}"]
        lines += [field if isinstance(field, str) else ": ".join(field) for field in fields]
        return "\r\n".join(lines) + "\r\n\r\n"

    def request(self, method="GET", target="/", fields=(), body=None, **options):
        fields = list(fields)
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        self.send(self.head(method, target, fields, **options).encode("latin-1") + (body or b""))

    def ask(self, method="GET", target="/", fields=(), body=None, **options):
        """Sends a request and reads the whole answer."""
        self.request(method, target, fields, body, **options)
        return self.response(method)

    def _fill(self):
        got = self.sock.recv(1 << 16)
        self.eof = not got
        self.data += got
        return got

    def _fill_exactly(self, count):
        body = bytearray(count)
        view, at = memoryview(body), 0
        while at < count:
            got = self.sock.recv_into(view[at:])
            if not got:
                raise Broken(f"closed {count - at} bytes before the body's end")
            at += got
        return body

    def read_until(self, mark):
        """Raw bytes up to and with the mark, for looking at what the parser would hide."""
        while mark not in self.data:
            if not self._fill():
                raise Broken(f"closed before {mark!r} came; got {self.data!r}")
        at = self.data.index(mark) + len(mark)
        got, self.data = self.data[:at], self.data[at:]
        return got

    def read_to_end(self, reset_is_fine=False):
        try:
            while self._fill():
                pass
        except ConnectionResetError:
            if not reset_is_fine:
                raise
        got, self.data = self.data, b""
        return got

    def response(self, method="GET"):
        """The next response, whole. Interim ones (100, 103) are passed over."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        if self.data:
            parser.receive_data(self.data)
        response, parts = None, []
        try:
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA and response and int(response.get("Content-Length") or 0) > LARGE:
                    parts.append(self._fill_exactly(int(response.get("Content-Length")) - sum(map(len, parts))))
                    response.body = b"".join(parts)
                    self.data = b""
                    return response
                elif event is h11.NEED_DATA:
                    parser.receive_data(self._fill())
                elif isinstance(event, h11.Response):
                    response = Response(event)
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
                elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                    if response is None:
                        raise Broken("closed without an answer")
                    response.body = b"".join(parts)
                    self.data = parser.trailing_data[0]
                    self._take_down(response)
                    return response
        except (h11.RemoteProtocolError, ConnectionResetError) as fault:
            broken = Broken(f"{fault}; so far {response and (response.status, response.fields, parts[:1])}")
            broken.response = response
            raise broken from None

    def _take_down(self, response):
        if self.problems is not None and response.get_all("Content-Type") == ["application/problem+json"]:
            self.problems[f"problem {len(self.problems)}"] = f"{response.fields}\n{response.text}"

    def is_closed_by_peer(self):
        """Waits for the end of the connection; False when something else comes."""
        try:
            return self.data == b"" and self._fill() == b""
        except ConnectionResetError:
            return True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()
