# SPDX-License-Identifier: MIT
"""T-9: what would be in a core file. None is written by default. What is in memory is looked for under load, in the
optimised binary: the token in use is there (which also shows that the search finds things); tokens and secrets that
were replaced are not, nor are secrets and keys between two token requests."""
import base64
import concurrent.futures
import contextlib
import os
import re
import resource
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import one_route
from kit import memory
from kit.bearerd import write_config
from kit.keys import private_key
from kit.process import Process, wait_until
from kit.scripted import send_json, token_answer

FILLING = "0123456789abcdef" * 8  # tokens long enough to be told from chance
UPLOAD = bytes(1 << 18)
OLD, NEW = "old+secret/of%the:client", "new+secret/of%the:client"


@pytest.fixture(autouse=True)
def may_look():
    if os.geteuid() != 0:
        pytest.fail("reading the memory of a process that must not be dumped needs root")


def token_of(number):
    return f"tok{number:05}.{FILLING}"


class Issuer:
    """A new token for each request, and what each request carried."""

    def __init__(self, token_server, expires_in, **options):
        self.count, self.expires_in = 0, expires_in
        self.server = token_server(self.answer, **options)

    def answer(self, exchange):
        self.count += 1
        send_json(exchange, token_answer(token_of(self.count), self.expires_in))

    def needles(self, first=1, last=None):
        return {f"token {n}": token_of(n).encode() for n in range(first, (last or self.count) + 1)}


@contextlib.contextmanager
def load(daemon, clients=4):
    """Requests on several connections for as long as the block takes; all must be answered with 200."""
    stop = threading.Event()

    def work():
        count = 0
        with daemon.client() as client:
            while not stop.is_set():
                assert client.ask().status == 200
                count += 1
                time.sleep(0.005)
        return count

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        workers = [pool.submit(work) for _ in range(clients)]
        try:
            yield
        finally:
            stop.set()
        assert all(worker.result() > 10 for worker in workers)


def ok(exchange):
    """Not an echo: what upstreams send back is theirs."""
    exchange.answer(body=b"ok")


def secret_file(folder, text, name="secret"):
    path, fresh = folder / name, folder / f"{name}.new"
    fresh.touch(0o600)
    fresh.write_text(text)
    fresh.rename(path)
    return path


def wait_count(issuer, count):
    wait_until(lambda: issuer.count >= count, 20, f"{count} tokens")


def forms_of(secret, client_id="client"):
    """Every form a client secret takes on its way: as it is, form-encoded, and as Basic carries it."""
    encoded = urllib.parse.quote_plus(secret, safe="*-._")
    basic = base64.b64encode(f"{client_id}:{encoded}".encode()).rstrip(b"=")[:-1]
    return {f"{secret} as it is": secret.encode(), f"{secret} encoded": encoded.encode(), f"{secret} as Basic": basic}


def replace_all(issuer, folder):
    """Another secret, used twice, then a token that stays: (what must be gone, the number of that token)."""
    secret_file(folder, NEW)
    wait_count(issuer, issuer.count + 2)
    issuer.expires_in = 3600
    last = issuer.count + 1
    wait_count(issuer, last)
    return {**issuer.needles(1, last - 1), **forms_of(OLD), **forms_of(NEW)}, last


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_replaced_tokens_and_secrets_are_gone(start, release, certs, scripted, token_server, tmp_path, tls, method):
    served = {"certs": certs} if tls else {}
    issuer, upstream = Issuer(token_server, 3, **served), scripted(on=ok, **served)
    trust = f"ca_file = {certs.ca}" if tls else ""
    url = upstream.url.replace("127.0.0.1", "localhost")
    token_url = issuer.server.token_url.replace("127.0.0.1", "localhost")
    secret = secret_file(tmp_path, OLD)
    credential = issuer.server.credential(token_url=token_url, client_secret=f"file:{secret}", auth_method=method)
    daemon = start(one_route(credential + trust, url, upstream=trust), binary=release)
    with load(daemon), daemon.client() as client:
        # Its head goes before the body is there, and nothing comes after it on this connection.
        assert client.ask("PUT", body=UPLOAD).status == 200
        wait_count(issuer, 3)
        gone, last = replace_all(issuer, tmp_path)
        memory.wait_gone(daemon.process.pid, gone)
        assert memory.find(daemon.process.pid, issuer.needles(last, last))
    assert issuer.count == last


