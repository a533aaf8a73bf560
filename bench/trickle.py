# SPDX-License-Identifier: MIT
"""How long a piece of an answer is held up: an upstream sends small pieces at intervals, as server-sent events come, and
what bearerd adds to the time each takes to arrive is the difference to the same without it.

    python3 bench/trickle.py [--pieces 300] [--interval-ms 10] [--binary build/release/bearerd]

Every piece bears the moment it was sent; both ways are measured in turns, in one process, so that the machine's other work
meets both. Printed are medians, the 99th percentile and the largest, in microseconds. Exit status 1 when the median
added is 5 ms or more."""
import argparse
import contextlib
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIMIT_US = 5000
CONFIG = """
[proxy]
listen = 127.0.0.1:0
workers = 1
[upstream events]
url = http://127.0.0.1:{port}
[route all]
match = /**
credential = none
"""


def serve(listener, pieces, interval):
    """To each request: `pieces` chunks, each with the clock's reading at its sending."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(pieces):
                time.sleep(interval)
                piece = b"data: %d\n\n" % time.monotonic_ns()
                sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            sock.sendall(b"0\r\n\r\n")


def delays(port):
    """Microseconds from sending to arrival, for each piece."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
        found, data = [], b""
        while not data.endswith(b"0\r\n\r\n"):
            got = sock.recv(65536)
            now = time.monotonic_ns()
            if not got:
                break
            data += got
            for sent in re.findall(rb"data: (\d+)\n\n", data):
                found.append((now - int(sent)) / 1000)
            data = data[data.rfind(b"\n\n") + 2 :] if b"\n\n" in data else data
        return found


@contextlib.contextmanager
def bearerd(binary, port):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "bearerd.ini"
        path.write_text(CONFIG.format(port=port))
        process = subprocess.Popen([binary, "serve", "-c", path], stderr=subprocess.PIPE, text=True)
        try:
            own = None
            for line in process.stderr:
                found = re.search(r"event=listening .*:(\d+)", line)
                own = int(found.group(1)) if found else own
                if "event=ready" in line:
                    break
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield own
        finally:
            process.terminate()
            process.wait(20)


def show(name, values):
    values = sorted(values)
    print(f"{name:8} {statistics.median(values):9.0f} {values[int(len(values) * 0.99)]:9.0f} {values[-1]:9.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=300)
    parser.add_argument("--interval-ms", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--binary", default=str(ROOT / "build/release/bearerd"))
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    threading.Thread(target=serve, args=[listener, options.pieces, options.interval_ms / 1000], daemon=True).start()
    direct, through = [], []
    with bearerd(options.binary, port) as own:
        for _ in range(options.rounds):
            direct += delays(port)
            through += delays(own)
    listener.close()
    print(f"microseconds from sending a piece to its arrival, {len(direct)} pieces each way\n{'':8} {'median':>9} {'p99':>9} {'max':>9}")
    show("direct", direct)
    show("bearerd", through)
    added = statistics.median(through) - statistics.median(direct)
    print(f"median added: {added:.0f} us")
    return added >= LIMIT_US or len(direct) != len(through)


if __name__ == "__main__":
    sys.exit(main())
