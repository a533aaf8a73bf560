# SPDX-License-Identifier: MIT
"""Another process in the place of this one while clients come without a pause, each with a connection of its own: not
one is refused, reset or left without an answer. By SIGUSR2, and by a service manager that holds the sockets."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import threading
import time

import pytest
from conftest import one_route
from kit.admin import Admin
from kit.bearerd import BINARY, REPORT, Bearerd, run, write_config
from kit.process import free_port, wait_until
from kit.raw import RawClient
from test_confinement import as_root, helper_of_pid, open_folder  # noqa: F401
from test_service import activated, listener

UPGRADES = int(os.environ.get("BEARERD_UPGRADES") or 20)


class Newcomers:
    """Clients in a loop, each time on a new connection; a new one at every address in turn."""

    def __init__(self, addresses, clients=4):
        self.addresses, self.count, self.faults = addresses, 0, []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[i]) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, i):
        while not self._end.is_set():
            i += 1
            try:
                with RawClient(self.addresses[i % len(self.addresses)], timeout=30) as client:
                    assert client.ask(target="/x").status == 200
                self.count += 1
            except Exception as fault:
                self.faults.append(repr(fault))

    def wait_more(self, count=20):
        target = self.count + count
        wait_until(lambda: self.faults or self.count >= target, 30, "clients that are served")

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(40)
        assert not self.faults, self.faults[:5]
        return self.count


@pytest.fixture
def upgradeable(simple):
    """simple(), of which every process that came by an upgrade is ended, too."""
    made = []

    def make(*args, **options):
        made.append(simple(*args, **options))
        return made[-1]

    yield make
    for daemon in made:
        for pid in re.findall(r"event=ready .*\bpid=(\d+)", daemon.log):
            with contextlib.suppress(OSError):
                if int(pid) != daemon.process.pid:
                    os.kill(int(pid), signal.SIGKILL)


def upgrade(daemon, pid):
    """The number of the next process, once it serves and the one before has gone."""
    mark = daemon.process.mark()
    os.kill(pid, signal.SIGUSR2)
    next_pid = int(daemon.process.wait_line(r"event=upgraded pid=(\d+)", 30, mark)[1])
    wait_until(lambda: not is_running(daemon, pid), 30, "the end of the process before")
    return next_pid


def put_script(program, line):
    """In the program's place: one that does something else before it goes on."""
    script = program.with_suffix(".new")
    script.write_text(f'#!/bin/bash\n{line}\nexec {BINARY} "$@"\n')
    script.chmod(0o755)
    script.rename(program)


class Held:
    """A program to start from, and successors of it that wait."""

    def __init__(self, folder):
        self.program, self._gate = folder / "bearerd", folder / "gate"
        shutil.copy(BINARY, self.program)
        os.mkfifo(self._gate)

    def start(self, daemon, before=""):
        """A successor that has the sockets, and its number. before: what it does first."""
        put_script(self.program, f"{before}\nread word <{self._gate}")
        mark = daemon.process.mark()
        daemon.process.signal(signal.SIGUSR2)
        return int(daemon.process.wait_line(r"event=upgrading pid=(\d+)", 10, mark)[1])

    def let_go(self):
        self._gate.write_text("go\n")


@pytest.fixture
def held(tmp_path):
    return Held(tmp_path)


def is_running(daemon, pid):
    """Those that nobody waits for any more are taken off by init."""
    if pid == daemon.process.pid:
        return daemon.process.is_running()
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_not_one_client_is_refused_over_upgrades(upgradeable, tmp_path, workers):
    path, port = tmp_path / "proxy.sock", free_port()
    daemon = upgradeable(f"workers = {workers}\nlisten = 127.0.0.1:{port}\nlisten = unix:{path}")
    clients, pid = Newcomers([port, path]), daemon.process.pid
    with contextlib.ExitStack() as stack:
        stack.callback(clients.stop)
        for _ in range(UPGRADES):
            pid = upgrade(daemon, pid)
            clients.wait_more()
            assert daemon.admin.ready()[0] == 200
    assert daemon.process.process.returncode == 0
    assert clients.count >= 20 * UPGRADES
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "the last one's end")
    assert daemon.log.count("event=stopped") == UPGRADES + 1
    assert not path.exists(), "the last one takes its socket with it"
    assert not REPORT.search(daemon.log), daemon.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_requests_under_way_end_in_the_process_before(upgradeable, upstream, number):
    go_on = threading.Event()

    def slow(exchange):
        assert exchange.request.target != "/slow" or go_on.wait(20)
        exchange.answer(body=b"done")

    upstream.on = slow
    port = free_port()
    daemon = upgradeable(f"listen = 127.0.0.1:{port}\ndrain_timeout = 20s")
    with daemon.client() as busy, daemon.client() as idle:
        assert idle.ask().status == 200
        busy.request(target="/slow")
        upstream.wait_requests(2)
        os.kill(daemon.process.pid, signal.SIGUSR2)
        next_pid = int(daemon.wait_log(r"event=upgraded pid=(\d+)", 30)[1])
        assert idle.is_closed_by_peer()
        assert daemon.ask().status == 200
        # It is told to stop, too, as scripts for other servers do; that breaks off nothing.
        daemon.process.signal(number)
        time.sleep(0.3)
        assert daemon.process.is_running()
        go_on.set()
        assert busy.response().body == b"done"
        assert daemon.process.wait_exit() == 0
    os.kill(next_pid, signal.SIGTERM)
    wait_until(lambda: daemon.log.count("event=stopped") == 2, 20, "the end of both")


