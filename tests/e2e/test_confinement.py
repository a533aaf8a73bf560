# SPDX-License-Identifier: MIT
"""What the running program can still do (T-9, T-17, T-20): of the optimised binary, because the sanitizers' one
keeps what they need."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile

import pytest
from conftest import one_route
from kit.bearerd import ENV, run, write_config
from kit.process import Process, free_port, wait_until
from kit.scripted import token_answer

SECRET = "canary-of-the-environment"
ENVIRON = {"CLIENT_SECRET": SECRET}
BIND = 1 << 10  # CAP_NET_BIND_SERVICE
IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")


def status_of(pid, task=None):
    path = pathlib.Path(f"/proc/{pid}/task/{task or pid}/status")
    return dict(line.split(":", 1) for line in path.read_text().splitlines())


def helper_of(daemon):
    return helper_of_pid(daemon.process.pid)


def helper_of_pid(pid):
    (child,) = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def tasks_of(daemon):
    return [int(task.name) for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir()]


@pytest.fixture
def served(start, token_server, upstream, release):
    """served(proxy, env, **settings): a daemon with everything on, and a token got."""

    def make(proxy="", env=None, secret="env:CLIENT_SECRET", **settings):
        server = token_server(*[token_answer(f"token-{n}", 3600) for n in range(20)])
        credential = server.credential(client_secret=secret, **settings)
        daemon = start(one_route(credential, upstream.url), proxy, env={**ENVIRON, **(env or {})}, binary=release)
        daemon.secrets.append(SECRET)
        return daemon

    return make


@pytest.fixture
def open_folder():
    """A folder that every user can look into; pytest's own ones are closed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bearerd-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_T20_every_thread_has_given_up_what_it_does_not_need(served):
    daemon = served("workers = 3")
    assert daemon.ask().status == 200  # names are resolved on threads of their own
    tasks = tasks_of(daemon)
    assert len(tasks) >= 4
    for task in tasks:
        status = status_of(daemon.process.pid, task)
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2", "no filter"
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert int(status["CapBnd"], 16) == 0 or not IS_ROOT
    assert "event=sandbox landlock=" in daemon.log
    limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == [["0", "0"]]


def test_T20_the_helper_alone_may_start_programs(served):
    daemon = served()
    helper = status_of(helper_of(daemon))
    assert helper["Name"].strip() == "bearerd-helper"
    assert (helper["Seccomp"].strip(), helper["NoNewPrivs"].strip(), helper["Threads"].strip()) == ("0", "1", "1")
    fds = sorted(os.listdir(f"/proc/{helper_of(daemon)}/fd"))
    assert fds == ["0", "1", "2", "3", "4"], "a descriptor that is not its own"


def test_the_helper_costs_little(served):
    rollup = pathlib.Path(f"/proc/{helper_of(served())}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty"))
    assert private < 300, f"{private} KiB"


def test_T17_its_end_is_told_and_tokens_go_on(served, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o700)
    daemon = served(on_token_update=hook)
    os.kill(helper_of(daemon), 9)
    assert daemon.ask().status == 200
    daemon.wait_log("event=hook.failed .*the process that starts commands is gone; restart bearerd")


def test_it_leaves_nothing_behind_when_it_is_killed(served, tmp_path):
    """A hook that hangs, and the helper, end with a bearerd that had no time to say so."""
    hook, mark = tmp_path / "hook", tmp_path / "pid"
    hook.write_text(f"#!/bin/sh\ntrap '' TERM HUP\necho $$ >{mark}.new\nmv {mark}.new {mark}\nsleep 600\n")
    hook.chmod(0o700)
    daemon = served(on_token_update=hook)
    daemon.ask()
    wait_until(mark.exists, what="the hook runs")
    pids = [helper_of(daemon), int(mark.read_text())]
    daemon.process.kill()
    wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), what="both are gone")


