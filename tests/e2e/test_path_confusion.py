# SPDX-License-Identifier: MIT
"""T22: what was judged is what is sent. If any real server takes the target that bearerd sends for a resource, then the
route that chose the token is that resource's, or the request was refused. nginx, Apache, lighttpd, Tomcat and programs
on Node.js are asked directly, in their several ways to be set up; bearerd is asked which token it sent."""
import pathlib
import posixpath
import shutil
import subprocess
import tempfile

import pytest
from kit.hostile_paths import hostile_paths
from kit.judge import judge_of
from kit.web_servers import STANDARD, WebServers

RESOURCES = ["/", "/public/a", "/public/", "/public/deep/x", "/admin/a", "/admin/", "/admin/open", "/items/7", "/items/8/secret"]
BASE = "/base"
ROUTES = {
    "other": "/**", "root": "/", "public": "/public/**", "deep": "/public/deep/**", "admin": "/admin/**", "open": "/admin/open",
    "item": "/items/{id}", "secret": "/items/{id}/secret",
}  # fmt: skip
ROUTE_OF = {
    "/": "root", "/public/a": "public", "/public/": "public", "/public/deep/x": "deep", "/admin/a": "admin", "/admin/": "admin",
    "/admin/open": "open", "/items/7": "item", "/items/8/secret": "secret",
}  # fmt: skip
WFUZZ = pathlib.Path("/usr/share/wfuzz/wordlist")
pytestmark = [pytest.mark.xdist_group("web servers"), pytest.mark.timeout(400)]  # one set of them for all


@pytest.fixture(scope="module")
def servers():
    # Not in the tests' own folders: those are closed, and some servers give root up.
    with tempfile.TemporaryDirectory() as folder:
        servers = WebServers(pathlib.Path(folder), RESOURCES + [BASE + resource for resource in RESOURCES])
        yield servers
        servers.stop()


@pytest.fixture
def judge(start, scripted):
    with judge_of(start, scripted, ROUTES, BASE) as judge:
        yield judge


def faults_of(sent, routes, served, base=""):
    """[(server, target, resource, route)] where the server's resource has another route than the one chosen."""
    for name, resources in served.items():
        for target, route, resource in zip(sent, routes, resources):
            if resource is None:
                continue
            rest = resource.removeprefix(base) if resource.startswith(base) else None
            if ROUTE_OF.get(rest) != route:
                yield name, target, resource, route


def naive(target):
    """The route by the raw path alone, as most proxies choose it."""
    path = target.split(b"?")[0].decode("latin-1")
    for prefix in ("/public/deep/", "/public/", "/admin/"):
        if path.startswith(prefix):
            return {"/public/deep/": "deep", "/public/": "public", "/admin/": "admin"}[prefix]
    return "other"


def test_T22_a_servers_resource_has_the_route_that_was_chosen(judge, servers):
    targets = hostile_paths(RESOURCES, 400)
    judged = [judge(target) for target in targets]
    accepted = [target for target, (route, _) in zip(targets, judged) if route]
    assert [sent for route, sent in judged if route] == accepted  # byte for byte
    served = servers.ask_all(accepted)
    routes = [route for route, _ in judged if route]
    assert list(faults_of(accepted, routes, served)) == []
    # The test has teeth: detours that servers follow, refused here; and paths that passed and were served.
    refused = [target for target, (route, _) in zip(targets, judged) if not route]
    followed = servers.ask_all(refused, STANDARD)
    misled = {target for _, target, _, _ in faults_of(refused, map(naive, refused), followed)}
    assert len(misled) >= 100, len(misled)
    assert len({target for resources in served.values() for target, resource in zip(accepted, resources) if resource}) >= 100


