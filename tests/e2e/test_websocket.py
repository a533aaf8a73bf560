# SPDX-License-Identifier: MIT
"""WebSocket through bearerd to a real server, from a real client: the token goes with the handshake, the rest is bytes."""
import asyncio
import os

import pytest
import websockets
from conftest import one_route
from kit.process import wait_until
from kit.websocket import WebSocketServer, talk


@pytest.fixture(params=["ws", "wss"])
def server(request, certs):
    made = WebSocketServer(certs if request.param == "wss" else None)
    yield made
    made.stop()


@pytest.fixture
def daemon(start, auth, certs, server):
    lines = f"ca_file = {certs.ca}" if server.url.startswith("https") else ""
    return start(one_route(auth.credential(), server.url, upstream=lines) + "[log]\naccess = yes\n")


def ws(daemon, path="/chat?room=1"):
    return f"ws://127.0.0.1:{daemon.port}{path}"


@pytest.mark.parametrize("message", ["hello", "grüße", "", b"\0\1\2", bytes(range(256)) * 400], ids=["text", "utf-8", "empty", "binary", "long"])
def test_echo(daemon, server, message):
    async def echo(socket):
        for _ in range(3):
            await socket.send(message)
            assert await socket.recv() == message

    talk(ws(daemon), echo)
    assert server.paths == ["/chat?room=1"]
    assert server.head("Authorization").startswith("Bearer ey")
    assert server.head("Upgrade") == "websocket" and server.head("Connection") == "Upgrade"


def test_the_handshake_s_own_fields_pass_as_they_are(daemon, server):
    async def look(socket):
        sent = socket.request_headers
        for name in ("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
            assert sent[name] == server.head(name)
        return socket.subprotocol, [extension.name for extension in socket.extensions]

    protocol, extensions = talk(ws(daemon), look, subprotocols=["v1.test", "other"], extra_headers={"X-Mine": "1"})
    assert (protocol, extensions) == ("v1.test", ["permessage-deflate"])
    assert server.head("X-Mine") == "1"


def test_large_messages_both_ways(daemon):
    message = os.urandom(16 << 20)

    async def echo(socket):
        await socket.send(message)
        assert await socket.recv() == message

    talk(ws(daemon), echo, compression=None)


def test_messages_that_the_server_begins(daemon):
    async def listen(socket):
        await socket.send("push 1000")
        return [await socket.recv() for _ in range(1000)]

    assert talk(ws(daemon), listen) == [f"message {number}" for number in range(1000)]


def test_pings_are_answered_by_the_other_side(daemon):
    async def ping(socket):
        pong = await socket.ping()
        await asyncio.wait_for(pong, 20)

    talk(ws(daemon), ping)


def test_a_close_of_the_server_reaches_the_client(daemon, server):
    async def be_closed(socket):
        await socket.send("close")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        return socket.close_code, socket.close_reason

    assert talk(ws(daemon), be_closed) == (4321, "as you wish")
    daemon.wait_log(r"event=tunnel.closed to=api why=\"closed by both sides\"")


def test_a_close_of_the_client_reaches_the_server(daemon, server):
    async def close(socket):
        await socket.close(4000, "enough")

    talk(ws(daemon), close)
    wait_until(lambda: server.closed == [4000], 10, "the server heard of it")
    daemon.wait_log("event=tunnel.closed")
    daemon.wait_log(r"event=request .*method=GET path=/chat .*status=101 end=complete")


def test_a_client_that_vanishes_is_noticed(daemon, server):
    async def vanish(socket):
        socket.transport.abort()

    talk(ws(daemon), vanish)
    wait_until(lambda: server.closed and not server.open, 10, "the server's side is closed")
    daemon.wait_log("event=tunnel.closed")


def test_many_at_a_time(daemon, server):
    async def one(number):
        async with websockets.connect(ws(daemon, f"/{number}"), open_timeout=30) as socket:
            for turn in range(20):
                await socket.send(f"{number}/{turn}")
                assert await socket.recv() == f"{number}/{turn}"

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(60)))

    asyncio.run(asyncio.wait_for(all_of_them(), 120))
    assert sorted(server.paths) == sorted(f"/{number}" for number in range(60))
    wait_until(lambda: not server.open, 10, "all are closed")


def test_ordinary_requests_go_on_beside_it(daemon, server):
    async def beside(socket):
        answer = await asyncio.to_thread(daemon.ask, "GET", "/plain")
        await socket.send("still there")
        return answer.status, await socket.recv()

    assert talk(ws(daemon), beside) == (426, "still there")  # which this server says to all that is no handshake


def test_without_permission_the_server_never_hears_of_it(start, auth):
    server = WebSocketServer()
    daemon = start(one_route(auth.credential(), server.url, upstream="upgrade = none"))
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        talk(ws(daemon), asyncio.sleep)
    assert refused.value.status_code == 426 and server.head("Upgrade") is None
    server.stop()


def test_a_route_without_a_token_gets_the_server_s_refusal(start, auth):
    server = WebSocketServer()
    daemon = start(one_route(auth.credential(), server.url, route="credential = none").replace("scopes = api:read\n", ""))
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        talk(ws(daemon), asyncio.sleep)
    assert refused.value.status_code == 401
    server.stop()


def test_web_pages_are_refused_unless_allowed(start, auth):
    """Browsers let any page open a WebSocket to anywhere, and tell who asks in Origin alone."""
    server = WebSocketServer()
    daemon = start(one_route(auth.credential(), server.url), "allow_origins = https://app.example.com")
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        talk(ws(daemon), asyncio.sleep, origin="https://evil.example.com")
    assert refused.value.status_code == 403 and not server.heads

    async def nothing(socket):
        return True

    assert talk(ws(daemon), nothing, origin="https://app.example.com")
    server.stop()
