# SPDX-License-Identifier: MIT
"""docs/clients.md as a user would try it: every fenced example is run as it stands there, with the port replaced."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import one_route

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/clients.md"
COMMANDS = {
    "sh": ["bash", "-euo", "pipefail", "{file}"],
    "python": ["/usr/bin/python3", "{file}"],
    "js": ["node", "{file}"],
    "php": ["php", "{file}"],
    "ruby": ["ruby", "{file}"],
}
SUFFIX = {"js": ".mjs"}
KEY = "a-key-of-the-clients-own-0123456789"


def examples():
    """(section, number, language, text)"""
    section, found = "", []
    for match in re.finditer(r"^## ([^\n]+)|^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        title, language, text = match.groups()
        if title:
            section = title
        else:
            found.append((section, language, text))
    return found


EXAMPLES = examples()


def test_the_page_has_what_it_promises():
    sections = re.findall(r"^## (\d+)\. ", PAGE.read_text(), re.M)
    assert sections == [str(i) for i in range(1, 13)]
    ticked = set(re.findall(r"^## ([^\n]+ ✓)$", PAGE.read_text(), re.M))
    assert ticked == {section for section, _, _ in EXAMPLES if section.endswith("✓")}
    assert {language for _, language, _ in EXAMPLES} == set(COMMANDS)


@pytest.fixture
def daemon(start, auth, upstream, tmp_path, request):
    """Answers to the API's name; asks for a key, or listens on a socket, where the example has one."""
    text = request.getfixturevalue("text")
    proxy = f"listen = 127.0.0.1:0\nlisten = unix:{tmp_path}/proxy.sock\n"
    proxy += f"client_key = {KEY}\n" if "CLIENT_KEY" in text else ""
    return start(one_route(auth.credential(), upstream.url, upstream="hosts = api.example.com"), proxy)


@pytest.mark.parametrize(
    "language, text", [example[1:] for example in EXAMPLES], ids=[f"{e[0]}-{i}" for i, e in enumerate(EXAMPLES)]
)
def test_an_example_gets_its_answer(daemon, upstream, tmp_path, language, text):
    script = tmp_path / ("example" + SUFFIX.get(language, ""))
    script.write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{daemon.port}").replace("8080", str(daemon.port)))
    argv = [word.format(file=script) for word in COMMANDS[language]]
    assert shutil.which(argv[0]), f"{argv[0]} is missing; scripts/deps --test installs it"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SOCKET": f"{tmp_path}/proxy.sock", "CLIENT_KEY": KEY}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    assert "GET /items HTTP/1.1" in done.stdout
    (asked,) = upstream.requests
    assert asked.get("Authorization").startswith("Bearer ")
