# SPDX-License-Identifier: MIT
"""A program under test: its output is read as it comes, so that tests wait for lines and not for time; stopped by
its own pid, and its exit status looked at."""
import collections
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time


def free_port():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, timeout=10, what="condition"):
    """For what gives no sign of its own. Returns the condition's first true value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)


def half_closed(port):
    """Connections to the port that the other side has ended and ours has not (CLOSE_WAIT): forgotten descriptors."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].split(":")[1], 16) == port and row[3] == "08" for row in rows)


class Process:
    def __init__(self, argv, env=None, cwd=None, name=None, descriptors=()):
        """descriptors: inherited under the same numbers."""
        self.name = name or str(argv[0]).rsplit("/", 1)[-1]
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        # setpriv, so that nothing outlives a test run that is killed
        command = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env=env, cwd=cwd, start_new_session=True, pass_fds=descriptors,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self):
        return self.process.pid

    @property
    def text(self):
        with self._changed:
            return "\n".join(self.lines)

    def tail(self):
        return "\n".join(self.text.splitlines()[-40:])

    def mark(self):
        """Where the output stands now, for wait_line(since=…) and lines_since()."""
        with self._changed:
            return len(self.lines)

    def lines_since(self, mark):
        with self._changed:
            return self.lines[mark:]

    def wait_line(self, pattern, timeout=10, since=0):
        """The match in the first line that has the pattern, from line `since` on."""
        seen, found = since, collections.deque(maxlen=1)

        def look():
            nonlocal seen
            while seen < len(self.lines) and not found:
                match = re.search(pattern, self.lines[seen])
                seen += 1
                if match:
                    found.append(match)
            return found or self._ended

        with self._changed:
            self._changed.wait_for(look, timeout)
        assert found, f"{self.name} never said {pattern!r}; it said:\n{self.tail()}"
        return found[0]

    def is_running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=20):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
            raise AssertionError(f"{self.name} did not end in {timeout} s; it said:\n{self.tail()}") from None
        self._reader.join(5)
        return status

    def stop(self, timeout=20):
        if self.is_running():
            self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def kill(self):
        if self.is_running():
            self.process.kill()
        self.process.wait(5)