def test_what_a_reload_takes_out_is_gone_with_its_last_request(start, release, scripted, token_server):
    """T-18: literal secrets of the configuration before, and its tokens; as long as a request is under it they stay."""
    issuer, upstream, go_on = Issuer(token_server, 3600), scripted(), threading.Event()

    def slow(exchange):
        assert exchange.request.target != "/slow" or go_on.wait(30)
        ok(exchange)

    upstream.on = slow
    spare = "[credential spare]\nsource = static\ntoken = literal-token-of-the-spare\nheader = X-Spare\n"
    before = one_route(issuer.server.credential(client_secret=OLD), upstream.url, "credential = main spare") + spare
    daemon = start(before, binary=release)
    with daemon.client() as client:
        client.request(target="/slow")
        upstream.wait_requests(1)
        daemon.reload(one_route(issuer.server.credential(client_secret=NEW), upstream.url))
        assert daemon.ask().status == 200
        assert upstream.tokens() == [token_of(1), token_of(2)]
        of_before = {"literal": OLD.encode(), "token": token_of(1).encode(), "static": b"literal-token-of-the-spare"}
        assert set(memory.find(daemon.process.pid, of_before)) == set(of_before)
        go_on.set()
        assert client.response().status == 200
    memory.wait_gone(daemon.process.pid, of_before)
    assert memory.find(daemon.process.pid, {"literal": NEW.encode(), "token": token_of(2).encode()})


