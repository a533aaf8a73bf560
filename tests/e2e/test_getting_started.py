# SPDX-License-Identifier: MIT
"""docs/getting-started.md as a new user goes through it: the commands of its sections 2 to 4 in one shell, as they stand
there, with real servers in the place of the examples'."""
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile

import pytest
from kit.auth_server import BASIC
from kit.bearerd import BINARY, ENV, REPORT, ROOT
from kit.process import free_port

PAGE = ROOT / "docs/getting-started.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks():
    """(language, text) of sections 2 to 4, without those that show an output."""
    text = PAGE.read_text()
    part = text[text.index("\n## 2.") : text.index("\n## 5.")]
    return [match.groups() for match in FENCE.finditer(part) if match.group(1)]


def script_of(replaced):
    """One shell script; what the page would have in the configuration is added to it."""
    lines = ["set -eu", "step() { echo \"== $1\"; }"]
    for number, (language, text) in enumerate(blocks()):
        for old, new in replaced.items():
            text = text.replace(old, new)
        lines.append(f"step {number}")
        lines.append(text if language == "sh" else f"cat >>my.ini <<'END'\n{text}END\n")
    return "\n".join([*lines, "wait", "echo == end", ""])


@pytest.fixture
def folder():
    """Short enough for a socket's path."""
    path = tempfile.mkdtemp(prefix="bearerd-start-")
    yield path
    shutil.rmtree(path)


def test_the_commands_do_what_the_page_says(auth, upstream, folder):
    port = free_port()
    script = script_of(
        {
            "https://idp.example.com/oauth2/token": auth.token_url,
            "legacy-app": BASIC["client_id"],
            "CLIENT_SECRET=...": f"CLIENT_SECRET={shlex.quote(BASIC['client_secret'])}",
            "--output my.ini": f"--output my.ini --ca-file {auth.ca_file} --listen 127.0.0.1:{port}",
            "https://api.example.com": upstream.url,
            "http://api.example.com": upstream.url,
            "127.0.0.1:8080": f"127.0.0.1:{port}",
            "items:read": "api:read",
            "orders:write": "api:write",
        }
    )
    env = {**ENV, "PATH": f"{BINARY.parent}:{os.environ['PATH']}", "HOME": folder}
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, errors = shell.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)  # the shell's own group: what it has started in the background
        raise
    assert shell.returncode == 0 and not REPORT.search(errors), f"{out}\n{errors}"
    steps = out.split("== ")
    assert len(steps) == len(blocks()) + 2 and steps[-1] == "end\n"
    assert "my.ini is written" in steps[1] and "main             api:read                ok" in steps[1], out
    for number in (2, 3):
        assert "HTTP/1.1 200 OK" in steps[number] and "GET /items HTTP/1.1" in steps[number], out
    assert "ready\n" in steps[2] and "valid" in steps[4] and "read" in steps[4]
    assert "reloaded\n" in steps[6] and "draining" in steps[7]
    first, second = upstream.requests
    assert first.get("Authorization").startswith("Bearer ") and second.get("Authorization") == first.get("Authorization")
    assert BASIC["client_secret"] not in out + errors
