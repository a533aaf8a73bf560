# SPDX-License-Identifier: MIT
"""Load generators: wrk for as much as goes through, h2load for a fixed rate and every request's time, curl for bulk,
and sockets of our own for clients that sit idle or come all at once."""
import dataclasses
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time

from kit.server import clean_environment, program


def run(argv, cores, timeout):
    argv = ["taskset", "-c", cores, program(argv[0]), *argv[1:]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, env=clean_environment())


def wrk(port, target, connections, seconds, cores, fields=(), script=None):
    """Requests answered, and the seconds that took."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *(f"-H{field}" for field in fields)]
    argv += ["-s", str(script)] if script else []
    done_by = run([*argv, f"http://127.0.0.1:{port}{target}"], cores, seconds + 30)
    fault = re.search(r"Non-2xx.*|Socket errors:.*", done_by.stdout)
    done = re.search(r"(\d+) requests in ([\d.]+)(m?s)", done_by.stdout)
    if done_by.returncode or fault or not done:
        sys.exit(f"bench: wrk, {target}: {fault.group() if fault else done_by.stdout + done_by.stderr}")
    return int(done.group(1)), float(done.group(2)) * (0.001 if done.group(3) == "ms" else 1)


@dataclasses.dataclass
class Timed:
    at: float  # seconds since the epoch
    took_us: int


def h2load(port, target, connections, rate, seconds, cores, folder, fields=()):
    """At a fixed rate of requests per second, all connections together: every request's time, warm-up left out."""
    log = folder / f"h2load-{os.getpid()}-{time.monotonic_ns()}"
    argv = ["h2load", "--h1", "-t1", f"-c{connections}", f"-D{seconds}", "--warm-up-time=1"]
    argv += [f"--rps={rate / connections:.3f}", f"--log-file={log}", *(f"-H{field}" for field in fields)]
    done_by = run([*argv, f"http://127.0.0.1:{port}{target}"], cores, seconds + 30)
    if done_by.returncode or not log.exists():
        sys.exit(f"bench: h2load, {target}: {done_by.stdout[-500:]}{done_by.stderr}")
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    log.unlink()
    bad = [row for row in rows if row[1] != "200"]
    # What was under way when the time was over is told as status 0 or -1.
    if any(row[1] not in ("0", "-1") for row in bad):
        sys.exit(f"bench: h2load, {target}: status {bad[0][1]}")
    return [Timed(int(row[0]) / 1e6, int(row[2])) for row in rows if row[1] == "200"]


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def curl(port, target, cores, *options):
    """Bytes, and the seconds that took."""
    form = "%{http_code} %{size_download} %{size_upload} %{time_total}"
    url = f"http://127.0.0.1:{port}{target}"
    argv = ["curl", "-sS", "-q", "--noproxy", "*", "-o", "/dev/null", "-w", form, "-H", "Expect:", *options, url]
    done_by = run(argv, cores, 120)
    if done_by.returncode or not done_by.stdout.startswith("200 "):
        sys.exit(f"bench: curl, {target}: {done_by.stdout} {done_by.stderr}")
    _, down, up, took = done_by.stdout.split()
    return max(int(down), int(up)), float(took)


def allow_descriptors(count):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        sys.exit(f"bench: needs {count} open files, {hard} are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


REQUEST = "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n"


class Crowd:
    """Clients that connect, ask once, and stay."""

    def __init__(self, port, count):
        self.port, self.clients = port, []
        for _ in range(count):
            self.clients.append(socket.create_connection(("127.0.0.1", port), 10))

    def ask_in_turn(self, target):
        for client in self.clients:
            client.sendall(REQUEST.format(target, self.port).encode())
            self._take(client)

    def ask_at_once(self, target):
        """Seconds from the first request to the last answer."""
        waiting = select.epoll()
        by_fd = {client.fileno(): client for client in self.clients}
        began = time.monotonic()
        for client in self.clients:
            client.sendall(REQUEST.format(target, self.port).encode())
            waiting.register(client.fileno(), select.EPOLLIN)
        while by_fd:
            ready = waiting.poll(30)
            if not ready:
                sys.exit(f"bench: {len(by_fd)} clients without an answer")
            for fd, _ in ready:
                self._take(by_fd.pop(fd))
                waiting.unregister(fd)
        return time.monotonic() - began

    @staticmethod
    def _take(client):
        """One read: the answers are small and come in one piece."""
        answer = client.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(f"bench: a client got {answer[:200]!r}")

    def leave(self):
        for client in self.clients:
            client.close()
