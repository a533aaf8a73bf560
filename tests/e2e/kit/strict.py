# SPDX-License-Identifier: MIT
"""What a strict reader that knows nothing of bearerd (h11) makes of requests: those that reach an upstream, and those
that a client sent."""
import socket
import threading

import h11


class Seen:
    """A request as it was read: fields in lower case, the body whole."""

    def __init__(self, head):
        self.method, self.target = head.method.decode(), head.target.decode("latin-1")
        self.version = head.http_version.decode()
        self.fields = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        self.body = b""

    def get_all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def __repr__(self):
        return f"{self.method} {self.target} {self.fields} {self.body[:80]!r}"


def _read(parser, request):
    """Goes on with the message under way: (request or None, is it whole). Raises h11.RemoteProtocolError."""
    while True:
        event = parser.next_event()
        if isinstance(event, h11.Request):
            request = Seen(event)
        elif isinstance(event, h11.Data):
            request.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return request, True
        else:  # needs more, paused, closed
            return request, False


def first_request(raw):
    """The first whole request in these bytes; None when there is none, or a fault."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        parser.receive_data(raw)
        request, is_whole = _read(parser, None)
        return request if is_whole else None
    except h11.RemoteProtocolError:
        return None


class StrictServer:
    """An upstream that takes only what h11 takes. `requests`: whole ones; `begun`: those whose body never ended;
    `faults`: what was not acceptable. One thread per connection; each request is answered with its number."""

    def __init__(self):
        self.requests, self.begun, self.faults = [], [], []
        self._open = set()
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.authority = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.authority}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(sock)
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock):
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        request = None
        try:
            while True:
                request, is_whole = _read(parser, request)
                if is_whole:
                    self._answer(sock, parser, request)
                    request = None
                    continue
                data = sock.recv(1 << 16)
                if not data:
                    break
                parser.receive_data(data)
        except h11.RemoteProtocolError as fault:
            self.faults.append(fault)
        except OSError:
            pass
        finally:
            if request:
                self.begun.append(request)
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _answer(self, sock, parser, request):
        with self._lock:
            self.requests.append(request)
            number = b"%d" % len(self.requests)
        head = h11.Response(status_code=200, headers=[("Content-Length", str(len(number)))])
        sock.sendall(parser.send(head))
        if request.method != "HEAD":
            sock.sendall(parser.send(h11.Data(data=number)))
        sock.sendall(parser.send(h11.EndOfMessage()))
        parser.start_next_cycle()

    def all(self):
        return self.requests + self.begun

    def stop(self):
        self._socket.close()
        with self._lock:
            left = list(self._open)
        for sock in left:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
