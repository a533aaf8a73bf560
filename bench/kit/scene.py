# SPDX-License-Identifier: MIT
"""What every measurement stands on: certificates, the upstream, the authorization server, the peers."""
import dataclasses
import json
import os
import pathlib
import re
import secrets
import string
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request

from kit.server import Server, core_lists, free_port, program

HERE = pathlib.Path(__file__).resolve().parents[1]
TOKEN_LEN = 512  # as long as a small JSON web token
BODY_LEN = 130
BIG_LEN = 100 * 1024 * 1024


class Text(string.Template):
    """@{name}, because nginx's configurations are full of $."""

    delimiter = "@"


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


def read_toml(path):
    return tomllib.loads(path.read_text())


def library_of(path, name):
    """Which shared library the binary gets: libmicrohttpd decides much of its cost."""
    ldd = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    found = re.search(rf"{name}\S* => (\S+)", ldd)
    return os.path.realpath(found.group(1)).rsplit("/", 1)[-1] if found else name


@dataclasses.dataclass
class Peer:
    name: str
    title: str
    version: list
    command: list
    config: str
    adds_token: bool = True

    def version_text(self, names):
        argv = [Text(word).safe_substitute(names) for word in self.version]
        argv[0] = program(argv[0])
        run = subprocess.run(argv, capture_output=True, text=True)
        text = (run.stdout + run.stderr).strip().splitlines()[0]
        linked = [library_of(argv[0], name) for name in ("libmicrohttpd.so", "libcurl.so", "libssl.so")]
        return ", ".join([text, *(name for name in linked if re.search(r"\d", name))])


class Scene:
    """Everything that runs; started once, each peer as often as a measurement wants it afresh."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.count, self.started, self.peers, self.servers = 0, [], [], {}
        self.proxy_core, self.load_core, self.upstream_core = core_lists()
        self.token = secrets.token_urlsafe(TOKEN_LEN)[:TOKEN_LEN]
        self.names = {
            **make_certificate(folder),
            "token": self.token,
            "body": "x" * BODY_LEN,
            "kib": "y" * 1024,
            "bearerd": options.bearerd.resolve(),
            "workers": 1,
            "cores": 1,
            "more_routes": "",
            "more_credential": "",
            **{f"{what}_port": free_port() for what in ("plain", "tls", "sink", "token")},
        }
        self.names["token_url"] = f"http://127.0.0.1:{self.names['token_port']}/token"

    def start_helpers(self):
        self.upstream = self._start_upstream()
        python, port = "/usr/bin/python3", self.names["sink_port"]
        self._run("sink", [python, str(HERE / "sink.py"), str(port), self.token], port, self.upstream_core)
        port = self.names["token_port"]
        argv = [python, str(HERE / "authorization_server.py"), str(port), self.token]
        self._run("authorization server", argv, port, self.upstream_core)

    def _run(self, name, argv, port, cores):
        folder = self.folder / name.replace(" ", "-")
        folder.mkdir()
        server = Server(name, argv, port, cores, folder)
        self.started.append(server)
        return server

    def _start_upstream(self):
        folder = self.folder / "upstream"
        folder.mkdir()
        with open(folder / "big", "wb") as big:
            big.truncate(BIG_LEN)
        fields = [f'            add_header X-Response-Field-{i} "a value of some thirty bytes {i}";' for i in range(20)]
        text = Text((HERE / "upstream.conf").read_text())
        filled = text.substitute({**self.names, "folder": folder, "response_fields": "\n".join(fields)})
        (folder / "config").write_text(filled)
        argv = ["nginx", "-p", str(folder), "-c", str(folder / "config")]
        server = Server("upstream", argv, self.names["plain_port"], self.upstream_core, folder)
        self.started.append(server)
        return server

    def start(self, peer, cores=None, **names):
        """A peer of its own for one measurement; scene.stop() ends it."""
        self.count += 1
        folder = self.folder / f"{peer.name}-{self.count}"
        folder.mkdir()
        names = {**self.names, **names, "folder": folder, "config": folder / "config", "port": free_port()}
        names["config"].write_text(Text(peer.config).substitute(names))
        names["config"].chmod(0o600)
        argv = [Text(word).substitute(names) for word in peer.command]
        server = Server(peer.name, argv, names["port"], cores or self.proxy_core, folder)
        server.peer = peer
        self.started.append(server)
        return server

    def stop(self, server):
        server.stop()
        self.started.remove(server)

    def stop_all(self):
        for server in reversed(self.started):
            server.stop()

    def bearerd(self):
        return next((peer for peer in self.peers if peer.name == "bearerd"), None)

    def check(self, server, target, body=None):
        """Once before anything is measured: the answer is the upstream's, and with it the token was right."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{server.port}{target}", timeout=10) as answer:
                if answer.read() == (body or self.names["body"]).encode():
                    return
                fault = "another body than the upstream's"
        except urllib.error.HTTPError as error:
            fault = f"status {error.code}: {error.read(500).decode(errors='replace')}"
        sys.exit(f"bench: {server.name}, {target}: {fault}\n{server.log.read_text(errors='replace')[-2000:]}")

    def ask_authorization_server(self, path):
        """/requests: the moments at which tokens were asked for; /set?delay=S&ttl=S changes what it does."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.names['token_port']}{path}", timeout=10) as answer:
            return json.loads(answer.read())


def read_peers():
    return [Peer(path.stem, **read_toml(path)) for path in sorted((HERE / "peers").glob("*.toml"))]
