# SPDX-License-Identifier: MIT
"""A real WebSocket server and client (Debian's python3-websockets), the server on a thread of its own."""
import asyncio
import http
import ssl
import threading

import websockets

LARGEST = 64 << 20


class WebSocketServer:
    """Echoes; `open` counts its connections, `heads` holds the requests' fields as they came. A message that begins with
    "close" makes it close, one that begins with "push" makes it send that many messages."""

    def __init__(self, certs=None):
        self.heads, self.paths, self.closed, self.open = [], [], [], 0
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._tls = None
        if certs:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certs.server, certs.key_of(certs.server))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        self.url = f"{'https' if certs else 'http'}://127.0.0.1:{self.port}"

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self):
        self._stop = asyncio.Event()
        options = {"ssl": self._tls, "max_size": LARGEST, "subprotocols": ["v2.test", "v1.test"], "process_request": self._look}
        async with websockets.serve(self._handle, "127.0.0.1", 0, **options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    async def _look(self, path, fields):
        self.heads.append(list(fields.raw_items()))
        self.paths.append(path)
        if not (fields.get("Authorization") or "").startswith("Bearer "):
            return http.HTTPStatus.UNAUTHORIZED, [("WWW-Authenticate", "Bearer")], b"no token\n"
        return None

    async def _handle(self, socket):
        self.open += 1
        try:
            async for message in socket:
                if message[:5] == "close":
                    await socket.close(4321, "as you wish")
                elif message[:4] == "push":
                    for number in range(int(message[4:])):
                        await socket.send(f"message {number}")
                else:
                    await socket.send(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            self.open -= 1
            self.closed.append(socket.close_code)

    def head(self, name):
        values = [value for key, value in self.heads[-1] if key.lower() == name.lower()]
        assert len(values) < 2, values
        return values[0] if values else None

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def talk(url, what, **options):
    """Runs what(socket), a coroutine function, on a connection to this URL; what it returns."""

    async def run():
        async with websockets.connect(url, max_size=LARGEST, open_timeout=20, close_timeout=10, **options) as socket:
            return await what(socket)

    return asyncio.run(asyncio.wait_for(run(), 60))