def test_T22_nothing_climbs_out_of_the_base_path(judge, servers):
    targets = [b"/m" + target for target in hostile_paths(RESOURCES, 200, seed=8)]
    targets += [b"/m" + target for target in hostile_paths([BASE + "/admin/a", "/m/admin/a"], 100, seed=9)]
    judged = [judge(target) for target in targets]
    sent = [sent for route, sent in judged if route]
    assert sent == [BASE.encode() + target[2:] for target, (route, _) in zip(targets, judged) if route]
    served = servers.ask_all(sent)
    assert list(faults_of(sent, [route for route, _ in judged if route], served, BASE)) == []
    assert sum(resource is not None for resources in served.values() for resource in resources) >= 100


def traversals():
    names = ["vulns/dirTraversal-nix.txt", "vulns/dirTraversal-win.txt", "vulns/dirTraversal.txt", "Injections/Traversal.txt"]
    lines = dict.fromkeys(line for name in names for line in (WFUZZ / name).read_bytes().splitlines() if line.strip())
    return list(lines)


@pytest.mark.skipif(not WFUZZ.exists(), reason="this release has no package wfuzz")
def test_T22_lists_of_traversals(judge, servers):
    """As they are, and with a resource of ours for the file they are after."""
    lines = traversals()
    assert len(lines) > 500
    targets = [b"/public/" + line.lstrip(b"/") for line in lines]
    for name in (b"etc/passwd", b"etc/hosts", b"etc/shadow", b"boot.ini", b"windows/win.ini"):
        targets += [target.replace(name, b"admin/a") for target in targets if name in target]
    targets = list(dict.fromkeys(targets))
    judged = [judge(target) for target in targets]
    accepted = [target for target, (route, _) in zip(targets, judged) if route]
    assert [sent for route, sent in judged if route] == accepted
    assert {route for route, _ in judged} <= {None, "public"}  # none of them gets another token
    served = servers.ask_all(accepted, STANDARD)
    assert list(faults_of(accepted, [route for route, _ in judged if route], served)) == []


@pytest.fixture(scope="module")
def read_paths(tmp_path_factory):
    """What the models that the fuzz target uses make of paths: {name: [reading or None]}."""
    here = pathlib.Path(__file__).parent
    program = tmp_path_factory.mktemp("models") / "read_paths"
    compiler = shutil.which("gcc") or shutil.which("cc")
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{here.parent}/support"]
    subprocess.run([compiler, *flags, "-o", program, here / "read_paths.c"], check=True, timeout=60)

    def read(paths):
        done = subprocess.run([program], input=b"\n".join(paths) + b"\n", capture_output=True, check=True, timeout=60)
        readings = {}
        for line in done.stdout.splitlines():
            if line:
                name, _, reading = line.partition(b"\t")
                readings.setdefault(name.decode(), []).append(reading or None)
        return readings

    return read


def in_file_system(path):
    """The kernel does the rest, where a server leaves it something to do."""
    normal = "/" + posixpath.normpath(path).lstrip("/")
    return normal + "/" if path.endswith("/") and normal != "/" else normal


def test_the_models_of_the_fuzz_target_read_as_the_servers_do(judge, servers, read_paths):
    """Of all that bearerd would not refuse for its bytes alone."""
    targets = hostile_paths(RESOURCES, 200, seed=10)
    targets = [target for target in targets if judge(target) not in ((None, "bad-target"), (None, "malformed-request"))]
    readings = read_paths([target.split(b"?")[0] for target in targets])
    served = servers.ask_all(targets, readings)
    wrong, agreed = [], 0
    for name in readings:
        for target, reading, got in zip(targets, readings[name], served[name]):
            text = in_file_system(reading.decode("latin-1")) if reading else ""
            # Whether a folder is served without its slash, or a file with one, is no matter of reading.
            if text + "/" in RESOURCES or (text.endswith("/") and text[:-1] in RESOURCES):
                continue
            wanted = text if text in RESOURCES else None
            # A host that URL parsers do not take, no model knows.
            if wanted != got and not (got is None and name.startswith("node_url") and target.startswith(b"//")):
                wrong.append((name, target, text, got))
            agreed += wanted == got and wanted is not None
    assert wrong == []
    assert agreed >= 2000
