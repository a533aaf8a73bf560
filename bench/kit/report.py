# SPDX-License-Identifier: MIT
"""results.md: the machine, the versions, a table for each part, the goals and whether they are met."""
import os
import platform

from kit.scene import BODY_LEN, TOKEN_LEN


def machine():
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{platform.machine()}, {os.cpu_count()} processors, Linux {kernel}"


def table(rows):
    columns = list(rows[0].figures)
    lines = ["| scenario | proxy | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for row in rows:
        lines.append(f"| {row.scenario} | {row.peer} | " + " | ".join(row.figures.values()) + " |")
    return lines


# ---- goals ----------------------------------------------------------------------------------------


def value(results, scenario, key, peer="bearerd"):
    for row in results.get(scenario, []):
        if row.peer == peer or peer is None:
            return row.values.get(key)
    return None


def goals(results):
    """(what, goal, figure, is met); those whose scenario did not run are left out."""
    found = []

    def add(what, goal, figure, form, limit, at_most=True):
        if figure is not None:
            found.append((what, goal, form.format(figure), figure <= limit if at_most else figure >= limit))

    for name in ("plain-1", "plain-64", "plain-512", "tls-1", "tls-64", "tls-512", "headers-64", "post-64"):
        against = value(results, name, "against nginx")
        add(f"CPU per request, {name}, against nginx", "≤ 1.05", against, "{:.2f}", 1.05)
        against = value(results, name, "against nginx-lua")
        add(f"CPU per request, {name}, against nginx with Lua", "≤ 1.00", against, "{:.2f}", 1.0)
    mine, theirs = value(results, "latency-64", "p99"), value(results, "latency-64", "p99", "nginx, static header")
    if mine is not None and theirs:
        add("p99 added at half load, against nginx", "≤ 1.05", mine / theirs, "{:.2f}", 1.05)
    for name in ("download", "upload"):
        add(f"{name}, rate against HAProxy", "≥ 0.90", value(results, name, "rate against haproxy"), "{:.2f}", 0.9, False)
        add(f"{name}, CPU against nginx", "≤ 1.10", value(results, name, "cpu against nginx"), "{:.2f}", 1.1)
    add("memory of an idle client", "≤ 17 KiB", value(results, "idle-10000", "each"), "{:.1f} KiB", 17)
    at_start = value(results, "idle-10000", "at_start")
    add("resident at start", "≤ 8 MiB", at_start and at_start / 1024, "{:.1f} MiB", 8)
    add("10,000 more routes, CPU", "≤ 1.03", value(results, "routes", "ratio", "10,000 more routes"), "{:.3f}", 1.03)
    ratio = value(results, "renewal", "ratio")
    add("slowest request around a renewal, against as long before", "≤ 1", ratio, "{:.2f}", 1.0)
    add("token requests of a stampede", "1", value(results, "stampede", "asked"), "{:.0f}", 1)
    add("last answer of a stampede", "≤ 350 ms", value(results, "stampede", "last_ms"), "{:.0f} ms", 350)
    add("capacity of a second core", "≥ 1.80", value(results, "second-core", "gain"), "{:.2f}", 1.8, False)
    return found


def report(options, scenarios, peers, results, versions, plots):
    lines = [
        "# Benchmark results",
        "",
        "Made by `scripts/bench`; docs/performance.md says how to read it. CPU is user and system time of all of the",
        "proxy's threads per request. Figures are medians, with what the middle half of the rounds covers; ratios are",
        "taken round by round.",
        "",
        f"* Machine: {machine()}. The proxy has one of them, load generator and upstream have another.",
        f"* {options.turns} rounds of {options.seconds} s for CPU per request, {options.rounds} for the rest; token of"
        f" {TOKEN_LEN} bytes; answers of {BODY_LEN} bytes. Of the machine's time its host took {options.stolen:.0%}.",
        *(f"* {peer.title}: {versions[peer.name]}" for peer in peers),
    ]
    reached = goals(results)
    if reached:
        lines += ["", "## Goals", "", "| what | goal | bearerd | |", "|---|---|---|---|"]
        lines += [f"| {what} | {goal} | {figure} | {'met' if ok else '**not met**'} |" for what, goal, figure, ok in reached]
    parts = {}
    for scenario in scenarios:
        parts.setdefault(scenario["part"], []).extend(results.get(scenario["name"], []))
    for part, rows in parts.items():
        if rows:
            lines += ["", f"## {part}", ""]
            lines += [f"![{part}]({plots[part]})", ""] if part in plots else []
            lines += table(rows)
    lines += ["", "Memory is VmRSS, summed over the proxy's processes (nginx has two, which share pages).", ""]
    return "\n".join(lines)
