# SPDX-License-Identifier: MIT
"""Measures proxies side by side: CPU time per request, requests per second, memory.

Every peer (peers/*.toml) stands in front of the same upstream and is asked by the same load generator (wrk). The
proxy has one core to itself, generator and upstream have the others. In each round every peer has its turn, in
changing order, so that what else the machine does meets all of them alike; what counts is the median of the
rounds. All traffic is on loopback. A wrong answer, or a request without the right token, ends the run."""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import re
import secrets
import shutil
import signal
import socket
import statistics
import string
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request

from authorization_server import AuthorizationServer

HERE = pathlib.Path(__file__).resolve().parent
TOKEN_LEN = 512  # as long as a small JSON web token
BODY_LEN = 130
BASELINE = "nginx"


class Text(string.Template):
    """@{name}, because nginx's configurations are full of $."""

    delimiter = "@"


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


def openssl(*args):
    subprocess.run([program("openssl"), *map(str, args)], check=True, capture_output=True)


def make_certificate(folder):
    """An authority and a certificate of it for localhost, good for two days."""
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    ca, ca_key, key, request, certificate, extension = (
        folder / name for name in ("ca.crt", "ca.key", "server.key", "server.csr", "server.crt", "server.ext")
    )
    openssl("req", "-x509", *new_key, "-days", 2, "-subj", "/CN=bench", "-keyout", ca_key, "-out", ca)
    openssl("req", *new_key, "-subj", "/CN=localhost", "-keyout", key, "-out", request)
    extension.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signer = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", extension]
    openssl("x509", "-req", "-in", request, "-days", 2, "-out", certificate, *signer)
    return {"ca": ca, "certificate": certificate, "key": key}


# ---- processes ----------------------------------------------------------------------------------


class Server:
    """A server on cores of its own; with all its processes, for some keep one to watch over the other."""

    def __init__(self, name, argv, port, cores, folder):
        self.name, self.port = name, port
        self.log = folder / "log"
        argv = ["taskset", "-c", cores, program(argv[0]), *argv[1:]]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(), start_new_session=True
            )
        self._wait_ready()

    def _wait_ready(self):
        deadline = time.monotonic() + 10
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

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


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


# ---- the measurement ----------------------------------------------------------------------------


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    connections: int
    target: str
    request_fields: int = 0


@dataclasses.dataclass
class Sample:
    cpu_us: float  # of the proxy, per request
    per_second: float
    busy: float  # share of its core that the proxy used


def load(port, scenario, seconds, cores):
    """Requests answered, and the seconds that took."""
    fields = [f"-HX-Request-Field-{i}: a value of some thirty bytes {i}" for i in range(scenario.request_fields)]
    argv = ["taskset", "-c", cores, program("wrk"), "-t1", f"-c{scenario.connections}", f"-d{seconds}s", *fields]
    argv.append(f"http://127.0.0.1:{port}{scenario.target}")
    run = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30, env=clean_environment())
    fault = re.search(r"Non-2xx.*|Socket errors:.*", run.stdout)
    done = re.search(r"(\d+) requests in ([\d.]+)(m?s)", run.stdout)
    if run.returncode or fault or not done:
        sys.exit(f"bench: {scenario.name}: {fault.group() if fault else run.stdout + run.stderr}")
    return int(done.group(1)), float(done.group(2)) * (0.001 if done.group(3) == "ms" else 1)


def measure(server, scenario, seconds, cores):
    before = server.cpu_us()
    count, took = load(server.port, scenario, seconds, cores)
    spent = server.cpu_us() - before
    return Sample(spent / count, count / took, spent / took / 1e6)