def test_a_successor_that_does_not_come_up_changes_nothing(upgradeable, auth, upstream):
    port = free_port()
    daemon = upgradeable(f"listen = 127.0.0.1:{port}")
    daemon.config.write_text("[upstream\n")
    daemon.process.signal(signal.SIGUSR2)
    daemon.wait_log("event=upgrade.failed")
    assert daemon.ask().status == 200 and "event=stopping" not in daemon.log
    # And the next try is as good as the first.
    daemon.write(one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:{port}")
    pid = upgrade(daemon, daemon.process.pid)
    assert daemon.ask().status == 200
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: daemon.log.count("event=stopped") == 2, 20, "the end of both")


def test_after_a_failure_the_next_may_begin_at_once(upgradeable, held):
    """Though the one that failed has not ended yet."""
    daemon = upgradeable(f"listen = 127.0.0.1:{free_port()}", binary=held.program)
    closes = "exec " + " ".join(f"{number}>&-" for number in range(3, 9))
    failed = held.start(daemon, closes)
    try:
        daemon.wait_log(f"event=upgrade.failed pid={failed}")
        put_script(held.program, "")
        pid = upgrade(daemon, daemon.process.pid)
    finally:
        os.kill(failed, signal.SIGKILL)
    assert pid != failed and daemon.ask().status == 200
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "its end")


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_the_admin_listener_goes_on(upgradeable, kind):
    """It is handed over like the others, and not shut down by the one that gave it away."""
    port = free_port()
    daemon = upgradeable(f"listen = 127.0.0.1:0\n[admin]\nlisten = 127.0.0.1:{port}" if kind == "tcp" else "")
    admin, pid = Admin(port) if kind == "tcp" else daemon.admin, daemon.process.pid
    for _ in range(2):
        pid = upgrade(daemon, pid)
        assert admin.status()["process"]["pid"] == pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "its end")


def test_a_second_stop_after_an_upgrade_breaks_off(upgradeable, upstream):
    upstream.on = lambda exchange: exchange.wait_peer_closed(20)
    daemon = upgradeable(f"listen = 127.0.0.1:{free_port()}\ndrain_timeout = 1m")
    with daemon.client() as busy:
        busy.request()
        upstream.wait_requests(1)
        daemon.process.signal(signal.SIGUSR2)
        next_pid = int(daemon.wait_log(r"event=upgraded pid=(\d+)", 30)[1])
        for _ in range(2):
            assert daemon.process.is_running()
            daemon.process.signal(signal.SIGTERM)
            time.sleep(0.1)
        assert daemon.process.wait_exit(10) == 0
        assert busy.is_closed_by_peer()
    os.kill(next_pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, next_pid), 20, "its end")


@pytest.mark.parametrize("how", ["signal", "order"])
def test_a_stop_ends_the_successor_that_is_on_its_way(upgradeable, held, tmp_path, how):
    path = tmp_path / "proxy.sock"
    daemon = upgradeable(f"listen = 127.0.0.1:{free_port()}\nlisten = unix:{path}", binary=held.program)
    pid = held.start(daemon)
    if how == "signal":
        daemon.process.signal(signal.SIGTERM)
    else:
        assert daemon.admin.post("/drain").status == 202
    daemon.check_end(daemon.process.wait_exit())
    assert f"event=upgrade.given_up pid={pid}" in daemon.log and "event=upgraded" not in daemon.log
    assert not is_running(daemon, pid) and not path.exists()


