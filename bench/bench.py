# SPDX-License-Identifier: MIT
"""Measures proxies side by side: CPU time per request, requests per second, latency, memory.

Every peer (peers/*.toml) stands in front of the same upstream and is asked by the same load generator. The proxy has
one core to itself, generator and upstream have the others. What is measured stands in scenarios.toml, how in
kit/measures.py. All traffic is on loopback. A wrong answer, or a request without the right token, ends the run."""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import sys
import tempfile

from kit import load, plot
from kit.measures import BASELINE, KINDS
from kit.report import report
from kit.scene import HERE, Scene, read_peers, read_toml

QUICK = ("plain-64", "tls-64", "headers-64")


def choose(wanted, names, what):
    unknown = set(wanted) - set(names)
    if unknown:
        sys.exit(f"bench: no {what} {', '.join(sorted(unknown))}; there are {', '.join(names)}")


def read_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures bearerd beside other proxies.")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}, few short rounds, nginx only")
    parser.add_argument("--rounds", type=int, help="three times as many where CPU per request is measured")
    parser.add_argument("--seconds", type=int, default=1, help="length of one peer's turn")
    parser.add_argument("--scenario", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--peer", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--bearerd", default=HERE.parent / "build/release/bearerd", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="default: bench/results.md, if all of it is measured")
    parser.add_argument("--json", type=pathlib.Path, help="every figure, for further use")
    options = parser.parse_args()
    if options.quick:
        options.scenario = options.scenario or list(QUICK)
        options.peer = options.peer or [BASELINE, "bearerd"]
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.turns = 3 * options.rounds
    if not options.output and not (options.scenario or options.peer):
        options.output = HERE / "results.md"
    return options


def write_plots(folder, scenarios, results):
    plots = {}
    for part, svg in plot.draw(scenarios, results).items():
        name = re.sub(r"\W+", "-", part.lower()) + ".svg"
        (folder / "plots").mkdir(exist_ok=True)
        (folder / "plots" / name).write_text(svg)
        plots[part] = f"plots/{name}"
    return plots


def processor_time():
    """Of all processors since the start of the machine: what its host took from it, and all of it."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[7], sum(fields)


def run(options, scene):
    scenarios = read_toml(HERE / "scenarios.toml")["scenario"]
    peers = read_peers()
    choose(options.scenario, [scenario["name"] for scenario in scenarios], "scenario")
    choose(options.peer, [peer.name for peer in peers], "peer")
    scenarios = [scenario for scenario in scenarios if not options.scenario or scenario["name"] in options.scenario]
    scene.peers = sorted(
        (peer for peer in peers if not options.peer or peer.name in options.peer),
        key=lambda peer: (peer.name != BASELINE, peer.name == "bearerd", peer.name),
    )
    scene.start_helpers()
    for peer in scene.peers:
        scene.servers[peer.name] = scene.start(peer)
    results = {}
    stolen_before, time_before = processor_time()
    for scenario in scenarios:
        results[scenario["name"]] = KINDS[scenario["kind"]](scene, scenario)
        for row in results[scenario["name"]]:
            print(f"{scenario['name']:12} {row.peer:24}", "  ".join(row.figures.values()), flush=True)
        # Scenarios of tokens begin a new account.
        if scene.bearerd() and scenario["name"] == "plain-64" and not scene.ask_authorization_server("/requests"):
            sys.exit("bench: bearerd never asked for a token")
    stolen, time = processor_time()
    options.stolen = (stolen - stolen_before) / (time - time_before)
    versions = {peer.name: peer.version_text(scene.names) for peer in scene.peers}
    plots = write_plots(options.output.parent, scenarios, results) if options.output else {}
    return report(options, scenarios, scene.peers, results, versions, plots), results


def main():
    options = read_options()
    load.allow_descriptors(4096)
    with tempfile.TemporaryDirectory(prefix="bearerd-bench-") as folder:
        os.chmod(folder, 0o755)  # nginx's worker may run as somebody else
        scene = Scene(pathlib.Path(folder), options)
        try:
            text, results = run(options, scene)
        finally:
            scene.stop_all()
    print()
    print(text)
    if options.output:
        options.output.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, default=dataclasses.asdict))


if __name__ == "__main__":
    main()
