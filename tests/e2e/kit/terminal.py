# SPDX-License-Identifier: MIT
"""bearerd on a terminal of its own: what it draws there, and what keys would send."""
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading

from kit.bearerd import BINARY, ENV


class Terminal:
    def __init__(self, *args, rows=40, columns=110, env=None):
        self.main, other = pty.openpty()
        self.resize(rows, columns)
        env = {**ENV, "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})}

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [BINARY, *map(str, args)], stdin=other, stdout=other, stderr=other, env=env, preexec_fn=own_terminal
        )
        os.close(other)
        self.seen = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        bytes_seen = b""
        while True:
            try:
                more = os.read(self.main, 65536)
            except OSError:  # how Linux says that nobody has the other end any more
                break
            if not more:
                break
            bytes_seen += more
            self.seen = bytes_seen.decode("utf-8", "replace")

    def resize(self, rows, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, timeout=20):
        status = self.process.wait(timeout)
        self.reader.join(5)
        os.close(self.main)
        return status

    def pictures(self):
        """What --watch has drawn, one after the other."""
        return self.seen.split("\x1b[H")[1:]