def test_a_stop_does_not_wait_for_ever_for_the_successors_end(upgradeable, held):
    daemon = upgradeable(f"listen = 127.0.0.1:{free_port()}", binary=held.program)
    helper = helper_of_pid(daemon.process.pid)
    pid = held.start(daemon)
    os.kill(helper, signal.SIGSTOP)  # nobody ends it
    try:
        daemon.process.signal(signal.SIGTERM)
        daemon.wait_log("event=stopped", 20)
    finally:
        os.kill(helper, signal.SIGCONT)
    daemon.check_end(daemon.process.wait_exit())
    wait_until(lambda: not is_running(daemon, pid), 20, "the end of the successor")


def test_a_reload_waits_until_the_upgrade_is_over(upgradeable, held, auth, upstream):
    """It would shut the listeners that it takes out, which the successor has."""
    text, ports = one_route(auth.credential(), upstream.url), [free_port(), free_port()]
    both = "".join(f"listen = 127.0.0.1:{port}\n" for port in ports)
    daemon = upgradeable(both, binary=held.program)
    pid = held.start(daemon)
    daemon.write(text, f"listen = 127.0.0.1:{ports[0]}")
    refused = run("reload", "-c", daemon.config)
    assert refused.returncode == 1 and "an upgrade is under way" in refused.stderr
    assert "an upgrade is under way" in daemon.reload(expect="reload.refused")
    daemon.write(text, both)
    held.let_go()
    assert int(daemon.wait_log(r"event=upgraded pid=(\d+)", 30)[1]) == pid
    for port in ports:
        with RawClient(port) as client:
            assert client.ask().status == 200
    assert daemon.process.wait_exit() == 0
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "its end")


@pytest.mark.parametrize("end", ["reload", "stop"])
def test_an_admin_socket_of_a_manager_outlives_us(tmp_path, auth, upstream, end):
    text = one_route(auth.credential(), upstream.url)
    with listener() as sock:
        port = sock.getsockname()[1]
        config = write_config(tmp_path, text, f"listen = 127.0.0.1:0\n[admin]\nlisten = 127.0.0.1:{port}")
        daemon = activated(config, [sock], ["admin"]).wait_ready()
        assert Admin(port).ready()[0] == 200
        if end == "reload":
            daemon.reload(text)
            with RawClient(port):  # stands in the queue
                pass
        daemon.stop()
        with RawClient(port):
            pass


@pytest.mark.parametrize("fault", ["a port in use", "a listener taken out, and a file that cannot be written"])
def test_a_successor_that_fails_removes_no_socket(upgradeable, auth, upstream, tmp_path, fault):
    """Also when it fails late, with all listeners open."""
    text, port, path = one_route(auth.credential(), upstream.url), free_port(), tmp_path / "proxy.sock"
    daemon = upgradeable(f"listen = 127.0.0.1:{port}\nlisten = unix:{path}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        others = {
            "a port in use": f"listen = unix:{path}\nlisten = 127.0.0.1:{taken.getsockname()[1]}",
            "a listener taken out, and a file that cannot be written": f"pid_file = {tmp_path}/missing/pid",
        }
        daemon.write(text, f"listen = 127.0.0.1:{port}\n{others[fault]}")
        daemon.process.signal(signal.SIGUSR2)
        daemon.wait_log("event=upgrade.failed")
    for address in (port, path):
        with RawClient(address) as client:
            assert client.ask().status == 200
    assert daemon.admin.ready()[0] == 200
    daemon.stop()
    assert not path.exists(), "it is still this process's own"


