# SPDX-License-Identifier: MIT
"""Paths that lead to a resource by detours: made from a fixed seed, so that each run has the same ones."""
import random

SEPARATORS = """/ / / / / / // /// /./ %2f %2F \\ %5c %5C %252f %255c /%2e/ /.%2f /x/../ /x/%2e%2e/ /x/..;/ /x/%252e%252e/ ;/ ;a=b/ /;/
    /;a=b/ /.;/ %3b/ %c0%af %ef%bc%8f /%20/ %20/ ./ %2e/ ?/ %3f/ %23/ #/ %00/ %09/ %0a/ //x/../ /x//../ /x%2f..%2f /x%5c..%5c
    /%2f ./.%2f%2e%2e%2f /.%252e/ /%2e%2f/ /...%2f /x/.%2e/ /x/%2E./ /%5c/ \\/ /x;/../ /x;/..;/ /x/..;a=b/ /x/..%3b/""".split()
UPS = ".. .. .. %2e%2e .%2e %2E. ..; ..;a=b %252e%252e %2e%2e; ... ..%20 ..%2e %c0%ae%c0%ae ..%00 ..%3b ..%09".split()
TAILS = ["", "", "", "", "/", ".", "/.", "/./", "%20", ";", ";a=b", "%3b", "?", "?a=/admin/a", "%3f", "#", "%23", "%00", "//",
         "%2f", "%5c", "/..;/", "/x/..", "/x/../", "%2e", "/%2e", "/;", "/%20", "\\"]  # fmt: skip
HEADS = ["", "", "", "", "/", "//", "/x/", "//x", "//x:80", "///x", "/.", "/..", "/%2e%2e", "/%2f", "/;", "/x/..", "%2f"]


def disguise(rng, segment):
    """Some letters escaped, some twice."""
    out = ""
    for char in segment:
        kind = rng.random()
        out += f"%{ord(char):02x}" if kind < 0.08 else f"%25{ord(char):02X}" if kind < 0.11 else char
    return out


def detour(rng, target, start):
    """From the folder `start` up and down to the resource `target`."""
    steps = [step for step in start.split("/") if step]
    kept = rng.randint(0, len(steps))
    segments = steps[:kept] + [rng.choice(UPS) for _ in range(rng.choice([kept, kept, kept, kept + 1, max(kept - 1, 0)]))]
    segments += [step for step in target.split("/") if step]
    path = rng.choice(HEADS) if rng.random() < 0.3 else ""
    for segment in segments:
        path += (rng.choice(SEPARATORS) if rng.random() < 0.4 else "/") + disguise(rng, segment)
    path += "/" if target.endswith("/") else ""
    return path + rng.choice(TAILS)


def systematic(resources):
    """Each separator, way up, head and tail once, alone."""
    for resource in resources:
        first, _, rest = resource.lstrip("/").partition("/")
        for separator in dict.fromkeys(SEPARATORS):
            yield f"/{first}{separator}{rest}"
            yield f"{separator}{first}/{rest}"
        for up in dict.fromkeys(UPS):
            yield f"/public/{up}/{first}/{rest}"
            yield f"/public/deep/{up}/{up}/{first}/{rest}"
        for end in dict.fromkeys(TAILS):
            yield resource + end
        for head in dict.fromkeys(HEADS):
            yield head + resource


def hostile_paths(resources, count, seed=7):
    rng = random.Random(seed)
    made = dict.fromkeys(path for path in systematic([r for r in resources if r.count("/") > 1]))
    while count > 0:
        path = detour(rng, rng.choice(resources), rng.choice(resources))
        count -= path not in made
        made[path] = None
    return [path.encode() for path in made if path.startswith("/")]