def forced_core(pid, folder):
    """What root gets with a debugger: all of the process's memory, registers included."""
    path = folder / "core"
    command = ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", f"generate-core-file {path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert path.exists(), done.stdout + done.stderr
    core = path.read_bytes()
    path.unlink()
    return core


def held(core, wanted):
    return {name for name, needle in wanted.items() if needle in core}


def test_what_a_forced_core_holds(start, release, scripted, token_server, tmp_path):
    """Row by row, what docs/security.md says of it."""
    issuer, upstream = Issuer(token_server, 3), scripted(on=ok)
    secret = secret_file(tmp_path, OLD)
    spare = "[credential spare]\nsource = static\ntoken = literal-token-of-the-spare\nheader = X-Spare\n"
    text = one_route(issuer.server.credential(client_secret=f"file:{secret}"), upstream.url, "credential = main spare")
    text += f"{spare}[store]\nurl = sqlite:{tmp_path}/tokens.db\nkey = env:STORE_KEY\n"
    key = "key-of-the-store-0123456789"
    daemon = start(text, binary=release, env={"STORE_KEY": key})
    stay = {"literal": b"literal-token-of-the-spare", "key of the store": key.encode()}
    with load(daemon):
        wait_count(issuer, 2)
        gone, last = replace_all(issuer, tmp_path)
        memory.wait_gone(daemon.process.pid, gone)
        core = forced_core(daemon.process.pid, tmp_path)
    assert held(core, gone) == set()
    assert held(core, issuer.needles(last, last)) == {f"token {last}"}
    assert held(core, stay) == set(stay)


def test_a_replaced_static_token_is_gone(start, release, scripted, tmp_path):
    good = [token_of(1)]

    def only_the_good_one(exchange):
        is_good = exchange.request.token == good[0]
        exchange.answer("200 OK" if is_good else "401 Unauthorized", b"", [("WWW-Authenticate", "Bearer")])

    path = secret_file(tmp_path, token_of(1))
    credential = f"[credential main]\nsource = static\ntoken = file:{path}\n"
    daemon = start(one_route(credential, scripted(on=only_the_good_one).url), binary=release)
    old, new = {"old": token_of(1).encode()}, {"new": token_of(2).encode()}
    with load(daemon):
        wait_until(lambda: memory.find(daemon.process.pid, old), what="the token in memory")
        secret_file(tmp_path, token_of(2))
        good[0] = token_of(2)  # from here on the old one is refused, and the file read again
        memory.wait_gone(daemon.process.pid, old)
        assert memory.find(daemon.process.pid, new)


def key_needles(pem):
    """The file's own lines, and the number that makes the key, as bytes and as OpenSSL computes with it."""
    text = subprocess.run(
        ["openssl", "pkey", "-in", pem, "-noout", "-text"], check=True, capture_output=True, text=True
    ).stdout
    number = bytes.fromhex(re.sub(r"[\s:]", "", re.search(r"(?:priv|privateExponent):\n((?:\s+[0-9a-f:]+\n)+)", text)[1]))
    number = number.lstrip(b"\0")
    lines = pem.read_bytes().splitlines()[1:-1]
    return {"line of the file": lines[0], "number": number[:24], "number, reversed": number[::-1][:24]}


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_signing_key_is_gone_between_token_requests(start, release, certs, scripted, token_server, tmp_path, alg):
    issuer, upstream = Issuer(token_server, 3), scripted(on=ok)
    key = private_key(tmp_path, alg)
    settings = {"auth_method": "private_key_jwt", "signing_key": f"file:{key}", "signing_alg": alg}
    credential = issuer.server.credential(**settings).replace("client_secret = secret\n", "")
    daemon = start(one_route(credential, upstream.url), binary=release)
    with load(daemon):
        wait_count(issuer, 3)
        issuer.expires_in = 3600
        last = issuer.count + 1
        wait_count(issuer, last)
        memory.wait_gone(daemon.process.pid, {**issuer.needles(1, last - 1), **key_needles(key)})
        assert memory.find(daemon.process.pid, issuer.needles(last, last))


def test_a_login_and_its_secrets_are_gone(start, release, scripted, tmp_path):
    count, upstream = [0], scripted(on=ok)

    def login(exchange):
        count[0] += 1
        send_json(exchange, ("200 OK", f'{{"session": "{token_of(count[0])}"}}'))

    server = scripted(on=login)
    path = secret_file(tmp_path, OLD)
    credential = f"""[credential main]
        source = login
        login_url = {server.url}/login
        login_body = {{"user": "u", "password": "%{{file:{path}}}"}}
        login_token = /session
        login_ttl = 3s
        """
    credential = "\n".join(line.strip() for line in credential.splitlines())
    daemon = start(one_route(credential, upstream.url, scopes=""), binary=release)
    with load(daemon):
        wait_until(lambda: count[0] >= 3, 20, "three logins")
        first = {"token 1": token_of(1).encode()}
        memory.wait_gone(daemon.process.pid, {**first, **forms_of(OLD)})


def test_a_commands_tokens_are_gone(start, release, scripted, tmp_path):
    """They come from one command and go to another, through pipes."""
    upstream, script, told = scripted(on=ok), tmp_path / "provider", tmp_path / "told"
    script.write_text(
        f'#!/bin/sh\ncat >/dev/null\necho x >>{told}\nn=$(wc -l <{told})\n'
        f'printf \'{{"access_token": "tok%05d.{FILLING}", "token_type": "Bearer", "expires_in": %d}}\' '
        '"$n" "$([ "$n" -lt 3 ] && echo 3 || echo 3600)"\n'
    )
    script.chmod(0o700)
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >>{tmp_path}/hooked\n")
    hook.chmod(0o700)
    credential = f"[credential main]\nsource = exec\ncommand = {script}\non_token_update = {hook}\n"
    daemon = start(one_route(credential, upstream.url), binary=release)
    third = token_of(3)
    with load(daemon):
        wait_until(lambda: upstream.requests and upstream.last.token == third, 20, "the third token in use")
        wait_until(lambda: third in (tmp_path / "hooked").read_text(), 10, "the hook told of it")
        memory.wait_gone(daemon.process.pid, {f"token {n}": token_of(n).encode() for n in (1, 2)})
        assert memory.find(daemon.process.pid, {"token 3": third.encode()})


def end_of(daemon):
    """How the process ended by SIGABRT: CLD_KILLED, or CLD_DUMPED if a core was made (whatever became of it)."""
    os.kill(daemon.process.pid, signal.SIGABRT)
    how = os.waitid(os.P_PID, daemon.process.pid, os.WEXITED | os.WNOWAIT)
    assert how.si_status == signal.SIGABRT
    daemon.process.process.wait(10)
    return how.si_code


def test_no_core_file_by_default(simple, release, tmp_path):
    daemon = simple(binary=release)
    assert daemon.ask().status == 200
    assert resource.prlimit(daemon.process.pid, resource.RLIMIT_CORE) == (0, 0)
    assert end_of(daemon) == os.CLD_KILLED


def test_the_process_is_not_dumpable(release, tmp_path, upstream, auth):
    """Not even its own user may look into it, which is what the kernel refuses for a process that is not dumpable. No
    core is written then, whatever the limit. Without capabilities, since with them root may."""
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
    config = write_config(tmp_path, one_route(auth.credential(), upstream.url))
    daemon = Process([*powerless, release, "serve", "-c", config], name="bearerd")
    other = Process([*powerless, "sh", "-c", "echo event=ready; exec sleep 60"])
    try:
        reads = []
        for process in (daemon, other):
            process.wait_line("event=ready")
            look = subprocess.run([*powerless, "head", "-c", "0", f"/proc/{process.pid}/mem"], capture_output=True)
            reads.append(look.returncode)
        assert reads == [1, 0]
    finally:
        daemon.stop()
        other.stop()