def test_not_one_client_is_refused_over_upgrades_that_fail_late(upgradeable, auth, upstream, tmp_path):
    """When workers have let somebody in, or were about to."""
    text, port, path = one_route(auth.credential(), upstream.url), free_port(), tmp_path / "proxy.sock"
    listen = f"workers = 3\nlisten = 127.0.0.1:{port}\nlisten = unix:{path}"
    daemon = upgradeable(listen)
    daemon.write(text, f"{listen}\npid_file = {tmp_path}/missing/pid")
    clients = Newcomers([port, path])
    with contextlib.ExitStack() as stack:
        stack.callback(clients.stop)
        for _ in range(UPGRADES // 2):
            mark = daemon.process.mark()
            daemon.process.signal(signal.SIGUSR2)
            daemon.process.wait_line("event=upgrade.failed", 30, mark)
            clients.wait_more()
    assert daemon.admin.ready()[0] == 200


def test_a_successor_that_fails_takes_nobody_from_the_queue(upgradeable, held, auth, upstream, tmp_path):
    """Workers that never ran let in nobody."""
    text, port, path = one_route(auth.credential(), upstream.url), free_port(), tmp_path / "proxy.sock"
    listen = f"listen = 127.0.0.1:{port}\nlisten = unix:{path}"
    daemon = upgradeable(listen, binary=held.program)
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.ExitStack() as stack:
        pid = held.start(daemon)
        daemon.write(f"{text}\n[admin]\nlisten = 127.0.0.1:{taken.getsockname()[1]}\n", listen)
        daemon.process.signal(signal.SIGSTOP)
        stack.callback(daemon.process.signal, signal.SIGCONT)
        waiting = [stack.enter_context(RawClient(address)) for address in (port, path)]
        for client in waiting:
            client.request()
        held.let_go()
        wait_until(lambda: not is_running(daemon, pid), 20, "its end")
        daemon.process.signal(signal.SIGCONT)
        for client in waiting:
            assert client.response().status == 200


def tasks_of_user(uid):
    found = 0
    for status in pathlib.Path("/proc").glob("[0-9]*/task/[0-9]*/status"):
        with contextlib.suppress(OSError):
            found += f"\nUid:\t{uid}\t" in status.read_text()
    return found


@as_root
def test_a_successor_whose_workers_do_not_all_start_leaves_everything(upstream, open_folder):
    """Those that did are drained, and must not shut what the process before goes on with. Nor is the pid_file theirs."""
    uid, port, path, pid_file = 61234, free_port(), open_folder / "proxy.sock", open_folder / "pid"
    program = open_folder / "bearerd"
    shutil.copy(BINARY, program)
    text = one_route("[credential main]\nsource = static\ntoken = static-token-0123456789\n", upstream.url, scopes="")
    config = write_config(
        open_folder, text, f"workers = 3\nlisten = 127.0.0.1:{port}\nlisten = unix:{path}\npid_file = {pid_file}"
    )
    for owned in (open_folder, config):
        os.chown(owned, uid, uid)
    # The leak checker starts a thread of its own.
    before = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    daemon = Bearerd(config, env={"ASAN_OPTIONS": "detect_leaks=0"}, binary=program, before=before).wait_ready()
    # The successor, its helper, one worker.
    put_script(program, f"ulimit -u {tasks_of_user(uid) + 3}")
    for _ in range(3):
        mark = daemon.process.mark()
        daemon.process.signal(signal.SIGUSR2)
        daemon.process.wait_line("cannot start a worker thread", 30, mark)
        daemon.process.wait_line("event=upgrade.failed", 30, mark)
        for address in [port, path] * 10:
            with RawClient(address) as client:
                assert client.ask().status == 200
        assert pid_file.read_text() == f"{daemon.process.pid}\n"
    daemon.check_end(daemon.process.stop())
    assert "event=listener.shut" not in daemon.log and not path.exists() and not pid_file.exists()


def test_workers_listeners_and_header_limit_may_change(upgradeable, auth, upstream, tmp_path):
    """What a reload cannot do."""
    text, ports = one_route(auth.credential(), upstream.url), [free_port() for _ in range(3)]
    path = tmp_path / "proxy.sock"
    daemon = upgradeable(f"workers = 3\nlisten = 127.0.0.1:{ports[0]}\nlisten = 127.0.0.1:{ports[1]}\nlisten = unix:{path}")
    pid = daemon.process.pid
    for workers in (1, 4, 2):
        daemon.write(
            text, f"workers = {workers}\nheader_limit = 32k\nlisten = 127.0.0.1:{ports[0]}\nlisten = 127.0.0.1:{ports[2]}"
        )
        pid = upgrade(daemon, pid)
        assert f"event=ready workers={workers}" in daemon.log
        wait_until(lambda: not path.exists(), 10, "the end of what was taken out")
        for _ in range(20):
            for port in (ports[0], ports[2]):
                with RawClient(port) as client:
                    assert client.ask(fields=[f"X-Large: {'x' * 20000}"]).status == 200
        with pytest.raises(OSError):
            RawClient(ports[1])
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "its end")
    assert not REPORT.search(daemon.log), daemon.log


