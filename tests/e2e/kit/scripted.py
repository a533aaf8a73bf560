# SPDX-License-Identifier: MIT
"""A server that does exactly what a test says, byte for byte, and remembers exactly what it got: for full request
dumps and for the faults that no real server commits on demand. One thread per connection.

    upstream.on = lambda x: x.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

The function gets an Exchange, after the request's head was read; it reads the body when it wants it. When it
returns, the next request of the connection is read, unless it closed the connection."""
import socket
import ssl
import struct
import threading

from kit.process import wait_until


class Closed(Exception):
    """The other side closed the connection."""


class Request:
    def __init__(self, head, connection):
        self.head = head  # raw, with the blank line
        self.connection = connection  # number of the connection it came on, from 1
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.body = None

    def get_all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        values = self.get_all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def token(self):
        value = self.get("Authorization")
        return value and value.removeprefix("Bearer ")


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.data = sock, number, b""
        self.ended = threading.Event()

    def more(self):
        got = self.sock.recv(1 << 16)
        if not got:
            raise Closed
        self.data += got

    def until(self, mark):
        while mark not in self.data:
            self.more()
        got, self.data = self.data.split(mark, 1)
        return got + mark

    def exactly(self, count):
        while len(self.data) < count:
            self.more()
        got, self.data = self.data[:count], self.data[count:]
        return got


class Exchange:
    def __init__(self, server, connection, request):
        self.server, self.connection, self.request = server, connection, request

    def send(self, data):
        self.connection.sock.sendall(data)

    def read_body(self, keep=True):
        """The whole body. keep=False counts it only: for bodies larger than memory should hold."""
        request, connection = self.request, self.connection
        if request.body is not None:
            return request.body
        if request.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(connection.until(b"\r\n").split(b";")[0], 16):
                body += connection.exactly(size + 2)[:-2]
            while connection.until(b"\r\n") != b"\r\n":
                pass
            request.body = body
        elif keep:
            request.body = connection.exactly(int(request.get("Content-Length") or 0))
        else:
            left = int(request.get("Content-Length"))
            while left:
                if not connection.data:
                    connection.more()
                left -= len(connection.data)
                connection.data = b""
            request.body = b""
        return request.body

    def answer(self, status="200 OK", body=b"", fields=()):
        self.read_body()
        extra = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.send(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode("latin-1"))
        if self.request.method != "HEAD":
            self.send(body)

    def close(self):
        """A clean end: FIN, or close_notify and FIN."""
        if isinstance(self.connection.sock, ssl.SSLSocket):
            try:
                self.connection.sock = self.connection.sock.unwrap()
            except OSError:
                pass
        self.connection.sock.close()

    def reset(self):
        """A rude end: RST."""
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.sock.close()

    def wait_peer_closed(self, timeout=10):
        """Until the other side has closed: what was cancelled must not be kept open."""
        self.connection.sock.settimeout(timeout)
        try:
            while self.connection.sock.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass

    def wait_unused(self, timeout=10):
        """Until the other side has closed, without having sent a byte more: the connection was not used again."""
        self.connection.sock.settimeout(timeout)
        more = self.connection.data
        try:
            more += self.connection.sock.recv(1 << 16)
        except TimeoutError:
            raise AssertionError("the connection is kept open") from None
        except OSError:
            pass  # reset
        assert not more, f"used again: {more!r}"


def garbage_record(sock):
    """Past the TLS of sock: what looks like a record and is none."""
    with socket.socket(fileno=sock.fileno()) as raw:
        raw.sendall(b"\x17\x03\x03\x00\x04abcd")
        raw.detach()


def echo(exchange):
    """The default: 200 with the request as it came."""
    body = exchange.read_body()
    exchange.answer(body=exchange.request.head + body, fields=[("Content-Type", "text/plain")])


class ScriptedServer:
    def __init__(self, on=echo, certs=None, certificate=None, client_ca=None, port=0, backlog=512, host="127.0.0.1", path=None):
        self.on = on
        self.requests = []
        self.connections = 0  # accepted so far
        self.faults = []  # what went wrong in the functions given
        self._open = set()
        self._lock = threading.Lock()
        self._tls = self._context(certs, certificate, client_ca) if certs else None
        self._socket = self._listen(host, port, path, backlog)
        self.port = path or self._socket.getsockname()[1]
        self.authority = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if certs else 'http'}://{self.authority}"
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def _listen(host, port, path, backlog):
        """path: of a unix socket, in the place of host and port."""
        if not path:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=backlog)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(backlog)
        return server

    @staticmethod
    def _context(certs, certificate, client_ca):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = certificate or certs.server
        context.load_cert_chain(certificate, certs.key_of(certificate))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        return context

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                connection = Connection(sock, self.connections)
                self._open.add(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        try:
            if self._tls:
                connection.sock = self._tls.wrap_socket(connection.sock, server_side=True)
            while connection.sock.fileno() >= 0:
                request = Request(connection.until(b"\r\n\r\n"), connection.number)
                with self._lock:
                    self.requests.append(request)
                self.on(Exchange(self, connection, request))
        except (Closed, OSError):
            pass
        except Exception as fault:  # shown by the fixture: a broken script must fail the test
            self.faults.append(fault)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.sock.close()
            connection.ended.set()

    @property
    def last(self):
        return self.requests[-1]

    def tokens(self):
        return [request.token for request in self.requests]

    def wait_requests(self, count, timeout=10):
        wait_until(lambda: len(self.requests) >= count, timeout, f"{count} requests at the scripted server")
        return self.requests

    def open_count(self):
        return len(self._open)

    def wait_no_connections(self, timeout=10):
        wait_until(lambda: not self._open, timeout, "no open connection at the scripted server")

    def drop_connections(self):
        """Closes what is open now (keep-alive connections that idle), as a server's own time limit would."""
        with self._lock:
            idle = list(self._open)
        for connection in idle:
            connection.sock.shutdown(socket.SHUT_RDWR)
            connection.ended.wait(5)

    def stop(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the next connection
        except OSError:
            pass
        self._socket.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for connection in left:
            connection.ended.wait(5)


def send_json(exchange, answer, fields=()):
    """answer: (status, JSON text), as token_answer() makes it."""
    status, text = answer
    exchange.answer(status, text.encode(), [("Content-Type", "application/json"), *fields])


class TokenServer(ScriptedServer):
    """A token endpoint for the faults no real one commits: `answers` holds what to send, one for each request, the last
    one for all that follow. An answer is a function of an Exchange, or (status, JSON text)."""

    def __init__(self, *answers, **options):
        super().__init__(on=self._answer, **options)
        self.answers = list(answers) or [token_answer("token")]

    def _answer(self, exchange):
        exchange.read_body()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer(exchange)
            return
        send_json(exchange, answer)

    @property
    def token_url(self):
        return f"{self.url}/token"

    def credential(self, name="main", **settings):
        rows = {"token_url": self.token_url, "client_id": "client", "client_secret": "secret", **settings}
        return f"[credential {name}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())


def token_answer(token, expires_in=3600, extra=""):
    """expires_in: as JSON text or number; None leaves it out."""
    life = "" if expires_in is None else f', "expires_in": {expires_in}'
    return "200 OK", f'{{"access_token": "{token}", "token_type": "Bearer"{life}{extra}}}'
