# SPDX-License-Identifier: MIT
"""What tokens cost when there are many: as many slots as --slots says (each a route with a scope of its own), all of
them in use, each token renewed about every minute.

    python3 bench/tokens.py [--slots 10000] [--binary build/release/bearerd] [--json FILE]

Two runs, about two and a half minutes. `burst`: every slot is asked for at once, as fast as the answers come: what a
fetch costs, and how many there can be. `steady`: the slots are touched one after the other over a minute, twice a
minute each from then on, and the second minute is measured. Authorization server and upstream are one scripted
process, all traffic is on loopback. bearerd has its defaults and one worker. The control thread is the one that
fetches; what it cost is read from the kernel's account of that thread."""
import argparse
import asyncio
import json
import multiprocessing
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PERIOD = 60  # seconds in which every slot is renewed once
# 10 s of clock_skew and a quarter of the lifetime before that: renewed after 60 s, give or take 2.
LIFETIME = 93
TOKEN_LEN = 512


class Peer(asyncio.Protocol):
    """Answers a POST with a new token, everything else with 200, or 401 where a token is missing."""

    counts = None  # shared: tokens issued, requests served

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head, is_token = self.data[:end], self.data.startswith(b"POST")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            stop = end + 4 + (int(length.group(1)) if length else 0)
            if len(self.data) < stop:
                return
            self.data = self.data[stop:]
            self.answer_token() if is_token else self.answer_request(head)

    def answer_token(self):
        self.counts[0] += 1
        token = f"t{self.counts[0]:07}".ljust(TOKEN_LEN, "x")
        self.send("200 OK", {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME})

    def answer_request(self, head):
        self.counts[1] += 1
        self.send("200 OK" if re.search(rb"\r\nAuthorization: Bearer t\d{7}x", head) else "401 No token", {})

    def send(self, status, document):
        body = json.dumps(document)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write((head + body).encode())


def serve(listener, counts, cpus):
    os.sched_setaffinity(0, cpus)
    Peer.counts = counts

    async def forever():
        server = await asyncio.get_running_loop().create_server(Peer, sock=listener, backlog=4096)
        await server.serve_forever()

    asyncio.run(forever())


class Daemon:
    def __init__(self, binary, folder, port, slots, cpus):
        config = folder / "tokens.ini"
        routes = "".join(f"[route r{i}]\nmatch = /r{i}\nscopes = scope{i}\n" for i in range(slots))
        config.touch(0o600)
        config.write_text(
            "[proxy]\nlisten = 127.0.0.1:0\nworkers = 1\n[credential main]\n"
            f"token_url = http://127.0.0.1:{port}/token\nclient_id = bench\nclient_secret = bench-secret\n"
            f"[upstream api]\nurl = http://127.0.0.1:{port}\n{routes}"
        )
        self.log = folder / "log"
        with self.log.open("w") as log:
            started = time.monotonic()
            self.process = subprocess.Popen(
                [binary, "serve", "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            )  # fmt: skip
        self.port = self._wait_ready()
        self.start_s = time.monotonic() - started

    def _wait_ready(self):
        for _ in range(600):
            text = self.log.read_text()
            if "event=ready" in text:
                return int(re.search(r"event=listening.*address=\"?127\.0\.0\.1:(\d+)", text).group(1))
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        sys.exit(f"bearerd did not start:\n{text[-2000:]}")

    def cpu_s(self, control):
        """CPU time of the control thread (the first one), or of the others together."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        chosen = [task for task in tasks if (int(task.name) == self.process.pid) == control]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in chosen) / 1e9

    def rss_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        status = self.process.wait(20)
        failed = self.log.read_text().count("event=token.failed")
        if status or failed:
            sys.exit(f"bearerd ended with {status}, {failed} token requests failed")


class Client:
    """One kept-alive connection, one request at a time."""

    async def open(self, port):
        self.host = f"127.0.0.1:{port}"
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, slot):
        self.writer.write(f"GET /r{slot} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        await self.reader.readexactly(int(re.search(rb"(?i)content-length: *(\d+)", head).group(1)))
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"slot {slot}: {head.decode()}")


async def burst(port, slots, connections=64):
    left = iter(range(slots))

    async def work():
        client = await Client().open(port)
        for slot in left:
            await client.ask(slot)

    await asyncio.gather(*(work() for _ in range(connections)))


async def steady(port, slots, first, seconds):
    """Slot n at n/slots of each minute, and again half a minute later. first: no slot has a token yet."""
    near, far = await Client().open(port), None
    start, count = time.monotonic(), int(slots * seconds / PERIOD)
    for n in range(count):
        await asyncio.sleep(max(0, start + n * PERIOD / slots - time.monotonic()))
        await near.ask(n % slots)
        if not first or n >= slots // 2:
            far = far or await Client().open(port)  # not earlier: it would be closed as idle
            await far.ask((n + slots - slots // 2) % slots)


class Sample:
    def __init__(self, daemon, counts):
        self.time, self.tokens, self.requests = time.monotonic(), counts[0], counts[1]
        self.control, self.others, self.rss = daemon.cpu_s(True), daemon.cpu_s(False), daemon.rss_mib()

    def since(self, before):
        seconds, tokens = self.time - before.time, self.tokens - before.tokens
        control = self.control - before.control
        return {
            "seconds": round(seconds, 1),
            "tokens": tokens,
            "tokens_per_s": round(tokens / seconds, 1),
            "control_share_percent": round(100 * control / seconds, 2),
            "control_us_per_token": round(1e6 * control / tokens, 1) if tokens else None,
            "requests_per_s": round((self.requests - before.requests) / seconds, 1),
            "worker_share_percent": round(100 * (self.others - before.others) / seconds, 2),
            "rss_mib": round(self.rss, 1),
        }


def measure(args, port, counts, folder, cpus):
    figures = {}
    for name in ("burst", "steady"):
        counts[0] = counts[1] = 0
        daemon = Daemon(args.binary, folder, port, args.slots, cpus)
        try:
            before = Sample(daemon, counts)
            if name == "burst":
                time.sleep(3)
                figures["idle"] = Sample(daemon, counts).since(before)
                figures["idle"]["start_s"] = round(daemon.start_s, 2)
                before = Sample(daemon, counts)
                asyncio.run(burst(daemon.port, args.slots))
            else:
                asyncio.run(steady(daemon.port, args.slots, True, PERIOD))
                before = Sample(daemon, counts)
                asyncio.run(steady(daemon.port, args.slots, False, PERIOD))
            figures[name] = Sample(daemon, counts).since(before)
        finally:
            daemon.stop()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=10000, choices=range(10, 20001), metavar="10…20000")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/bearerd")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file as well")
    args = parser.parse_args()
    if not args.binary.exists():
        parser.error(f"{args.binary} is not there: build it, or name one with --binary")
    cpus = sorted(os.sched_getaffinity(0))
    mine, theirs = (cpus[:-1], cpus[-1:]) if len(cpus) > 1 else (cpus, cpus)
    os.sched_setaffinity(0, mine)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    counts = multiprocessing.Array("l", 2, lock=False)
    peer = multiprocessing.Process(target=serve, args=(listener, counts, mine), daemon=True)
    peer.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(args, listener.getsockname()[1], counts, pathlib.Path(folder), theirs)
    finally:
        peer.terminate()
    for name, rows in figures.items():
        print(name + "".join(f"\n  {key:<24}{value}" for key, value in rows.items()))
    if args.json:
        args.json.write_text(json.dumps({"slots": args.slots, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
