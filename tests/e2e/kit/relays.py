# SPDX-License-Identifier: MIT
"""Forward proxies for the `proxy` setting: HTTP with CONNECT and absolute-form, and SOCKS5. They note where they were
asked to go, and go to a fixed address instead, so that the names asked for need not exist."""
import base64
import socket
import threading

from kit.scripted import ScriptedServer


def pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(client, server):
    other = threading.Thread(target=pump, args=[server, client], daemon=True)
    other.start()
    pump(client, server)
    other.join(20)
    server.close()


class HttpProxy(ScriptedServer):
    """`asked` holds the targets as they came. login: (user, password) to ask for."""

    def __init__(self, port_behind, login=None, **options):
        super().__init__(on=self._forward, **options)
        self.asked = []
        self.port_behind = port_behind
        self.login = login and "Basic " + base64.b64encode(":".join(login).encode()).decode()

    def _forward(self, exchange):
        request = exchange.request
        self.asked.append(request.line)
        if self.login and request.get("Proxy-Authorization") != self.login:
            exchange.answer("407 Proxy Authentication Required", fields=[("Proxy-Authenticate", "Basic realm=x")])
            return
        if request.method == "CONNECT":
            server = socket.create_connection(("127.0.0.1", self.port_behind))
            exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(exchange.connection.sock, server)
            exchange.close()
        else:
            exchange.answer(body=b"by proxy")


class SocksProxy:
    """`asked` holds (name or address, port). CONNECT only (RFC 1928); login: (user, password) to ask for (RFC 1929)."""

    def __init__(self, port_behind, login=None):
        self.asked, self.port_behind, self.login = [], port_behind, login
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        stream = client.makefile("rb")
        methods = stream.read(stream.read(2)[1])
        if not self._is_let_in(client, stream, methods):
            client.close()
            return
        kind = stream.read(4)[3]
        name = stream.read(stream.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(stream.read(4))
        self.asked.append((name, int.from_bytes(stream.read(2), "big")))
        server = socket.create_connection(("127.0.0.1", self.port_behind))
        client.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        relay(client, server)
        client.close()

    def _is_let_in(self, client, stream, methods):
        if not self.login:
            client.sendall(b"\5\0")
            return True
        client.sendall(b"\5\2" if b"\2" in methods else b"\5\xff")
        if b"\2" not in methods:
            return False
        stream.read(1)
        login = tuple(stream.read(stream.read(1)[0]).decode() for _ in range(2))
        client.sendall(b"\1\0" if login == self.login else b"\1\1")
        return login == self.login

    def stop(self):
        self._socket.close()
