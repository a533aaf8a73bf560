# SPDX-License-Identifier: MIT
"""Servers under measurement: each a process on cores of its own, and what the kernel's accounts say of it."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    """Debian keeps servers out of ordinary users' PATH."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        sys.exit(f"bench: {name} is not installed; scripts/deps --bench does that")
    return found


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def core_lists():
    """For the proxy, the load generator and the upstream."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("bench: needs two processors, one of them for the proxy alone")
    return str(cores[0]), str(cores[1]), str(cores[2] if len(cores) > 2 else cores[1])


def process_cpu_us(pid):
    """User and system time of all threads. schedstat counts nanoseconds, stat ticks of mostly 10 ms."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0]) / 1000
        except FileNotFoundError:
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")
    return total


def memory_kib(pid, row):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{row}:\s+(\d+)", text, re.M).group(1))


class Server:
    """With all its processes, for some keep one to watch over the other."""

    def __init__(self, name, argv, port, cores, folder):
        self.name, self.port = name, port
        self.log = folder / "log"
        argv = ["taskset", "-c", cores, program(argv[0]), *argv[1:]]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean_environment(), "HOME": str(folder)},
                start_new_session=True,
            )
        self._wait_ready()

    def _wait_ready(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        text = self.log.read_text(errors="replace")
        self.stop()
        sys.exit(f"bench: {self.name} did not start:\n{text}")

    def pids(self):
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def cpu_us(self):
        return sum(process_cpu_us(pid) for pid in self.pids())

    def memory_kib(self, row="VmRSS"):
        return sum(memory_kib(pid, row) for pid in self.pids())

    def forget_peak(self):
        for pid in self.pids():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
