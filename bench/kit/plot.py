# SPDX-License-Identifier: MIT
"""Horizontal bars as SVG, a group for each scenario; light and dark pages alike."""
import html

COLOURS = {"bearerd": "#d9480f"}
OTHERS = ("#5c7cfa", "#12b886", "#868e96", "#ae3ec9", "#fab005")
BAR, GAP, LEFT, WIDTH = 16, 14, 300, 860


def bars(title, unit, groups):
    """groups: [(label, [(peer, value)])]"""
    peers = list(dict.fromkeys(peer for _, rows in groups for peer, _ in rows))
    others = iter(OTHERS * 3)
    colour = {peer: COLOURS.get(peer) or next(others) for peer in peers}
    parts, y = [], 52
    for label, rows in groups:
        longest = max(value for _, value in rows) or 1
        parts.append(text(LEFT - 10, y + BAR * len(rows) / 2 + 4, label, "end"))
        for peer, value in rows:
            width = max(1, value / longest * (WIDTH - LEFT - 110))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour[peer]}"/>')
            parts.append(text(LEFT + width + 6, y + BAR - 5, f"{value:,.1f}"))
            y += BAR
        y += GAP
    legend, x = [], 10
    for peer in peers:
        legend.append(f'<rect x="{x}" y="30" width="11" height="11" fill="{colour[peer]}"/>')
        legend.append(text(x + 16, 40, peer))
        x += 34 + 7 * len(peer)
    style = "text{font:12px sans-serif;fill:#343a40}@media(prefers-color-scheme:dark){text{fill:#dee2e6}}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    return "\n".join([head, f"<style>{style}</style>", text(10, 18, f"{title}, {unit}"), *legend, *parts, "</svg>", ""])


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


WHAT = {
    "Requests": ("cpu_us", "CPU time per request", "µs"),
    "Latency added": ("p99", "p99 added", "µs"),
    "Bulk": ("cpu_us", "CPU time per GiB", "µs"),
    "Idle clients": ("each", "Memory of an idle client", "KiB"),
}


def draw(scenarios, results):
    """{part: svg}"""
    drawn = {}
    for part, (key, title, unit) in WHAT.items():
        groups = []
        for scenario in scenarios:
            rows = results.get(scenario["name"], []) if scenario["part"] == part else []
            if rows:
                groups.append((scenario["name"], [(row.peer, row.values[key]) for row in rows]))
        if groups:
            drawn[part] = bars(title, unit, groups)
    return drawn