def test_the_modes_of_sockets_may_change(upgradeable, auth, upstream, tmp_path):
    text, proxy, desk = one_route(auth.credential(), upstream.url), tmp_path / "proxy.sock", tmp_path / "desk.sock"
    daemon = upgradeable(f"listen = unix:{proxy}", route=f"[admin]\nlisten = unix:{desk}")
    daemon.write(f"{text}\n[admin]\nlisten = unix:{desk}\nsocket_mode = 0606\n", f"listen = unix:{proxy}\nsocket_mode = 0600")
    pid = upgrade(daemon, daemon.process.pid)
    wait_until(lambda: [path.stat().st_mode & 0o777 for path in (proxy, desk)] == [0o600, 0o606], 10, "the modes")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "its end")


def test_a_listener_that_an_upgrade_took_out_comes_back(upgradeable, auth, upstream, tmp_path):
    text, ports, path = one_route(auth.credential(), upstream.url), [free_port(), free_port()], tmp_path / "proxy.sock"
    one = f"listen = 127.0.0.1:{ports[0]}"
    more = f"{one}\nlisten = 127.0.0.1:{ports[1]}\nlisten = unix:{path}"
    daemon = upgradeable(more)
    daemon.write(text, one)
    pid = upgrade(daemon, daemon.process.pid)
    for proxy in (more, one, more):
        daemon.write(text, proxy)
        mark = daemon.process.mark()
        os.kill(pid, signal.SIGHUP)
        assert daemon.process.wait_line(r"event=(reloaded|reload\.refused)", 30, mark)[1] == "reloaded"
    for address in (*ports, path):
        with RawClient(address) as client:
            assert client.ask().status == 200
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(daemon, pid), 20, "its end")
    assert not path.exists()


def test_a_manager_and_the_pid_file_are_told(upgradeable, tmp_path):
    notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notes.bind(str(tmp_path / "notify"))
    notes.settimeout(20)
    pid_file, port = tmp_path / "pid", free_port()
    # The successor has the environment of this one, with what is hidden from libraries.
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "http_proxy": "http://127.0.0.1:9"}
    listen, header = f"listen = 127.0.0.1:{port}\npid_file = {pid_file}", "set_header = X-Proxy: ${http_proxy}"
    daemon = upgradeable(listen, upstream_lines=header, env=env)
    pid = upgrade(daemon, daemon.process.pid)
    got = []
    while f"MAINPID={pid}" not in got:
        got += notes.recv(4096).decode().splitlines()
    assert got.count("READY=1") >= 1 and "STOPPING=1" not in got
    assert pid_file.read_text() == f"{pid}\n"
    os.kill(pid, signal.SIGTERM)
    while "STOPPING=1" not in got:
        got += notes.recv(4096).decode().splitlines()
    wait_until(lambda: not pid_file.exists(), 20, "the file to go")
    notes.close()


def test_sockets_of_a_manager_are_handed_on(upgradeable, tmp_path, auth, upstream):
    with listener() as sock:
        port = sock.getsockname()[1]
        config = write_config(tmp_path, one_route(auth.credential(), upstream.url), "listen = fd:web\nworkers = 2")
        daemon = activated(config, [sock], ["web"]).wait_ready()
        pid = daemon.process.pid
        for _ in range(3):
            pid = upgrade(daemon, pid)
            with RawClient(port) as client:
                assert client.ask().status == 200
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_running(daemon, pid), 20, "its end")
        with RawClient(port):
            pass
    assert not REPORT.search(daemon.log), daemon.log


@pytest.mark.parametrize("workers", [1, 2])
def test_not_one_client_is_refused_over_restarts_with_a_managers_sockets(tmp_path, auth, upstream, workers):
    """Stopped, then started again: meanwhile clients wait in a queue that outlives us."""
    with listener() as sock:
        config = write_config(tmp_path, one_route(auth.credential(), upstream.url), f"listen = fd:web\nworkers = {workers}")
        daemon = activated(config, [sock], ["web"]).wait_ready()
        clients = Newcomers([sock.getsockname()[1]])
        with contextlib.ExitStack() as stack:
            stack.callback(clients.stop)
            for _ in range(UPGRADES):
                daemon.stop()
                daemon = activated(config, [sock], ["web"]).wait_ready()
                clients.wait_more()
        daemon.stop()
        assert clients.count >= 20 * UPGRADES


def test_two_processes_do_not_share_an_address_by_mistake(simple, auth, upstream, tmp_path):
    port = free_port()
    daemon = simple(f"listen = 127.0.0.1:{port}\nworkers = 2")
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url), f"listen = 127.0.0.1:{port}\nworkers = 2", "b.ini")
    second = Bearerd(config)
    assert second.process.wait_exit() == 1
    assert f"127.0.0.1:{port}" in second.log and "in use" in second.log
    assert daemon.ask().status == 200