def check_answer(server, scenario, body):
    """Once before anything is measured: the answer is the upstream's, and with it the token was right."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{server.port}{scenario.target}", timeout=10) as answer:
            if answer.read() == body.encode():
                return
            fault = "another body than the upstream's"
    except urllib.error.HTTPError as error:
        fault = f"status {error.code}: {error.read(500).decode(errors='replace')}"
    sys.exit(f"bench: {server.name}, {scenario.name}: {fault}\n{server.log.read_text(errors='replace')[-2000:]}")


def run_rounds(peers, scenario, options, cores):
    """{peer: [Sample of each round]}"""
    samples = {server.name: [] for server in peers}
    for server in peers:
        load(server.port, scenario, 1, cores)  # connections and caches warm up
    for number in range(options.rounds):
        for server in peers if number % 2 == 0 else reversed(peers):
            samples[server.name].append(measure(server, scenario, options.seconds, cores))
    return samples


# ---- the report ---------------------------------------------------------------------------------


def median_of(samples, what):
    return statistics.median(getattr(sample, what) for sample in samples)


def ratios(samples, name):
    """Against the baseline, round by round: neighbours in time saw the same machine."""
    pairs = zip(samples[name], samples[BASELINE])
    return [mine.cpu_us / other.cpu_us for mine, other in pairs]


def row_of(scenario, peer, samples):
    mine = samples[peer.name]
    cpu = sorted(sample.cpu_us for sample in mine)
    ratio = ""
    if BASELINE in samples and peer.name != BASELINE:
        each = ratios(samples, peer.name)
        ratio = f"**{statistics.median(each):.2f}** ({min(each):.2f}–{max(each):.2f})"
    return (
        f"| {scenario.title} | {peer.title} | {statistics.median(cpu):.2f} | {cpu[0]:.2f}–{cpu[-1]:.2f} "
        f"| {median_of(mine, 'per_second'):,.0f} | {median_of(mine, 'busy'):.0%} | {ratio} |"
    )


def machine():
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{platform.machine()}, {os.cpu_count()} processors, Linux {kernel}"


def library_of(path, name):
    """Which shared library the binary gets: libmicrohttpd decides much of its cost."""
    ldd = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    found = re.search(rf"{name}\S* => (\S+)", ldd)
    return os.path.realpath(found.group(1)).rsplit("/", 1)[-1] if found else name


def report(options, scenarios, peers, results, memory, versions):
    lines = [
        "# Benchmark results",
        "",
        "Made by `scripts/bench`; docs/performance.md says how to read it. CPU is user and system time of all of the",
        "proxy's threads per request, median and range of the rounds. The ratio is taken round by round.",
        "",
        f"* Machine: {machine()}. The proxy has one of them, load generator and upstream have another.",
        f"* {options.rounds} rounds of {options.seconds} s; token of {TOKEN_LEN} bytes; answers of {BODY_LEN} bytes.",
        *(f"* {peer.title}: {versions[peer.name]}" for peer in peers),
        "",
        f"| scenario | proxy | CPU, µs | range | requests/s | core used | CPU against {BASELINE} |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row_of(s, peer, results[s.name]) for s in scenarios for peer in peers]
    lines += ["", "| memory, KiB | before the first request | at the end |", "|---|---|---|"]
    lines += [f"| {p.title} | {memory[p.name][0]:,} | {memory[p.name][1]:,} |" for p in peers]
    lines += ["", "Memory is the sum of VmRSS over the proxy's processes (nginx has two, which share pages).", ""]
    return "\n".join(lines)


# ---- setting the scene --------------------------------------------------------------------------


@dataclasses.dataclass
class Peer:
    name: str
    title: str
    version: list
    command: list
    config: str

    def start(self, folder, names, cores):
        names = {**names, "folder": folder, "config": folder / "config", "port": free_port()}
        folder.mkdir()
        names["config"].write_text(Text(self.config).substitute(names))
        argv = [Text(word).substitute(names) for word in self.command]
        return Server(self.name, argv, names["port"], cores, folder)

    def version_text(self, names):
        argv = [Text(word).substitute(names) for word in self.version]
        argv[0] = program(argv[0])
        run = subprocess.run(argv, capture_output=True, text=True)
        text = (run.stdout + run.stderr).strip().splitlines()[0]
        linked = [library_of(argv[0], name) for name in ("libmicrohttpd.so", "libcurl.so", "libssl.so")]
        return ", ".join([text, *(name for name in linked if re.search(r"\d", name))])


def read_toml(path):
    return tomllib.loads(path.read_text())


def choose(wanted, items, what):
    unknown = set(wanted) - {item.name for item in items}
    if unknown:
        sys.exit(f"bench: no {what} {', '.join(sorted(unknown))}; there are {', '.join(i.name for i in items)}")
    return [item for item in items if not wanted or item.name in wanted]


def read_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures bearerd beside other proxies.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under 40 s")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="length of one peer's turn")
    parser.add_argument("--scenario", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--peer", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--bearerd", default=HERE.parent / "build/release/bearerd", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="default: bench/results.md; with --quick: none")
    parser.add_argument("--json", type=pathlib.Path, help="every sample, for further use")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (1 if options.quick else 2)
    is_partial = options.quick or options.scenario or options.peer
    if not options.output and not is_partial:
        options.output = HERE / "results.md"
    return options


def core_lists():
    """For the proxy, the load generator and the upstream."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("bench: needs two processors, one of them for the proxy alone")
    return str(cores[0]), str(cores[1]), str(cores[2] if len(cores) > 2 else cores[1])


