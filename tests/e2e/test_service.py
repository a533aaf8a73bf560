# SPDX-License-Identifier: MIT
"""Under a service manager, whose part the test plays: what it is told (sd_notify), sockets it hands over, its watchdog;
and signals, process 1, the file with the process's number."""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import one_route
from kit.auth_server import BASIC, AuthServer
from kit.bearerd import REPORT, Bearerd, run, write_config
from kit.process import free_port, wait_until
from kit.raw import RawClient


class Manager:
    """Where notifications go; each is a dictionary."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.notes = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                lines = self.socket.recv(1 << 16).decode().splitlines()
            except OSError:
                return
            if lines:
                self.notes.append(dict(line.split("=", 1) for line in lines))

    def wait(self, key, value=None, since=0, timeout=10):
        def find():
            return next((note for note in self.notes[since:] if note.get(key) == value or value is None and key in note), None)

        return wait_until(find, timeout, f"{key}={value}")

    def count(self, key):
        return sum(key in note for note in self.notes)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@bearerd-{os.getpid()}-{time.monotonic_ns()}"
    made = Manager(name.replace("@", "\0"))
    made.name = name
    yield made
    made.socket.close()


@pytest.fixture
def notified(simple, manager):
    return lambda *args, **env: simple(*args, env={"NOTIFY_SOCKET": manager.name, **env})


# -- what it is told -----------------------------------------------------------------------------


def test_ready_reloading_stopping(notified, manager, auth, upstream):
    daemon = notified()
    ready = manager.wait("READY", "1")
    assert f"127.0.0.1:{daemon.port}" in ready["STATUS"]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    mark = len(manager.notes)
    daemon.reload()
    reloading = manager.wait("RELOADING", "1", mark)
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.wait("READY", "1", mark)
    mark = len(manager.notes)
    daemon.reload("[upstream\n", expect="reload.refused")
    status = manager.wait("READY", "1", mark)["STATUS"]  # it must not wait for ever
    assert re.search(r"refused: \S*bearerd\.ini:\d+: the \] of the section", status)
    daemon.reload(one_route(auth.credential(), upstream.url))
    daemon.stop()
    assert list(manager.notes[-1])[0] == "STOPPING"


def test_not_ready_before_it_listens(manager, tmp_path, auth, upstream):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = write_config(
            tmp_path, one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:{taken.getsockname()[1]}"
        )
        assert run("serve", "-c", config, env={"NOTIFY_SOCKET": manager.name}).returncode == 1
    assert not manager.count("READY")


def test_commands_do_not_speak_for_it(start, manager, auth, upstream, tmp_path):
    """What the manager hands to the service is not in the environment of what the service runs."""
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\nenv > {tmp_path}/env\n")
    hook.chmod(0o700)
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "5000000"}
    start(one_route(auth.credential(on_token_update=hook), upstream.url), env=env).ask()
    text = wait_until(lambda: (tmp_path / "env").exists() and (tmp_path / "env").read_text(), 10, "the hook")
    assert not re.search("NOTIFY|WATCHDOG|LISTEN", text)


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_the_watchdog_is_fed(notified, manager):
    daemon = notified("workers = 2", WATCHDOG_USEC="400000")
    wait_until(lambda: manager.count("WATCHDOG") >= 8, 10, "pings")
    daemon.stop()


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_no_watchdog_unless_it_is_ours(notified, manager):
    daemon = notified(WATCHDOG_USEC="200000", WATCHDOG_PID="1")
    daemon.ask()
    manager.wait("READY")
    time.sleep(0.3)
    assert not manager.count("WATCHDOG")


@contextlib.contextmanager
def frozen(thread):
    """One thread of a process held still, as a debugger does."""
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt, detach = 0x4206, 0x4207, 17

    def ptrace(request):
        if libc.ptrace(request, thread, None, None):
            pytest.skip(f"ptrace is not permitted: {os.strerror(ctypes.get_errno())}")

    ptrace(seize)
    ptrace(interrupt)
    os.waitpid(thread, 0x40000000)  # __WALL
    try:
        yield
    finally:
        ptrace(detach)


@pytest.mark.parametrize("manager", ["path"], indirect=True)
@pytest.mark.parametrize("which", ["control", "worker"])
def test_the_watchdog_starves_when_a_loop_hangs(start, manager, auth, upstream, release, which):
    daemon = start(
        one_route(auth.credential(), upstream.url),
        "workers = 2",
        env={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"},
        binary=release,
    )
    wait_until(lambda: manager.count("WATCHDOG") >= 3, 10, "pings")
    threads = sorted(int(name) for name in os.listdir(f"/proc/{daemon.process.pid}/task"))
    with frozen(threads[0] if which == "control" else threads[1]):
        time.sleep(0.2)
        before = manager.count("WATCHDOG")
        time.sleep(1)
        assert manager.count("WATCHDOG") == before
    wait_until(lambda: manager.count("WATCHDOG") > before, 10, "pings again")


# -- sockets that are handed over ----------------------------------------------------------------


# What a service manager does between fork and exec: LISTEN_PID is the number of the process it becomes.
LAUNCH = """
import fcntl, os, sys
fds = [int(word) for word in sys.argv[1].split(",")]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_PID"] = sys.argv[2] or str(os.getpid())
os.execv(sys.argv[3], sys.argv[3:])
"""


def activated(config, sockets, names=None, pid="", env=None):
    """bearerd with sockets from number 3 on."""
    numbers = [sock.fileno() for sock in sockets]
    named = {"LISTEN_FDNAMES": ":".join(names)} if names else {}
    before = ["/usr/bin/python3", "-c", LAUNCH, ",".join(map(str, numbers)), pid]
    return Bearerd(config, env={**named, **(env or {})}, before=before, descriptors=numbers)


@pytest.fixture
def activate(tmp_path, auth, upstream):
    running = []

    def make(proxy, sockets, names=None, name="bearerd.ini", ready=True, **options):
        config = write_config(tmp_path, one_route(auth.credential(), upstream.url), proxy, name)
        daemon = activated(config, sockets, names, **options)
        running.append(daemon)
        return daemon.wait_ready() if ready else daemon

    yield make
    for daemon in running:
        if daemon.process.process.returncode is None:
            daemon.stop()


def listener(address=("127.0.0.1", 0), family=socket.AF_INET):
    sock = socket.socket(family)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(128)
    return sock


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("by", ["name", "address"])
def test_a_socket_by_its_name_or_its_address(activate, workers, by):
    with listener() as sock:
        port = sock.getsockname()[1]
        listen = "fd:web" if by == "name" else f"127.0.0.1:{port}"
        daemon = activate(f"listen = {listen}\nworkers = {workers}", [sock], ["web"])
        assert daemon.addresses == [f"127.0.0.1:{port}"]
        for _ in range(10):
            with RawClient(port) as client:
                assert client.ask().status == 200
        daemon.stop()
        # It is still there, and so is its queue.
        with RawClient(port) as client:
            client.request()
            activate(f"listen = {listen}\nworkers = {workers}", [sock], ["web"], "again.ini")
            assert client.response().status == 200


def test_several_sockets_unix_among_them(activate, tmp_path):
    path = tmp_path / "passed.sock"
    with listener() as one, listener() as two, listener(str(path), socket.AF_UNIX) as three:
        daemon = activate(
            f"listen = fd:web\nlisten = 127.0.0.1:0\nlisten = unix:{path}\nworkers = 2",
            [one, three, two],
            ["web", "local", "web"],
        )
        for address in (one.getsockname()[1], two.getsockname()[1], path):
            with RawClient(address) as client:
                assert client.ask().status == 200
        daemon.stop()
        assert path.exists(), "what was handed over is not ours to remove"
        with RawClient(path):
            pass


def test_no_program_could_inherit_a_socket(activate, tmp_path):
    """Copies for other workers are as the first."""
    with listener() as sock:
        daemon = activate(f"listen = fd:web\nlisten = unix:{tmp_path}/proxy.sock\nworkers = 3", [sock], ["web"])
        folder = pathlib.Path(f"/proc/{daemon.process.pid}")
        path = re.escape(f"{tmp_path}/proxy.sock")
        inodes = {os.fstat(sock.fileno()).st_ino, int(re.search(rf" (\d+) {path}\n", pathlib.Path("/proc/net/unix").read_text())[1])}
        sockets = {fd.name for fd in (folder / "fd").iterdir() if os.stat(fd).st_ino in inodes}
        sockets -= {str(sock.fileno()), "100"}  # see LAUNCH
        assert len(sockets) == 1 + 3 + 3
        for number in sockets:
            flags = re.search(r"flags:\s+0(\d+)", (folder / "fdinfo" / number).read_text())[1]
            assert int(flags, 8) & os.O_CLOEXEC, number


def test_what_is_not_used_is_said_and_kept_for_a_reload(activate, auth, upstream):
    with listener() as one, listener() as two:
        daemon = activate("listen = fd:one", [one, two], ["one", "two"])
        daemon.wait_log("event=listener.unused name=two")
        text = one_route(auth.credential(), upstream.url)
        for proxy in ("listen = fd:two", "listen = fd:one", "listen = fd:one\nlisten = fd:two"):
            daemon.reload(text, proxy)
            for sock, name in ((one, "one"), (two, "two")):
                if name in proxy:
                    with RawClient(sock.getsockname()[1]) as client:
                        assert client.ask().status == 200
        assert "no socket of that name" in daemon.reload(text, "listen = fd:three", expect="reload.refused")


def processor_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_socket_that_another_process_shuts_is_said_and_left_alone(activate):
    with listener() as one, listener() as two:
        daemon = activate("listen = fd:one\nlisten = fd:two", [one, two], ["one", "two"])
        one.shutdown(socket.SHUT_RD)
        daemon.wait_log(f"event=listener.shut address=127.0.0.1:{one.getsockname()[1]}")
        before = processor_ticks(daemon.process.pid)
        time.sleep(0.5)
        assert processor_ticks(daemon.process.pid) - before < 0.2 * os.sysconf("SC_CLK_TCK")
        with RawClient(two.getsockname()[1]) as client:
            assert client.ask().status == 200


@pytest.mark.parametrize("section", ["proxy", "admin"])
def test_a_socket_that_is_kept_may_not_be_exposed_any_more(activate, auth, upstream, section):
    text = one_route(auth.credential(), upstream.url)
    admin = "[admin]\nkey = 0123456789abcdef0123456789abcdef\n"
    expose = ["expose = yes", ""] if section == "proxy" else ["", "expose = yes"]
    with listener(("0.0.0.0", 0)) as sock, listener() as other:
        ends = ["listen = fd:one", "listen = fd:two"] if section == "proxy" else ["listen = fd:two", "listen = fd:one"]
        bare = f"{ends[0]}\n{{}}\n{admin}{ends[1]}\n{{}}\n"
        daemon = activate(bare.format(*expose), [sock, other], ["one", "two"])
        assert "can be reached from other machines" in daemon.reload(text, bare.format("", ""), expect="reload.refused")
        daemon.reload(text, bare.format(*expose))
        daemon.reload(text, bare.format("", "").replace("fd:one", "127.0.0.1:0"))


def test_sockets_for_another_process_are_left_alone(activate):
    with listener() as sock:
        daemon = activate("listen = 127.0.0.1:0", [sock], ["web"], pid="1")
        assert daemon.ask().status == 200
        assert "unused" not in daemon.log


@pytest.mark.parametrize("kind", ["datagram", "connected", "exposed", "missing"])
def test_what_cannot_be_used_is_an_error(activate, kind):
    with contextlib.ExitStack() as stack:
        listen = "fd:web"
        if kind == "datagram":
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        elif kind == "connected":
            sock = stack.enter_context(socket.socketpair()[0])
        else:
            sock = stack.enter_context(listener(("0.0.0.0", 0)))
        if kind == "missing":
            listen = "fd:other"
        daemon = activate(f"listen = {listen}", [sock], ["web"], ready=False)
        assert daemon.process.wait_exit() == 1
        words = {"datagram": "no listening", "connected": "no listening", "exposed": "expose", "missing": "fd:other"}
        assert words[kind] in daemon.log and not REPORT.search(daemon.log)


# -- signals and the rest ------------------------------------------------------------------------


def test_signals_of_other_servers_habits(simple):
    """USR1, with which others open their log files again, does nothing; QUIT ends gracefully, as nginx has it."""
    daemon = simple()
    daemon.process.signal(signal.SIGUSR1)
    assert daemon.ask().status == 200
    daemon.process.signal(signal.SIGQUIT)
    daemon.check_end(daemon.process.wait_exit())
    assert "event=draining" in daemon.log


def test_new_requests_are_taken_for_drain_delay(simple, upstream):
    daemon = simple("drain_delay = 1m\ndrain_timeout = 5s")
    with daemon.client() as client:
        assert client.ask().status == 200
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("event=stopping delay_ms=60000")
        assert daemon.ask().status == 200 and client.ask().status == 200
        daemon.process.signal(signal.SIGTERM)
        daemon.check_end(daemon.process.wait_exit(5))


def test_drain_delay_ends_by_itself(simple):
    daemon = simple("drain_delay = 300ms")
    begin = time.monotonic()
    daemon.process.signal(signal.SIGTERM)
    daemon.wait_log("event=draining")
    assert time.monotonic() - begin >= 0.3
    daemon.check_end(daemon.process.wait_exit())


def test_a_client_that_has_just_come_is_served_before_the_end(simple):
    daemon = simple()
    with daemon.client() as fresh:
        assert daemon.ask().status == 200  # so the other one is in, too
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("event=draining")
        assert fresh.ask().status == 200
        assert fresh.is_closed_by_peer()
    daemon.check_end(daemon.process.wait_exit())


def test_the_pid_file(simple, tmp_path):
    path = tmp_path / "bearerd.pid"
    daemon = simple(f"pid_file = {path}")
    assert path.read_text() == f"{daemon.process.pid}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    daemon.stop()
    assert not path.exists() and not list(tmp_path.glob("bearerd.pid*"))


def test_a_pid_file_of_another_process_is_left_alone(simple, tmp_path):
    path = tmp_path / "bearerd.pid"
    daemon = simple(f"pid_file = {path}")
    path.write_text("1\n")
    daemon.stop()
    assert path.read_text() == "1\n"


def test_T35_as_process_1(auth, upstream, tmp_path):
    """Which ignores every signal it does not handle itself."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "--pid", "--fork", "true"]).returncode:
        pytest.skip("a namespace of processes is not permitted here")
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url))
    # LeakSanitizer cannot look at its own threads there.
    env = {"ASAN_OPTIONS": "detect_leaks=0"}
    daemon = Bearerd(config, env=env, before=["unshare", "--pid", "--fork", "--kill-child"]).wait_ready()
    assert "pid=1" in daemon.log
    assert daemon.ask().status == 200
    child = int(pathlib.Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text())
    os.kill(child, signal.SIGHUP)
    daemon.wait_log("event=reloaded")
    os.kill(child, signal.SIGTERM)
    assert daemon.process.wait_exit() == 0
    assert "event=stopped" in daemon.log


