# SPDX-License-Identifier: MIT
"""The table of subcommands, and what follows it: help, shell completion, man pages."""
import os
import re
import shutil
import subprocess

import pytest
from kit.bearerd import BINARY, ENV, ROOT, run

COMMANDS = re.findall(r"^  (\w+)(?: |$)", run("help").stdout, re.M)
MAN = ROOT / "docs/man/bearerd.8"
SETTINGS = {"listen", "token_url", "clock_skew", "proxy.listen", "admin"}


def options(command):
    return re.findall(r"^  (--?[\w-]+)", run("help", command).stdout, re.M)


def tool(name):
    return shutil.which(name) or pytest.fail(f"{name} is missing; scripts/deps --test installs it")


def test_what_was_promised_is_there():
    promised = "serve check explain token status reload drain wait init demo ping version help"
    assert set(COMMANDS) == set(promised.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    """Both ways, with its options; `token` is a setting as well."""
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"usage: bearerd {command}")
    assert done.stdout in run("help", command).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_of_the_table_is_one_of_the_program(command):
    """What the table has the subcommand takes, so that only the next one is not known."""
    for name, value in re.findall(r"^  (--?[\w-]+)( ['A-Z])?", run(command, "--help").stdout, re.M):
        done = run(command, name, *(["x"] if value else []), "--no-such-option")
        assert done.returncode == 2, (command, name)
        assert f"unrecognized option '{name}'" not in done.stderr and "invalid option" not in done.stderr


def test_help_of_a_setting():
    for arguments in (["help", "clock_skew"], ["--help", "clock_skew"], ["help", "credential.clock_skew"]):
        said = run(*arguments).stdout
        assert all(word in said for word in ("[credential NAME] clock_skew", "Value:", "Default:", "Example: clock_skew ="))
    unknown = run("--help", "clock_skw")
    assert unknown.returncode == 1 and "clock_skew" in unknown.stderr


# -- shell completion ----------------------------------------------------------------------------


def bash_completes(*words):
    """What bash offers for the last of the words."""
    script = f"source {ROOT}/conf/completion/bearerd.bash; COMP_WORDS=(bearerd \"$@\"); COMP_CWORD=$#; _bearerd; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    env = {**ENV, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-euc", script, "bash", *map(str, words)], capture_output=True, text=True, env=env, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split("\n")) - {""}


def test_bash_completes_the_command_line(tmp_path):
    assert bash_completes("") == {*COMMANDS, "--help", "--version"}
    assert bash_completes("re") == {"reload"}
    for command in COMMANDS:
        if command != "help":
            expected = {*options(command), "--help"} if options(command) else set()
            assert bash_completes(command, "") == expected, command
    (tmp_path / "my file.ini").touch()
    assert bash_completes("check", "-c", f"{tmp_path}/my") == {f"{tmp_path}/my file.ini"}
    assert bash_completes("token", "--route", "") == set()
    assert bash_completes("help", "") >= {*SETTINGS, *COMMANDS}


def test_zsh_completes_the_command_line():
    """With the builtins of its completion system as recorders of what they are told."""
    script = (
        "_describe() { print -l ${(P)2} }; _arguments() { print -l -- $@ }; compadd() { shift; print -l $@ }\n"
        f"words=(bearerd \"$@\"); CURRENT=$#words; source {ROOT}/conf/completion/_bearerd"
    )
    env = {**ENV, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}

    def completes(*words):
        done = subprocess.run([tool("zsh"), "-fc", script, "zsh", *words], capture_output=True, text=True, env=env, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    assert [line.split(":")[0] for line in completes("")] == COMMANDS
    for command in COMMANDS:
        if command != "help":
            offered = completes(command, "")
            assert [line.split("[")[0] for line in offered] == options(command)
            assert all(line.count("[") == 1 and line.count(":") in (0, 2) for line in offered), offered
    assert set(completes("help", "")) >= SETTINGS


def test_fish_completes_the_command_line(tmp_path):
    env = {**ENV, "PATH": f"{BINARY.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def completes(line):
        script = f"source {ROOT}/conf/completion/bearerd.fish; complete -C '{line}'"
        done = subprocess.run([tool("fish"), "--no-config", "-c", script], capture_output=True, text=True, env=env, timeout=30)
        assert done.returncode == 0, done.stderr
        return {row.split("\t")[0] for row in done.stdout.splitlines()}

    assert completes("bearerd ") == set(COMMANDS)
    assert completes("bearerd status --") >= {"--watch", "--json", "--quiet", "--admin"}
    assert completes("bearerd help ") >= SETTINGS


def test_completions_and_man_pages_are_installed(release, tmp_path):
    env = {**os.environ, "DESTDIR": str(tmp_path)}
    subprocess.run(["cmake", "--install", release.parent, "--prefix", "/usr"], check=True, capture_output=True, env=env)
    share = tmp_path / "usr/share"
    for path in (
        "bash-completion/completions/bearerd",
        "zsh/vendor-completions/_bearerd",
        "fish/vendor_completions.d/bearerd.fish",
        "man/man8/bearerd.8",
        "man/man5/bearerd.conf.5",
    ):
        assert (share / path).stat().st_size > 100, path


# -- man pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["bearerd.8", "bearerd.conf.5"])
def test_man_pages_render_without_a_warning(page):
    for command in (["groff", "-mdoc", "-ww", "-Tutf8"], ["mandoc", "-T", "lint", "-W", "warning"]):
        done = subprocess.run([tool(command[0]), *command[1:], MAN.with_name(page)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout) > 1000 or command[0] == "mandoc" and done.stdout == "", done.stdout


def test_the_man_page_knows_every_command_and_option():
    text = MAN.read_text()
    synopsis = text.split(".Sh SYNOPSIS")[1].split(".Sh DESCRIPTION")[0]
    for command in COMMANDS:
        usage = "".join(re.findall(rf"^\.Cm {command}\n((?:(?!\.Nm).*\n)*)", synopsis, re.M))
        assert f".It Cm {command}\n" in text and f".Cm {command}\n" in synopsis
        documented = {f"-{name}" for name in re.findall(r"\bFl (-?[\w-]+)", usage)}
        assert documented == set(options(command)), command
