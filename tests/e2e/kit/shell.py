# SPDX-License-Identifier: MIT
"""Somebody's shell in a folder of its own, in which a document's commands are typed as they stand: real servers are in the
place of the examples', and the folder in the place of the system's. What is exported stays, what serves goes on in the
background."""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile

from kit.auth_server import BASIC
from kit.bearerd import BINARY, ENV, REPORT
from kit.process import Process, free_port, wait_until
from kit.terminal import Terminal

# What changes the machine, and the program that a page calls the reader's.
STAND_INS = {
    "sudo": 'exec "$@"',
    "systemctl": 'echo "systemctl $*"',
    "legacy-client": "exec curl -fsS http://127.0.0.1:8080/items",
}


class Shell:
    def __init__(self, auth, upstream):
        self.folder = folder = pathlib.Path(tempfile.mkdtemp(prefix="bearerd-docs-"))  # short enough for a socket's path
        self.replaced = {
            "--token-url URL": "--token-url https://idp.example.com/oauth2/token",
            "--client-id ID": "--client-id legacy-app",
            "--upstream URL": "--upstream https://api.example.com",
            "-c FILE": "-c bearerd.ini",
            "GET URL": "GET http://api.example.com/items",
            "help KEY": "help token_url",
            "https://idp.example.com/oauth2/token": auth.token_url,
            "legacy-app": BASIC["client_id"],
            "CLIENT_SECRET=...": f"CLIENT_SECRET={shlex.quote(BASIC['client_secret'])}",
            "https://api.example.com": upstream.url,
            "127.0.0.1:8080": f"127.0.0.1:{free_port()}",
            "/etc/bearerd/": f"{folder}/",
            "/run/bearerd/": f"{folder}/",
            "/etc/credstore": f"{folder}/credstore",
            "items:": "api:",
        }
        self.env = {**ENV, "PATH": f"{folder}/bin:{BINARY.parent}:{os.environ['PATH']}", "HOME": str(folder)}
        self.exported, self.server = "set -o pipefail\n", None
        (folder / "bin").mkdir()
        for name, text in STAND_INS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{self.in_place(text)}\n")
            (folder / "bin" / name).chmod(0o755)

    def in_place(self, text):
        """With what is here where the documents have examples."""
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        return text

    def type(self, command):
        """Its exit status, and what it said: on the standard output if it has said something there and ended well."""
        text = self.in_place(command)
        text = f"{text} -c bearerd.ini" if text == "bearerd status" else text  # which else asks the machine's own
        if text.startswith("export "):
            self.exported += f"{text}\n"
            return 0, ""
        if text.startswith("bearerd serve "):
            return self.serve(text)
        if text.endswith(" --watch"):
            return self.watch(text)
        done = self.bash(text)
        return done.returncode, done.stdout if done.stdout and done.returncode == 0 else done.stdout + done.stderr

    def bash(self, text):
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 60}
        done = subprocess.run(["bash", "-c", self.exported + text], cwd=self.folder, env=self.env, **options)
        assert not REPORT.search(done.stderr), done.stderr
        return done

    def serve(self, text):
        self.server = Process(["bash", "-c", f"{self.exported}exec {text}"], env=self.env, cwd=self.folder, name="bearerd")
        return 0, self.server.wait_line(r".*\bevent=ready\b.*", 20)[0]

    def watch(self, text):
        """One picture, then Ctrl-C."""
        terminal = Terminal(*shlex.split(text.replace("-c ", f"-c {self.folder}/"))[1:], rows=60, env={"NO_COLOR": "1"})
        whole = wait_until(lambda: [picture for picture in terminal.pictures() if "LATEST FAILURES" in picture], 20, "a picture")
        terminal.process.send_signal(signal.SIGINT)
        return terminal.wait(), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", whole[0])

    def stop(self):
        """The one that serves, whichever process that is by now."""
        status, said = self.type("bearerd drain -c bearerd.ini")
        assert status == 0, said
        assert self.server.wait_exit() == 0
        assert not REPORT.search(self.server.text) and BASIC["client_secret"] not in self.server.text

    def clean(self):
        if self.server:
            self.server.kill()
            for pid in re.findall(r"event=ready .*\bpid=(\d+)", self.server.text):
                with contextlib.suppress(OSError):
                    if int(pid) != self.server.pid:
                        os.kill(int(pid), signal.SIGKILL)
        shutil.rmtree(self.folder)