def test_T17_commands_are_those_of_the_configuration_in_force(start, upstream, release, tmp_path):
    """Not of the file as it stands: what has not been loaded, or was refused, neither gives commands nor takes them away."""

    def with_command(name, more=""):
        path = tmp_path / name
        path.write_text(f"""#!/bin/sh\necho '{{"access_token":"token-of-{name}","token_type":"Bearer","expires_in":3600}}'\n""")
        path.chmod(0o700)
        return one_route(f"[credential main]\nsource = exec\ncommand = {path}\n{more}", upstream.url, scopes="")

    daemon = start(with_command("first"), binary=release)
    daemon.reload(with_command("second"))
    daemon.reload(with_command("third", "nonsense = 1"), expect="reload.refused")
    assert daemon.ask().status == 200
    assert upstream.requests[-1].token == "token-of-second"
    assert "helper.refused" not in daemon.log
    daemon.reload(with_command("fourth"))
    assert daemon.ask().status == 200
    assert upstream.requests[-1].token == "token-of-fourth"


# -- the environment -----------------------------------------------------------------------------


def environ_of(pid):
    return pathlib.Path(f"/proc/{pid}/environ").read_bytes()


def is_in_memory(pid, text):
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            first, last = (int(end, 16) for end in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(first)
                if text.encode() in memory.read(last - first):
                    return True
    return False


def test_T9_secrets_are_wiped_from_the_environment(served):
    daemon = served(env={"OTHER": "stays"})
    assert daemon.ask().status == 200
    for pid in (daemon.process.pid, helper_of(daemon)):
        environ = environ_of(pid)
        assert SECRET.encode() not in environ and b"CLIENT_SECRET=" in environ
        assert b"OTHER=stays" in environ


def test_T9_the_helper_holds_no_secret(served):
    assert not is_in_memory(helper_of(served()), SECRET)


def test_T9_dangerous_variables_are_taken_away_and_named(served, tmp_path):
    told = tmp_path / "told"
    dangerous = {
        "http_proxy": "http://proxy.invalid:1", "HTTPS_PROXY": "http://proxy.invalid:1", "ALL_PROXY": "x",
        "NO_PROXY": "x", "SSLKEYLOGFILE": str(told), "CURL_HOME": "/x", "CURL_CA_BUNDLE": "/x", "NETRC": "/x",
        "SSL_CERT_FILE": "/x", "SSL_CERT_DIR": "/x", "OPENSSL_CONF": "/x", "OPENSSL_MODULES": "/x",
        "LD_LIBRARY_PATH": "/x", "GCONV_PATH": "/x", "HOSTALIASES": "/x", "LOCALDOMAIN": "x",
    }  # fmt: skip
    daemon = served(env=dangerous)
    assert daemon.ask().status == 200 and not told.exists()
    (line,) = [line for line in daemon.log.splitlines() if "event=environment.ignored" in line]
    assert set(dangerous) <= set(line.split('names="')[1].rstrip('"').split())
    assert b"proxy.invalid" not in environ_of(daemon.process.pid)


def test_secrets_of_the_environment_over_reloads_and_upgrades(served):
    """They are known for as long as there is a process that needs them, and seen by nobody."""
    proxy = f"listen = 127.0.0.1:{free_port()}"
    daemon = served(proxy, env={"OTHER": "stays", "https_proxy": "http://proxy.invalid:1"})
    pids = [daemon.process.pid]
    try:
        for _ in range(2):
            assert daemon.ask().status == 200
            mark = daemon.process.mark()
            os.kill(pids[-1], signal.SIGHUP)
            daemon.process.wait_line("event=reloaded", 10, mark)
            os.kill(pids[-1], signal.SIGUSR2)
            pids.append(int(daemon.process.wait_line(r"event=upgraded pid=(\d+)", 30, mark)[1]))
            for pid in (pids[-1], helper_of_pid(pids[-1])):
                environ = environ_of(pid)
                assert SECRET.encode() not in environ and b"OTHER=stays" in environ and b"proxy.invalid" not in environ
            status = status_of(pids[-1])
            assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "1")
        mark = daemon.process.mark()
        assert daemon.ask().status == 200
    finally:
        os.kill(pids[-1], signal.SIGTERM)
    daemon.check_end(daemon.process.wait_exit())
    daemon.process.wait_line("event=stopped", 10, mark)