def thread_states(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in tasks]


def test_T37_a_process_that_was_held_still_uses_no_dead_token(start, auth, upstream):
    """As in a throttled container, or a machine that slept: the token died meanwhile, and nobody renewed it. The request
    is there before any timer can run."""
    daemon = start(one_route(auth.credential(resource="urn:ttl:3", clock_skew="500ms"), upstream.url))
    with daemon.client() as client:
        assert client.ask().status == 200
        daemon.process.signal(signal.SIGSTOP)
        wait_until(lambda: all(state == "T" for state in thread_states(daemon.process.pid)), 10, "all threads to stop")
        client.request()
        time.sleep(4)
        daemon.process.signal(signal.SIGCONT)
        assert client.response().status == 200
    first, second = upstream.tokens()
    fetched = [request["access_token"] for request in auth.requests()]
    assert fetched[0] == first and second in fetched[1:]


def test_T34_without_network_server_or_secret(start, upstream, tmp_path, certs):
    """All three are missing at start, and each is picked up when it comes."""
    port, secret = free_port(), tmp_path / "secret"
    name = "localhost"
    credential = (
        f"[credential main]\ntoken_url = https://{name}:{port}/token\nclient_id = {BASIC['client_id']}\n"
        f"client_secret = file:{secret}\nca_file = {certs.ca}\n"
    )
    daemon = start(one_route(credential, upstream.url))
    assert "cannot open" in daemon.log and str(secret) in daemon.log
    first = daemon.ask()
    assert (first.status, first.kind) == (503, "token-local")
    secret.write_text(BASIC["client_secret"] + "\n")
    secret.chmod(0o600)
    wait_until(lambda: daemon.ask().kind == "token-unreachable", 20, "the secret to be noticed")
    server = AuthServer(certs, port)
    try:
        wait_until(lambda: daemon.ask().status == 200, 40, "the server to be noticed")
    finally:
        server.stop()
