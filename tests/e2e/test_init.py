# SPDX-License-Identifier: MIT
"""init: a first configuration that works, that overwrites nothing and holds no secret."""
import os
import pty
import subprocess
import urllib.parse

import pytest
from kit.auth_server import BASIC
from kit.bearerd import BINARY, ENV, run
from kit.process import wait_until

USUAL = ["--token-url", "https://idp.example.com/oauth2/token", "--client-id", "app", "--upstream", "https://api.example.com"]
SECRET = {"CLIENT_SECRET": "canary-of-init"}


def init(folder, *args, **options):
    return run("init", *args, "--output", folder / "my.ini", **options)


@pytest.fixture
def real(auth, upstream):
    """Options for the real servers."""
    return ["--token-url", auth.token_url, "--ca-file", auth.ca_file, "--client-id", BASIC["client_id"], "--upstream", upstream.url]


def test_what_init_writes_passes_check_and_is_short(tmp_path):
    done = init(tmp_path, *USUAL, "--scope", "items:read", "--scope", "items:write items:list")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line in done.stdout for line in ("export CLIENT_SECRET=...", f"check --live -c {tmp_path}/my.ini", "serve -c"))
    text = (tmp_path / "my.ini").read_text()
    assert "scopes = items:read items:write items:list\n" in text and len(text.splitlines()) < 40
    assert all(len(line) <= 100 for line in text.splitlines())
    assert (tmp_path / "my.ini").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["my.ini"], "nothing is left behind"
    checked = run("check", "-c", tmp_path / "my.ini", env=SECRET)
    assert (checked.returncode, checked.stderr) == (0, "")
    explained = run("explain", "-c", tmp_path / "my.ini", "POST", "/items", env=SECRET)
    assert explained.returncode == 0 and "items:list items:read items:write" in explained.stdout


@pytest.mark.parametrize(
    "more, line",
    [
        (["--listen", "127.0.0.1:9999"], "listen = 127.0.0.1:9999"),
        (["--admin", "unix:/run/x.sock"], "[admin]\nlisten = unix:/run/x.sock"),
        (["--auth-method", "client_secret_post"], "auth_method = client_secret_post"),
        (["--secret-env", "OTHER"], "client_secret = env:OTHER"),
        (["--secret-file", "/run/secret"], "client_secret = file:/run/secret"),
        (["--auth-method", "none"], "auth_method = none"),
    ],
)
def test_options_of_init(tmp_path, more, line):
    assert init(tmp_path, *USUAL, *more).returncode == 0
    text = (tmp_path / "my.ini").read_text()
    assert line in text and ("client_secret" in text) == ("none" not in more)
    assert run("check", "-c", tmp_path / "my.ini", env={**SECRET, "OTHER": "x"}).returncode == 0


def test_issuer_in_place_of_the_token_url(tmp_path):
    assert init(tmp_path, "--issuer", "https://idp.example.com", *USUAL[2:]).returncode == 0
    assert run("check", "-c", tmp_path / "my.ini", env=SECRET).returncode == 0


@pytest.mark.parametrize("value", ['a "quoted" one', "a ; b # c", "${HOME} and $x", " spaces ", '"', "a\\b"])
def test_values_are_read_back_as_they_were_given(tmp_path, token_server, value, upstream):
    """The client id is one that the token endpoint then gets."""
    server = token_server()
    options = ["--token-url", server.token_url, "--client-id", value, "--upstream", upstream.url, "--auth-method", "client_secret_post"]
    done = init(tmp_path, *options, "--try", env=SECRET)
    assert done.returncode == 0, done.stderr
    assert urllib.parse.parse_qs(server.last.body.decode())["client_id"] == [value]