def upstream_start(folder, names, cores):
    folder.mkdir()
    fields = [f'            add_header X-Response-Field-{i} "a value of some thirty bytes {i}";' for i in range(20)]
    filled = Text((HERE / "upstream.conf").read_text()).substitute(
        {**names, "folder": folder, "response_fields": "\n".join(fields)}
    )
    config = folder / "config"
    config.write_text(filled)
    return Server("upstream", ["nginx", "-p", str(folder), "-c", str(config)], names["plain_port"], cores, folder)


def run(options, folder, started):
    scenarios = [Scenario(**row) for row in read_toml(HERE / "scenarios.toml")["scenario"]]
    peers = [Peer(path.stem, **read_toml(path)) for path in sorted((HERE / "peers").glob("*.toml"))]
    scenarios = choose(options.scenario, scenarios, "scenario")
    peers = choose(options.peer, peers, "peer")
    peers.sort(key=lambda peer: peer.name != BASELINE)
    proxy_core, load_core, upstream_core = core_lists()
    token = secrets.token_urlsafe(TOKEN_LEN)[:TOKEN_LEN]
    authorization_server = AuthorizationServer(token)
    names = {
        **make_certificate(folder),
        "token": token,
        "token_url": authorization_server.token_url,
        "body": "x" * BODY_LEN,
        "plain_port": free_port(),
        "tls_port": free_port(),
        "bearerd": options.bearerd.resolve(),
    }
    started.append(upstream_start(folder / "upstream", names, upstream_core))
    servers = []
    for peer in peers:
        servers.append(peer.start(folder / peer.name, names, proxy_core))
        started.append(servers[-1])
    memory = {server.name: [server.memory_kib()] for server in servers}
    results = {}
    for scenario in scenarios:
        for server in servers:
            check_answer(server, scenario, names["body"])
        results[scenario.name] = run_rounds(servers, scenario, options, load_core)
        for peer in peers:
            print(row_of(scenario, peer, results[scenario.name]), flush=True)
    for server in servers:
        memory[server.name].append(server.memory_kib())
    if any(peer.name == "bearerd" for peer in peers) and not authorization_server.requests:
        sys.exit("bench: bearerd never asked for a token")
    versions = {peer.name: peer.version_text(names) for peer in peers}
    return report(options, scenarios, peers, results, memory, versions), results


def main():
    options = read_options()
    started = []
    with tempfile.TemporaryDirectory(prefix="bearerd-bench-") as folder:
        # nginx's worker may run as somebody else.
        os.chmod(folder, 0o755)
        try:
            text, results = run(options, pathlib.Path(folder), started)
        finally:
            for server in reversed(started):
                server.stop()
    print()
    print(text)
    if options.output:
        options.output.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, default=dataclasses.asdict))


if __name__ == "__main__":
    main()
