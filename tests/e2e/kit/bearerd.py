# SPDX-License-Identifier: MIT
"""bearerd itself: a configuration is written, the binary started on a port of the system's choice, its own log line
awaited; at the end it must leave with 0 on SIGTERM, say nothing of a sanitizer, and have shown no secret (canary.py)."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import textwrap

from kit import canary
from kit.admin import Admin
from kit.process import Process
from kit.raw import RawClient

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("BEARERD") or ROOT / "build/dev/bearerd")
RELEASE = pathlib.Path(os.environ.get("BEARERD_RELEASE") or ROOT / "build/release/bearerd")
REPORT = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")
TOKEN = re.compile(r"\bey[\w-]{10,}\.ey")  # what the real authorization server issues
ENV = {
    "PATH": os.environ["PATH"],
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "LSAN_OPTIONS": f"suppressions={pathlib.Path(__file__).with_name('lsan.txt')}:print_suppressions=0",
}


def run(*args, env=None, binary=None):
    """A subcommand that ends by itself: check, explain, version, …"""
    done = subprocess.run(
        [binary or BINARY, *map(str, args)], capture_output=True, text=True, timeout=30, env={**ENV, **(env or {})}
    )
    assert not REPORT.search(done.stderr), done.stderr
    return done


class Bearerd:
    def __init__(self, config, env=None, binary=None, admin=None, before=(), descriptors=()):
        """admin: the path of the socket that the configuration has in [admin]. before: a command that starts it, with what
        it inherits."""
        self.config = config
        self.env = env or {}
        self.admin = admin and Admin(admin)
        self.secrets = []  # more of them than the configuration names
        self.problems = {}  # what bearerd answered of its own
        argv = [*before, binary or BINARY, "serve", "-c", config]
        self.process = Process(argv, env={**ENV, **(env or {})}, name="bearerd", descriptors=descriptors)
        self.address = None

    def wait_ready(self):
        self.process.wait_line(r'\bevent(=|":")ready\b', timeout=20)  # in either format
        listening = r'\bevent(?:=|":")listening\b.*\baddress(?:=|":)"?([^\s"]+)'
        self.addresses = re.findall(listening, self.process.text)
        ports = [address for address in self.addresses if not address.startswith("unix:")]
        self.port = int(ports[0].rsplit(":", 1)[1]) if ports else None
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    @property
    def log(self):
        return self.process.text

    def wait_log(self, pattern, timeout=10):
        return self.process.wait_line(pattern, timeout)

    def client(self, **options):
        return RawClient(self.port, problems=self.problems, **options)

    def ask(self, method="GET", target="/", fields=(), body=None, **options):
        """One request on a connection of its own."""
        with contextlib.closing(self.client()) as client:
            return client.ask(method, target, fields, body, **options)

    def memory_peak_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))

    def write(self, text, proxy=""):
        """Another configuration in the file's place, in one go, as whoever replaces files should."""
        if self.admin and "[admin]" not in text:
            text = f"{textwrap.dedent(text)}\n[admin]\nlisten = unix:{self.admin.address}\n"
        fresh = write_config(self.config.parent, text, proxy, self.config.name + ".new")
        os.replace(fresh, self.config)

    def reload(self, text=None, proxy="", expect="reloaded"):
        """SIGHUP, after another configuration was written if there is one; returns what the log then said."""
        if text is not None:
            self.write(text, proxy)
        mark = self.process.mark()
        self.process.signal(signal.SIGHUP)
        said = self.process.wait_line(r"event=(reloaded|reload\.refused)\b", 30, mark)[1]
        lines = "\n".join(self.process.lines_since(mark))
        assert said == expect, lines
        return lines

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        assert self.process.is_running(), f"bearerd died:\n{self.process.tail()}"
        shown = canary.shown_by(self.process, self.admin)
        status = self.process.stop()
        self.check_end(status, shown)

    def check_end(self, status, shown=None):
        assert not REPORT.search(self.log), self.log
        assert status == 0, f"exit status {status}:\n{self.process.tail()}"
        shown = {**(shown or {}), **self.problems, "the log": self.log}
        for where, text in shown.items():
            assert not TOKEN.search(text), f"an access token is in {where}"
        secrets = canary.secrets_of(self.config, self.env) | dict.fromkeys(self.secrets, "a secret")
        assert not canary.find(secrets, shown)


class AdminSocket:
    """Where the admin listener of a bearerd under test is: a path short enough for a socket's, whatever the test is called."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bearerd-admin-"))
        self.path = self.folder / "admin.sock"

    def added_to(self, ini):
        return f"{textwrap.dedent(ini)}\n[admin]\nlisten = unix:{self.path}\n"

    def remove(self):
        shutil.rmtree(self.folder)


def write_config(folder, text, proxy="", name="bearerd.ini"):
    """text: the sections but [proxy], which listens on a free port; proxy: more lines for it."""
    path = folder / name
    head = proxy if "listen" in proxy else f"listen = 127.0.0.1:0\n{proxy}"
    path.touch(0o600)
    path.write_text(f"[proxy]\n{textwrap.dedent(head)}\n{textwrap.dedent(text)}", errors="surrogateescape")
    return path