def test_a_secret_of_the_environment_that_a_reload_names_first(served, upstream, token_server):
    """Until then it was a variable like any other. The helper wipes it, too, and a successor is told of it."""
    later = "canary-that-is-named-later"
    proxy = f"listen = 127.0.0.1:{free_port()}"
    daemon = served(proxy, env={"LATER": later})
    helper = helper_of(daemon)
    assert f"LATER={later}".encode() in environ_of(helper)
    server = token_server(*[token_answer(f"late-{n}", 3600) for n in range(3)])
    daemon.secrets.append(later)
    daemon.reload(one_route(server.credential(client_secret="env:LATER"), upstream.url), proxy)
    assert daemon.ask().status == 200
    wait_until(lambda: later.encode() not in environ_of(helper), what="the helper has wiped it")
    wait_until(lambda: not is_in_memory(helper, later), what="no copy is left")
    mark = daemon.process.mark()
    daemon.process.signal(signal.SIGUSR2)
    pid = int(daemon.process.wait_line(r"event=upgraded pid=(\d+)", 30, mark)[1])
    try:
        daemon.process.wait_line("event=stopped", 10, mark)
        mark = daemon.process.mark()
        assert daemon.ask().status == 200
        assert later.encode() not in environ_of(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
    daemon.check_end(daemon.process.wait_exit())
    daemon.process.wait_line("event=stopped", 10, mark)


# -- users ---------------------------------------------------------------------------------------


def low_port():
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@as_root
@pytest.mark.xdist_group("low_port")  # one after the other: they would choose the same
def test_user_and_a_low_port(token_server, upstream, open_folder, release):
    """From root to nobody, with a port that only root may have, a secret, a store, a socket, and a hook of nobody's."""
    nobody = pwd.getpwnam("nobody")
    private = open_folder / "private"
    private.mkdir(mode=0o700)
    kept = open_folder / "kept"
    kept.mkdir(mode=0o700)
    secret, hook, mark = private / "secret", private / "hook", private / "mark"
    secret.write_text("file-secret\n")
    hook.write_text(f"#!/bin/sh\n{{ id -u; id -g; id -G; grep CapPrm /proc/self/status; echo $HOME; }} >{mark}.new\nmv {mark}.new {mark}\n")
    hook.chmod(0o700)
    secret.chmod(0o600)
    for path in (private, kept, secret, hook):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    port = low_port()
    server = token_server(token_answer("token-1", 3600))
    credential = server.credential(client_secret=f"file:{secret}", on_token_update=hook)
    store = f"[store]\nurl = sqlite:{kept}/tokens.db\nkey = 0123456789abcdef\n"
    proxy = f"listen = 127.0.0.1:{port}\nlisten = unix:{private}/socket\nuser = nobody\nsandbox = strict\n"
    config = write_config(open_folder, store + one_route(credential, upstream.url), proxy)
    process = Process([release, "serve", "-c", config], name="bearerd")
    try:
        process.wait_line("event=ready")
        assert "event=process.root" not in process.text
        status = status_of(process.pid)
        assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert status["Groups"].split() == [str(nobody.pw_gid)]
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status[name], 16) == BIND, name
        answer = subprocess.run(
            ["curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/x"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert answer.stdout == "200"
        wait_until(mark.exists, what="the hook ran")
        ids = [str(nobody.pw_uid), str(nobody.pw_gid), str(nobody.pw_gid)]
        assert mark.read_text().split("\n")[:5] == [*ids, f"CapPrm:\t{0:016x}", nobody.pw_dir]
        assert (kept / "tokens.db").stat().st_uid == nobody.pw_uid
        assert (private / "socket").stat().st_uid == nobody.pw_uid
        assert process.stop() == 0
        assert not (private / "socket").exists()
    finally:
        process.kill()


@as_root
@pytest.mark.xdist_group("low_port")  # one after the other: they would choose the same
def test_a_right_of_the_service_is_none_of_its_commands(token_server, upstream, open_folder, release):
    """AmbientCapabilities= of systemd, and no user: the port is bearerd's and its successor's, the hook has nothing."""
    nobody = pwd.getpwnam("nobody")
    os.chown(open_folder, nobody.pw_uid, nobody.pw_gid)
    hook, mark, port = open_folder / "hook", open_folder / "mark", low_port()
    hook.write_text(f"#!/bin/sh\ngrep Cap /proc/self/status >{mark}.new\nmv {mark}.new {mark}\n")
    hook.chmod(0o755)
    server = token_server(*[token_answer(f"token-{n}", 3600) for n in range(3)])
    text = one_route(server.credential(on_token_update=hook, required="yes"), upstream.url)
    config = write_config(open_folder, text, f"listen = 127.0.0.1:{port}")
    os.chown(config, nobody.pw_uid, nobody.pw_gid)
    low = ["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]
    ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    process = Process(["setpriv", *ids, *low, release, "serve", "-c", config], env=ENV, name="bearerd")
    pids = [process.pid]
    try:
        process.wait_line("event=ready")
        for _ in range(2):
            wait_until(mark.exists, what="the hook ran")
            rights = dict(line.split() for line in mark.read_text().splitlines())
            assert [int(rights[name], 16) for name in ("CapPrm:", "CapEff:", "CapAmb:")] == [0, 0, 0]
            assert int(status_of(pids[-1])["CapEff"], 16) == BIND
            mark.unlink()
            if len(pids) == 1:
                os.kill(pids[0], signal.SIGUSR2)
                pids.append(int(process.wait_line(r"event=upgraded pid=(\d+)", 30)[1]))
    finally:
        for pid in pids[1:]:
            os.kill(pid, signal.SIGTERM)
        process.stop()


@as_root
def test_a_port_is_the_only_right_that_is_kept(served):
    # Without a socket for the admin listener: its folder is root's.
    status = status_of(served("user = nobody\n[admin]").process.pid)
    assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")] == [0, 0, 0]


@as_root
def test_root_is_warned_of(served):
    assert "level=warn event=process.root" in served().log


@as_root
def test_strict_does_not_run_as_root(tmp_path, release):
    config = write_config(tmp_path, "[upstream api]\nurl = https://api.example.com\n", "sandbox = strict")
    done = run("serve", "-c", config, binary=release)
    assert done.returncode == 1
    assert "sandbox = strict: bearerd must not run as root; see user" in done.stderr


@as_root
def test_strict_needs_what_it_names(open_folder, release):
    """A container runtime may forbid the system calls of Landlock: then auto says what is missing, and strict gives up."""
    old = pathlib.Path(__file__).with_name("old_kernel.py")
    for mode, code in (("auto", 0), ("strict", 1)):
        config = write_config(
            open_folder, "[upstream api]\nurl = https://api.example.com\n", f"user = nobody\nsandbox = {mode}"
        )
        process = Process(["/usr/bin/python3", old, release, "serve", "-c", config], name="bearerd")
        if mode == "auto":
            process.wait_line("event=sandbox.missing what=landlock")
            process.wait_line("event=ready")
            process.signal(15)
        assert process.wait_exit() == code
        if mode == "strict":
            assert "sandbox = strict: this kernel has no Landlock" in process.text


def test_unix_sockets_are_made_only_where_some_were_at_the_start(start, release, tmp_path):
    """For their modes a call is needed that Landlock knows nothing of; without Landlock nothing else is in the way."""
    old = pathlib.Path(__file__).with_name("old_kernel.py")
    text = "[upstream api]\nurl = https://api.example.com\n"
    for before, said in (("listen = 127.0.0.1:0", "reload.refused"), (f"listen = unix:{tmp_path}/first", "reloaded")):
        config = write_config(tmp_path, text, before)
        daemon = Process(["/usr/bin/python3", old, release, "serve", "-c", config], env=ENV, name="bearerd")
        daemon.wait_line("event=ready")
        write_config(tmp_path, text, f"listen = unix:{tmp_path}/second")
        mark = daemon.mark()
        daemon.signal(signal.SIGHUP)
        assert daemon.wait_line(r"event=(reloaded|reload\.refused)", 10, mark)[1] == said
        assert ("no unix socket was when bearerd started" in daemon.text) == (said == "reload.refused")
        assert (tmp_path / "second").exists() == (said == "reloaded")
        assert daemon.stop() == 0


@as_root
def test_a_store_beside_the_configuration_leaves_a_way_out(open_folder, release):
    """Who takes bearerd over can write what the helper reads: auto says so, strict does not start, and neither `check`."""
    nobody = pwd.getpwnam("nobody")
    os.chown(open_folder, nobody.pw_uid, nobody.pw_gid)
    text = "[store]\nurl = sqlite:tokens.db\nkey = 0123456789abcdef\n[upstream api]\nurl = https://api.example.com\n"
    said = rf"\[store\] url: .*bearerd may write to {open_folder} for this, where the configuration .* is, too"
    for mode, code in (("auto", 0), ("strict", 1)):
        config = write_config(open_folder, text, f"user = nobody\nsandbox = {mode}")
        done = run("check", "-c", config, binary=release)
        assert done.returncode == code
        assert re.search(rf"bearerd.ini:6: {'' if code else 'warning: '}{said}", done.stderr), done.stderr
        process = Process([release, "serve", "-c", config], name="bearerd")
        if mode == "auto":
            process.wait_line(rf"event=config.warning file={config} line=6 text=\"{said}")
            process.wait_line("event=ready")
            process.signal(15)
        assert process.wait_exit() == code
        assert re.search(said, process.text)


def test_off_is_off(served):
    daemon = served("sandbox = off")
    assert status_of(daemon.process.pid)["Seccomp"].strip() == "0"
    assert "event=sandbox" not in daemon.log


# -- files ---------------------------------------------------------------------------------------


def test_T34_a_secret_comes_later_with_its_folder_and_is_rotated(served, tmp_path):
    secret = tmp_path / "not" / "yet" / "secret"
    daemon = served(secret=f"file:{secret}")
    assert daemon.ask().status == 503
    secret.parent.mkdir(parents=True)
    for value in ("first", "second"):
        new = tmp_path / "new"
        new.touch(0o600)
        new.write_text(value)
        new.rename(secret)
        wait_until(lambda: daemon.ask().status == 200, what="the secret is read")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_landlock_keeps_other_files_out_of_reach(served, tmp_path):
    """A link put in the place of a secret, as somebody might who can write to its folder and to nothing else."""
    outside = pathlib.Path(tempfile.mkdtemp(prefix="bearerd-test-"))
    try:
        (outside / "secret").touch(0o600)
        (outside / "secret").write_text("another's secret")
        link = tmp_path / "secret"
        daemon = served(secret=f"file:{link}")
        if "landlock=0" in daemon.log or "event=sandbox landlock" not in daemon.log:
            pytest.skip("no Landlock here")
        link.symlink_to(outside / "secret")
        assert daemon.ask().status == 503
        daemon.wait_log("cannot open .*secret: Permission denied")
    finally:
        shutil.rmtree(outside)


def test_a_key_file_that_everybody_can_read_is_refused(tmp_path, certs, release):
    key = tmp_path / "client.key"
    shutil.copy(certs.key_of(certs.server), key)
    key.chmod(0o644)
    text = f"[upstream api]\nurl = https://api.example.com\ncert_file = {certs.server}\nkey_file = {key}\n"
    done = run("check", "-c", write_config(tmp_path, text), binary=release)
    assert done.returncode == 1
    assert f"every user of this machine can read the private key; chmod o= {key}" in done.stdout + done.stderr
