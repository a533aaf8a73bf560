# SPDX-License-Identifier: MIT
"""Fixtures: the real servers live as long as the session, bearerd and scripted servers as long as a test."""
import os
import textwrap

import pytest
from kit.auth_server import BASIC, OTHER, POST, AuthServer
from kit.bearerd import BINARY, RELEASE, AdminSocket, Bearerd, write_config
from kit.certs import Certs
from kit.nginx import Nginx
from kit.scripted import ScriptedServer, TokenServer

# The tests' own clients must not go through the machine's proxy, or trust other authorities.
for name in list(os.environ):
    if name.lower().endswith("_proxy") or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        del os.environ[name]


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs") / "c")


@pytest.fixture(scope="session")
def auth_session(certs):
    server = AuthServer(certs)
    yield server
    server.stop()


@pytest.fixture
def auth(auth_session):
    """The real authorization server; auth.requests() are those of this test."""
    auth_session.start = auth_session.mark()
    return auth_session


@pytest.fixture(scope="session")
def nginx(tmp_path_factory, certs):
    server = Nginx(tmp_path_factory.mktemp("nginx"), certs)
    yield server
    server.stop()


@pytest.fixture
def scripted():
    """scripted(on=…, certs=…): a scripted upstream."""
    yield from _servers(ScriptedServer)


@pytest.fixture
def token_server():
    """token_server(answer, …): a scripted token endpoint."""
    yield from _servers(TokenServer)


def _servers(kind):
    made = []

    def make(*args, **options):
        made.append(kind(*args, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()
        assert not server.faults, server.faults


@pytest.fixture
def upstream(scripted):
    """A scripted upstream that echoes, unless the test gives it something else to do."""
    return scripted()


@pytest.fixture
def start(tmp_path):
    """start(ini, proxy=…): a running bearerd. It has an admin listener on a socket of its own, unless ini has one."""
    running, sockets = [], []

    def make(ini, proxy="", env=None, binary=None, name="bearerd.ini"):
        binary = binary or BINARY
        if not binary.exists():
            pytest.fail(f"no binary at {binary}; scripts/test builds it")
        admin = None
        if "[admin]" not in ini + proxy:
            sockets.append(AdminSocket())
            ini, admin = sockets[-1].added_to(ini), sockets[-1].path
        daemon = Bearerd(write_config(tmp_path, ini, proxy, name), env=env, binary=binary, admin=admin)
        running.append(daemon)
        daemon.secrets += [client["client_secret"] for client in (BASIC, POST, OTHER)]
        return daemon.wait_ready()

    try:
        yield make
        for daemon in running:
            if daemon.process.process.returncode is None:
                daemon.stop()
    finally:
        for socket in sockets:
            socket.remove()


@pytest.fixture
def release():
    """The optimised binary: for figures that the sanitizers' own memory would spoil."""
    if not RELEASE.exists():
        pytest.skip(f"{RELEASE} is not built; scripts/test builds it")
    return RELEASE


@pytest.fixture
def simple(start, auth, upstream):
    """The usual case: real authorization server, scripted upstream, every path asks for api:read."""

    def make(proxy="", route="", upstream_lines="", credential=None, **options):
        return start(one_route(credential or auth.credential(), upstream.url, route, upstream_lines), proxy, **options)

    return make


def one_route(credential, url, route="", upstream="", scopes="api:read"):
    """A configuration with one upstream and one route; route, upstream: more lines for them. scopes "": none."""
    asked = f"scopes = {scopes}\n" if scopes else ""
    return (
        f"{credential}\n[upstream api]\nurl = {url}\n{textwrap.dedent(upstream)}\n"
        f"[route all]\nmatch = /**\n{asked}{textwrap.dedent(route)}\n"
    )
