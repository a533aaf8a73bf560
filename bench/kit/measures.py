# SPDX-License-Identifier: MIT
"""What is measured: each function takes the scene and one scenario, and returns rows for the report. Peers take turns
within each round, which are short and many, and the order changes, so that what else the machine does meets all of
them alike."""
import dataclasses
import random
import statistics

from kit import load
from kit.scene import BIG_LEN

BASELINE = "nginx"
POST_LEN = 10 * 1024


@dataclasses.dataclass
class Row:
    scenario: str  # title
    peer: str  # title
    figures: dict  # column: text
    values: dict  # for goals and plots: name: number


def median_and_spread(values, form="{:.2f}"):
    """The spread is what the middle half of the values covers."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{form.format(median)} ({form.format(low)}–{form.format(high)})"


def turns(takers, rounds, once):
    """{taker: [once(taker) of each round]}"""
    samples = {taker: [] for taker in takers}
    order = random.Random(0)  # the same in every run
    for _ in range(rounds):
        for taker in order.sample(takers, len(takers)):
            samples[taker].append(once(taker))
    return samples


def turns_by_name(servers, rounds, once):
    return {server.name: each for server, each in turns(servers, rounds, once).items()}


def ratios(samples, name, key="cpu_us", baseline=BASELINE):
    """Round by round: neighbours in time saw the same machine."""
    return [mine[key] / other[key] for mine, other in zip(samples[name], samples[baseline])]


# ---- requests: CPU per request --------------------------------------------------------------------


def request_fields(scenario):
    fields = [f"X-Request-Field-{i}: a value of some thirty bytes {i}" for i in range(scenario.get("request_fields", 0))]
    return fields + (["Connection: close"] if scenario.get("is_closing") else [])


def request_script(scene, scenario):
    if not scenario.get("is_post"):
        return None
    script = scene.folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("z", {POST_LEN})\n')
    return script


def requests(scene, scenario):
    options = scene.options
    fields, script = request_fields(scenario), request_script(scene, scenario)
    servers = [scene.servers[peer.name] for peer in scene.peers if peer.name not in scenario.get("without", [])]

    def ask(server, seconds):
        return load.wrk(
            server.port, scenario["target"], scenario["connections"], seconds, scene.load_core, fields, script
        )

    def once(server):
        before = server.cpu_us()
        count, took = ask(server, options.seconds)
        spent = server.cpu_us() - before
        return {"cpu_us": spent / count, "per_second": count / took, "busy": spent / took / 1e6}

    for server in servers:
        if not scenario.get("is_post"):
            scene.check(server, scenario["target"])
        ask(server, 1)  # connections and caches warm up
    samples = turns_by_name(servers, options.turns, once)
    return [requests_row(scenario, server.peer, samples) for server in servers]


def requests_row(scenario, peer, samples):
    mine = samples[peer.name]
    figures = {
        "CPU, µs": median_and_spread([sample["cpu_us"] for sample in mine]),
        "requests/s": f"{statistics.median(sample['per_second'] for sample in mine):,.0f}",
        "core used": f"{statistics.median(sample['busy'] for sample in mine):.0%}",
        "CPU against nginx": "",
    }
    values = {"cpu_us": statistics.median(sample["cpu_us"] for sample in mine)}
    values["per_second"] = statistics.median(sample["per_second"] for sample in mine)
    for other in samples:
        if other != peer.name:
            values[f"against {other}"] = statistics.median(ratios(samples, peer.name, baseline=other))
    if BASELINE in samples and peer.name != BASELINE:
        figures["CPU against nginx"] = f"**{median_and_spread(ratios(samples, peer.name))}**"
    return Row(scenario["title"], peer.title, figures, values)


# ---- latency: at half of what nginx can do --------------------------------------------------------


def latency(scene, scenario):
    options, connections, target = scene.options, scenario["connections"], scenario["target"]
    servers = [scene.servers[peer.name] for peer in scene.peers]
    gauge = scene.servers.get(BASELINE) or servers[0]
    count, took = load.wrk(gauge.port, target, connections, 2, scene.load_core)
    rate = count / took * scenario["share"]
    seconds = 2 * options.seconds

    def timed(port, path, fields=()):
        times = load.h2load(port, path, connections, rate, seconds, scene.load_core, scene.folder, fields)
        took = sorted(one.took_us for one in times)
        return {share: load.percentile(took, share) for share in (0.5, 0.99, 0.999)}

    direct_target = "/" + target.split("/", 2)[2]
    token = f"authorization: Bearer {scene.token}"

    def once(server):
        if server is None:
            return timed(scene.names["plain_port"], direct_target, [token])
        return timed(server.port, target)

    samples = turns([None, *servers], options.turns, once)
    direct = samples[None]
    names = {0.5: "p50", 0.99: "p99", 0.999: "p99.9"}
    rows = []
    for server in servers:
        figures = {"requests/s": f"{rate:,.0f}"}
        values = {}
        for share, name in names.items():
            added = [mine[share] - base[share] for mine, base in zip(samples[server], direct)]
            figures[f"{name} added, µs"] = median_and_spread(added, "{:,.0f}")
            values[name] = statistics.median(added)
        rows.append(Row(scenario["title"], server.peer.title, figures, values))
    return rows


# ---- bulk: 100 MiB each way -----------------------------------------------------------------------


def bulk(scene, scenario):
    servers = [scene.servers[peer.name] for peer in scene.peers]
    options = ()
    if scenario["direction"] == "up":
        big = scene.folder / "upload"
        with open(big, "wb") as file:
            file.truncate(BIG_LEN)
        options = ("-T", str(big), "-X", "POST")

    def once(server):
        server.forget_peak()
        before = server.cpu_us()
        length, took = load.curl(server.port, scenario["target"], scene.load_core, *options)
        if length != BIG_LEN:
            raise SystemExit(f"bench: {server.name}: {length} bytes of {BIG_LEN}")
        spent = server.cpu_us() - before
        gib = length / 2**30
        return {"cpu_us": spent / gib, "rate": length / took, "peak": server.memory_kib("VmHWM")}

    for server in servers:
        once(server)
    samples = turns_by_name(servers, max(scene.options.rounds, 5), once)
    rows = []
    for server in servers:
        mine = samples[server.name]
        values = {key: statistics.median(sample[key] for sample in mine) for key in mine[0]}
        for other in samples:
            if other != server.name:
                values[f"cpu against {other}"] = statistics.median(ratios(samples, server.name, baseline=other))
                values[f"rate against {other}"] = statistics.median(ratios(samples, server.name, "rate", other))
        figures = {
            "MiB/s": median_and_spread([sample["rate"] / 2**20 for sample in mine], "{:,.0f}"),
            "CPU, ms per GiB": median_and_spread([sample["cpu_us"] / 1000 for sample in mine], "{:,.0f}"),
            "peak memory, MiB": f"{values['peak'] / 1024:.1f}",
        }
        rows.append(Row(scenario["title"], server.peer.title, figures, values))
    return rows


# ---- idle clients ---------------------------------------------------------------------------------


def idle(scene, scenario):
    count = scenario["clients"]
    load.allow_descriptors(count + 1000)
    rows = []
    for peer in scene.peers:
        server = scene.start(peer)
        at_start = server.memory_kib()
        load.wrk(server.port, scenario["target"], 64, 1, scene.load_core)
        before = server.memory_kib()
        crowd = load.Crowd(server.port, count)
        crowd.ask_in_turn(scenario["target"])
        each = (server.memory_kib() - before) / count
        rate = scenario["rate"]
        times = load.h2load(server.port, scenario["target"], 64, rate, 4, scene.load_core, scene.folder)
        took = sorted(one.took_us for one in times)
        figures = {
            "KiB per idle client": f"{each:.1f}",
            "at start, MiB": f"{at_start / 1024:.1f}",
            "with all, MiB": f"{server.memory_kib() / 1024:.1f}",
            f"p50 of others at {rate:,}/s, µs": f"{load.percentile(took, 0.5):,}",
            "p99, µs": f"{load.percentile(took, 0.99):,}",
        }
        crowd.leave()
        rows.append(Row(scenario["title"], peer.title, figures, {"each": each, "at_start": at_start}))
        scene.stop(server)
    return rows


# ---- routes ---------------------------------------------------------------------------------------


def more_routes(count):
    """Patterns of three segments that share no prefix with what is asked for, and some that do."""
    rows = []
    for i in range(count):
        rows.append(f"[route more-{i}]\nupstream = plain\nmatch = GET /small/{'items' if i % 2 else 'things'}/x{i}/{{id}}\n")
        rows.append(f"scopes = {'items:read' if i % 2 else 'items:read items:write'}\n")
    return "".join(rows)


def routes(scene, scenario):
    peer = scene.bearerd()
    if not peer:
        return []
    options, servers = scene.options, []
    for count in scenario["counts"]:
        server = scene.start(peer, more_routes=more_routes(count))
        server.name = f"{count:,} more routes"
        scene.check(server, scenario["target"])
        load.wrk(server.port, scenario["target"], scenario["connections"], 1, scene.load_core)
        servers.append(server)

    def once(server):
        before = server.cpu_us()
        count, _ = load.wrk(server.port, scenario["target"], scenario["connections"], options.seconds, scene.load_core)
        return {"cpu_us": (server.cpu_us() - before) / count}

    samples = turns_by_name(servers, options.turns, once)
    rows = []
    first = servers[0].name
    for server in servers:
        each = ratios(samples, server.name, baseline=first)
        figures = {
            "CPU, µs": median_and_spread([sample["cpu_us"] for sample in samples[server.name]]),
            "against the first": f"**{median_and_spread(each, '{:.3f}')}**" if server.name != first else "",
            "memory, MiB": f"{server.memory_kib() / 1024:.1f}",
        }
        rows.append(Row(scenario["title"], server.name, figures, {"ratio": statistics.median(each)}))
    for server in servers:
        scene.stop(server)
    return rows


# ---- the second core ------------------------------------------------------------------------------


def second_core(scene, scenario):
    """On two processors nothing is left for the load generator, so capacity is reckoned from the CPU time per request:
    what two workers on two cores could do for what one does on one, had they those to themselves."""
    both = f"{scene.proxy_core},{scene.load_core}"
    rows = []
    for peer in scene.peers:
        if peer.name not in scenario["peers"]:
            continue
        servers = [scene.start(peer, cores=both, workers=workers, cores_used=workers) for workers in (1, 2)]
        for workers, server in zip((1, 2), servers):
            server.name = str(workers)
            load.wrk(server.port, scenario["target"], scenario["connections"], 1, both)

        def once(server):
            before = server.cpu_us()
            count, _ = load.wrk(server.port, scenario["target"], scenario["connections"], scene.options.seconds, both)
            return {"cpu_us": (server.cpu_us() - before) / count}

        samples = turns_by_name(servers, scene.options.turns, once)
        gain = [2 * one["cpu_us"] / two["cpu_us"] for one, two in zip(samples["1"], samples["2"])]
        figures = {
            "CPU with one worker, µs": median_and_spread([sample["cpu_us"] for sample in samples["1"]]),
            "with two": median_and_spread([sample["cpu_us"] for sample in samples["2"]]),
            "capacity of two": f"**{median_and_spread(gain)}**",
        }
        rows.append(Row(scenario["title"], peer.title, figures, {"gain": statistics.median(gain)}))
        for server in servers:
            scene.stop(server)
    return rows


# ---- tokens: a cold stampede, and renewal under load -----------------------------------------------


def stampede(scene, scenario):
    peer = scene.bearerd()
    if not peer:
        return []
    load.allow_descriptors(scenario["clients"] + 1000)
    longest, asked = [], []
    for _ in range(scene.options.rounds):
        server = scene.start(peer)
        scene.ask_authorization_server(f"/set?delay={scenario['delay']}&ttl=3600")
        crowd = load.Crowd(server.port, scenario["clients"])
        longest.append(crowd.ask_at_once(scenario["target"]) * 1000)
        asked.append(len(scene.ask_authorization_server("/requests")))
        crowd.leave()
        scene.stop(server)
    scene.ask_authorization_server("/set?delay=0&ttl=3600")
    figures = {"last answer after, ms": median_and_spread(longest, "{:.0f}"), "token requests": str(max(asked))}
    values = {"last_ms": statistics.median(longest), "asked": max(asked), "delay_ms": scenario["delay"] * 1000}
    return [Row(scenario["title"], peer.title, figures, values)]


def slowest(times, begin, end):
    return max((one.took_us for one in times if begin <= one.at < end), default=None)


def renewal(scene, scenario):
    """For each renewal the slowest request around it, and the slowest in as long a time before."""
    peer = scene.bearerd()
    if not peer:
        return []
    delay, seconds = scenario["delay"], scenario["seconds"]
    scene.ask_authorization_server(f"/set?delay={delay}&ttl={scenario['ttl']}")
    server = scene.start(peer, more_credential="clock_skew = 1s")
    times = load.h2load(
        server.port, scenario["target"], 64, scenario["rate"], seconds, scene.load_core, scene.folder
    )
    begin = min(one.at for one in times)
    moments = [moment for moment in scene.ask_authorization_server("/requests") if moment > begin + 3]
    scene.ask_authorization_server("/set?delay=0&ttl=3600")
    scene.stop(server)
    around = [slowest(times, moment - 0.5, moment + delay + 0.5) for moment in moments]
    before = [slowest(times, moment - 1.5 - delay, moment - 0.5) for moment in moments]
    pairs = [pair for pair in zip(around, before) if None not in pair]
    if not pairs:
        return []
    each = [mine / other for mine, other in pairs]
    figures = {
        "renewals": str(len(pairs)),
        "slowest around each, µs": median_and_spread([pair[0] for pair in pairs], "{:,.0f}"),
        "slowest in as long before, µs": median_and_spread([pair[1] for pair in pairs], "{:,.0f}"),
        "ratio": f"**{median_and_spread(each)}**",
    }
    return [Row(scenario["title"], peer.title, figures, {"ratio": statistics.median(each)})]


KINDS = {
    "requests": requests,
    "latency": latency,
    "bulk": bulk,
    "idle": idle,
    "routes": routes,
    "second-core": second_core,
    "stampede": stampede,
    "renewal": renewal,
}