def test_a_value_cannot_bring_lines_of_its_own(tmp_path):
    for value in ("x\nallow_plaintext = yes", "x\r[proxy]", "\x1b[2J", ""):
        done = init(tmp_path, *USUAL[:2], "--client-id", value, *USUAL[4:])
        assert done.returncode == 1 and "client_id" in done.stderr and "\x1b" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_what_check_is_against_is_not_written(tmp_path):
    done = init(tmp_path, "--token-url", "http://idp.example.com/token", *USUAL[2:])
    assert done.returncode == 1 and "[credential main] token_url: http://idp.example.com/token is not encrypted" in done.stderr
    assert init(tmp_path, *USUAL, "--auth-method", "basic").returncode == 1
    assert "ca_file" in init(tmp_path, *USUAL, "--ca-file", __file__).stderr, "no certificate in it"
    assert init(tmp_path, *USUAL, "--secret-env", "not a name").returncode == 1
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_there_stays(tmp_path):
    (tmp_path / "my.ini").write_text("mine")
    done = init(tmp_path, *USUAL)
    assert done.returncode == 1 and "--force" in done.stderr
    assert (tmp_path / "my.ini").read_text() == "mine"
    assert init(tmp_path, "--force", *USUAL).returncode == 0
    assert "[credential main]" in (tmp_path / "my.ini").read_text()
    assert os.listdir(tmp_path) == ["my.ini"]
    assert "cannot write" in run("init", *USUAL, "--output", tmp_path / "none/x.ini").stderr


@pytest.mark.parametrize(
    "args", [[], USUAL[:4], USUAL[2:], USUAL[:2] + USUAL[4:], [*USUAL, "--issuer", "https://x.example"], [*USUAL, "x"],
             [*USUAL, "--secret-file", "f", "--secret-env", "E"], [*USUAL, "--client-secret", "s"]]
)  # fmt: skip
def test_wrong_usage_of_init_asks_nothing(tmp_path, args):
    """Without a terminal; and there is no option to give the secret by."""
    done = init(tmp_path, *args)
    assert done.returncode == 2 and "usage: bearerd init" in done.stderr
    assert os.listdir(tmp_path) == []


def test_relative_paths_count_from_where_they_were_said(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "secret").write_text("s\n")
    subprocess.run([BINARY, "init", *USUAL, "--secret-file", "secret", "--output", "sub/my.ini"], cwd=tmp_path, env=ENV, check=True)
    checked = run("check", "-c", tmp_path / "sub/my.ini")
    assert (checked.returncode, checked.stderr) == (0, ""), "no warning of a file that is not there"
    assert f"file:{tmp_path}/secret" in (tmp_path / "sub/my.ini").read_text()


def test_init_tries_it(tmp_path, real, auth):
    done = init(tmp_path, *real, "--scope", "api:read", "--try", env={"CLIENT_SECRET": BASIC["client_secret"]})
    assert (done.returncode, done.stderr) == (0, "")
    [row] = [line for line in done.stdout.splitlines() if line.startswith("main ")]
    assert " ok " in row and len(auth.requests()) == 1


def test_init_tells_what_came_of_the_trial(tmp_path, real):
    done = init(tmp_path, *real, "--scope", "api:read", "--try", env={"CLIENT_SECRET": "a wrong one"})
    assert done.returncode == 1 and "invalid_client" in done.stdout
    assert (tmp_path / "my.ini").exists() and "a wrong one" not in done.stdout + done.stderr
    unset = init(tmp_path, *real, "--force", "--try")
    assert unset.returncode == 1 and "not set" in unset.stderr


def test_init_asks_on_a_terminal(tmp_path):
    main, other = pty.openpty()
    process = subprocess.Popen([BINARY, "init", "--output", tmp_path / "my.ini"], stdin=other, stdout=other, stderr=other, env=ENV)
    os.close(other)
    seen = b""
    for question, answer in ((b"token endpoint", USUAL[1]), (b"client id", USUAL[3]), (b"API", USUAL[5])):
        while question not in seen:
            seen += os.read(main, 4096)
        os.write(main, answer.encode() + b"\n")
    wait_until(lambda: (tmp_path / "my.ini").exists(), 20, "the file")
    assert process.wait(20) == 0
    os.close(main)
    assert f"url = {USUAL[5]}\n" in (tmp_path / "my.ini").read_text()
    assert run("check", "-c", tmp_path / "my.ini", env=SECRET).returncode == 0
