# SPDX-License-Identifier: MIT
"""Every command that a document shows is run by a test. Most run here as they stand, with real servers in the place of the
examples' (RUN); two pages have files of their own (ELSEWHERE). What cannot run in a test has a row that says why, and what is
looked at in its place (INSTEAD). A command of which none of this is true is a fault, and so is a row without a command."""
import functools
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import pytest
import test_client_examples
import test_getting_started
import yaml
from kit.auth_server import BASIC
from kit.bearerd import ROOT, run
from kit.documents import START, blocks, commands, of_comments, of_man_page, of_markdown, pages
from kit.process import wait_until
from kit.shell import Shell
from test_thingspace import ENV as THINGSPACE
from test_upstream_settings import pin_of

COMMANDS = list(commands())
E2E = ROOT / "tests/e2e"


def typed(text):
    """The commands of a block."""
    return {command for _, command, _ in of_markdown(f"```sh\n{text}```")}


# Run by files of their own.
ELSEWHERE = {
    "docs/getting-started.md": {c for language, text in test_getting_started.blocks() if language == "sh" for c in typed(text)},
    "docs/clients.md": {c for _, language, text in test_client_examples.EXAMPLES if language == "sh" for c in typed(text)},
}


# -- what is run here ------------------------------------------------------------------------------


def upgraded(shell, said):
    """Another process has taken over, and the one before has gone."""
    shell.server.wait_line("event=upgraded", 20)
    wait_until(lambda: not shell.server.is_running(), 20, "the end of the process before")
    assert int((shell.folder / "bearerd.pid").read_text()) != shell.server.pid


def told(level):
    def look(shell, said):
        status = shell.type("curl -s --unix-socket /run/bearerd/admin.sock http://localhost/status.json")[1]
        assert json.loads(status)["process"]["log_level"] == level

    return look


def closed_file(name):
    def look(shell, said):
        assert (shell.folder / name).stat().st_mode & 0o777 == 0o600 and (shell.folder / name).stat().st_size > 50

    return look


def handed_over(shell, said):
    """What was done is done where the unit looks: under the name by which systemd hands it over, it is what gets a token."""
    assert said == "systemctl restart bearerd\n"
    (row,) = re.findall(r"^LoadCredential=(\w+):(\S+)", (ROOT / "conf/bearerd.service").read_text(), re.M)
    credstore = shell.folder / "credstore"
    assert credstore.stat().st_mode & 0o777 == 0o700 and (credstore / row[1]).stat().st_mode & 0o777 == 0o600
    (credstore / row[1]).rename(credstore / row[0])
    shell.env |= {"CREDENTIALS_DIRECTORY": str(credstore), "CLIENT_SECRET": ""}
    status, said = shell.type("bearerd check --live -c /etc/bearerd/bearerd.ini")
    assert status == 0 and len(re.findall(r"^main .* ok ", said, re.M)) == 2, said


ALL_TOKENS = r"^main +api:read +ok [^\0]*^main +api:read +ok|^main +api:read +ok [^\0]*^main +api:read api:write +ok"
STATUS = r"^bearerd \S+  ready [^\0]*^TOKENS\n[^\0]*^ROUTES\n[^\0]*^UPSTREAMS\n[^\0]*^LATEST FAILURES"
ECHOED = r"^GET /items HTTP/1.1\r?$[^\0]*^Authorization: Bearer ey"
NOTHING = r"\A\Z"

# Page: command: what it says, as a pattern or a function of (shell, what it said). Each must end with 0.
RUN = {
    "README.md": {
        "export CLIENT_SECRET=...": NOTHING,
        "bearerd init --token-url URL --client-id ID --upstream URL": "^bearerd.ini is written",
        "bearerd check -c bearerd.ini": "^bearerd.ini: ok, 1 credential, 1 upstream, 2 routes",
        "bearerd check --live -c bearerd.ini": ALL_TOKENS,
        "bearerd explain -c bearerd.ini DELETE /items/7": r"route +write\b",
        "bearerd token -c bearerd.ini --route read": r"\Aey[\w-]+\.ey[\w-]+\.[\w-]+\n\Z",
        "bearerd serve -c bearerd.ini": "event=ready",
        "bearerd status -c bearerd.ini --watch": STATUS,
        "http_proxy=http://127.0.0.1:8080 curl http://api.example.com/items": ECHOED,
    },
    "docs/admin.md": {
        "bearerd status": STATUS,
        "curl -s --unix-socket /run/bearerd/admin.sock http://localhost/": "/readyz",
    },
    "docs/config.md": {
        "bearerd check -c FILE": "^bearerd.ini: ok",
        "bearerd explain -c FILE GET URL": r"route +read\b[^\0]*bearerd.ini:\d+",
        "bearerd help KEY": r"\[credential NAME\] token_url[^\0]*Example:",
    },
    "docs/getting-started.md": {
        "sudo cp my.ini /etc/bearerd/bearerd.ini": NOTHING,
        "sudo install -m 700 -d /etc/credstore": NOTHING,
        "sudo install -m 600 /dev/null /etc/credstore/bearerd.client_secret": NOTHING,
        'printf %s "$CLIENT_SECRET" | sudo tee /etc/credstore/bearerd.client_secret >/dev/null': NOTHING,
        "sudo systemctl restart bearerd": handed_over,
    },
    "docs/operations.md": {
        "bearerd status": STATUS,
        "bearerd check --live -c /etc/bearerd/bearerd.ini": ALL_TOKENS,
        "bearerd explain -c /etc/bearerd/bearerd.ini GET /items/7": r"route +read\b",
        "curl -X POST --unix-socket /run/bearerd/admin.sock 'http://localhost/log-level?level=debug'": told("debug"),
    },
    "docs/running.md": {
        "bearerd wait -c bearerd.ini --timeout 2m && exec legacy-client": ECHOED,
        'kill -USR2 "$(cat /run/bearerd/bearerd.pid)"': upgraded,
    },
    "docs/security.md": {
        "openssl x509 -in server.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64": (
            lambda shell, said: pin_of(shell.folder / "server.pem") == said.strip() or pytest.fail(said)
        ),
    },
    "docs/man/bearerd.8": {
        "bearerd init --token-url https://idp.example.com/oauth2/token --client-id legacy-app "
        "--upstream https://api.example.com --scope items:read": "^bearerd.ini is written",
        "export CLIENT_SECRET=...": NOTHING,
        "bearerd check --live -c bearerd.ini": ALL_TOKENS,
        "bearerd explain -c bearerd.ini GET http://api.example.com/items": r"route +read\b",
        "bearerd serve -c bearerd.ini": "event=ready",
        "curl http://127.0.0.1:8080/items": ECHOED,
        "http_proxy=http://127.0.0.1:8080 curl http://api.example.com/items": ECHOED,
        "bearerd wait -c bearerd.ini --timeout 30s && exec legacy-client": ECHOED,
        "bearerd token -c bearerd.ini --route read --header | curl -H @- https://api.example.com/items": ECHOED,
    },
    "conf/examples/dpop.ini": {
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out dpop.pem && chmod 600 dpop.pem": closed_file("dpop.pem"),
    },
    "conf/examples/private-key-jwt.ini": {
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out signing.pem": "",
        "openssl rand -hex 32 > store_key && chmod 600 signing.pem store_key": closed_file("signing.pem"),
    },
    "conf/examples/prometheus-alerts.yml": {"promtool check rules prometheus-alerts.yml": "SUCCESS"},
    "conf/examples/thingspace.ini": {"bearerd check -c thingspace.ini": "^thingspace.ini: ok, 2 credentials"},
}
SERVED = {"docs/admin.md", "docs/operations.md", "docs/running.md"}  # a bearerd runs already


@pytest.fixture
def shell_for(auth, upstream, certs):
    """shell_for(page): a shell in whose folder there is what the page speaks of."""
    made = []

    def make(page):
        made.append(Shell(auth, upstream))
        shell = made[-1]
        shutil.copy(certs.server, shell.folder / "server.pem")
        if page.startswith("conf/examples/"):
            shutil.copy(ROOT / page, shell.folder)
            shell.env |= THINGSPACE
        if "export CLIENT_SECRET=..." not in RUN[page]:
            shell.env["CLIENT_SECRET"] = BASIC["client_secret"]
        return shell

    yield make
    for shell in made:
        shell.clean()


def configuration(page, ca_file):
    """The fifteen lines of README, and an admin listener: the page's own, if it has one."""
    (own,) = blocks("README.md", "ini")
    own = own.replace("[credential main]", f"[credential main]\nca_file = {ca_file}")
    own = own.replace("[upstream api]", "[upstream api]\nhosts = api.example.com")
    admin = [text for text in blocks(page, "ini") if text.startswith("[admin]")] if page.endswith(".md") else []
    admin = admin or ["[admin]\nlisten = unix:/run/bearerd/admin.sock\n"]
    return f"[proxy]\nlisten = 127.0.0.1:8080\npid_file = /run/bearerd/bearerd.pid\n\n{admin[0]}\n{own}"


@pytest.mark.parametrize("page", RUN)
def test_commands_do_what_the_page_says(page, shell_for, auth):
    shell = shell_for(page)
    text = shell.in_place(configuration(page, auth.ca_file))
    config = shell.folder / "bearerd.ini"
    config.write_text(text)
    (shell.folder / "my.ini").write_text(text.replace("env:CLIENT_SECRET", "credential:client_secret"))
    if page in SERVED:
        shell.type("bearerd serve -c bearerd.ini")
    for command in COMMANDS:
        look = RUN[page].get(command.text)
        if command.page != page or command.kind != "block" or look is None:
            continue
        if " init " in command.text:
            config.unlink()
        status, said = shell.type(command.text)
        where = f"{page}:{command.line}: `{command.text}`"
        assert status == 0, f"{where} ended with {status}:\n{said}"
        if callable(look):
            look(shell, said)
        else:
            assert re.search(look, said, re.M), f"{where} said:\n{said}"
        if " init " in command.text:
            config.write_text(text)
    if shell.server:
        shell.stop()


# -- what cannot run in a test -----------------------------------------------------------------------


def shown_by(*names):
    """Those of tests/ that run it, or what it leads to."""

    def look(text):
        for name in names:
            file, test = name.split("::")
            assert re.search(rf"\b{test}\(", (ROOT / "tests" / file).read_text()), f"there is no {name}"

    return look


def script(text):
    """It is a script of ours; it takes these variables and arguments."""
    words = shlex.split(text)
    place = next(i for i, word in enumerate(words) if (ROOT / word).is_file())
    name, arguments = words[place], words[place + 1 :]
    source = (ROOT / name).read_text()
    for variable in (word.split("=")[0] for word in words[:place] if "=" in word):
        assert f"${{{variable}:-" in source, f"{name} does not look at {variable}"
    # The words of its `case`; or the options of the program that gets its arguments.
    taken = set(re.findall(r"[\w-]+", " ".join(re.findall(r"(?:^| in) +([\w |-]+)\)", source, re.M))))
    program = re.search(r"bench/\w+\.py", f"{name}\n{source}")
    if program:
        done = subprocess.run([sys.executable, ROOT / program[0], "--help"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        taken = set(re.findall(r"--\w+", done.stdout))
    assert set(arguments) <= taken, f"{name} does not take {set(arguments) - taken}"


def collected(text):
    """pytest finds what its arguments name."""
    arguments = shlex.split(re.split(r"\b(?:e2e|pytest) ", text)[1])
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-n0", *arguments]
    done = subprocess.run(command, cwd=E2E, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    for variable in re.findall(r"(\w+)=", text):
        assert f'"{variable}"' in (E2E / arguments[0]).read_text()


def preset(text):
    for kind in ("", "--build"):
        listed = subprocess.run(["cmake", *kind.split(), "--list-presets"], cwd=ROOT, capture_output=True, text=True, timeout=30).stdout
        for name in re.findall(r"--preset (\w+)", text):
            assert f'"{name}"' in listed


def built(text):
    """Where the preset builds it, and what is named beside it."""
    build = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    assert build[0]["binaryDir"] == "${sourceDir}/build/${presetName}"
    assert re.search(r"build/(\w+)", text)[1] in {row["name"] for row in build}
    for name in re.findall(r"(?<!fuzz/)tests/[\w./]+", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"tests/(fuzz_\w+)", text):
        assert (ROOT / f"tests/fuzz/{name}.c").exists(), name


def enabled(text):
    """As for a machine that is not running; --now is the rest."""
    unit = shlex.split(text)[-1]
    with tempfile.TemporaryDirectory() as tree:
        units = pathlib.Path(tree) / "etc/systemd/system"
        units.mkdir(parents=True)
        for path in ROOT.glob("conf/bearerd.s*"):
            shutil.copy(path, units)
        subprocess.run(["systemctl", f"--root={tree}", "enable", unit], check=True, capture_output=True, timeout=30)
        linked = {path.name for path in units.glob("*.wants/*")}
    assert linked == {unit if "." in unit else f"{unit}.service"}


def image(text):
    """The image runs bearerd, and with these arguments that does what it should."""
    assert 'ENTRYPOINT ["/usr/sbin/bearerd"]' in (ROOT / "docker/Dockerfile").read_text()
    done = run(*shlex.split(text.split(" bearerd ")[1]))
    assert done.returncode == 0 and "from cache" in done.stdout


def composed(text):
    """What .env is to say is what the services ask for."""
    source = (ROOT / "docker/compose.yaml").read_text()
    given = re.findall(r"^#   (\w+)=", source, re.M)
    asked = re.findall(r"\$\{(\w+)(?!\w|:-)", re.sub(r"^#.*\n", "", source, flags=re.M))
    assert given and set(asked) <= set(given) and set(given) <= set(re.findall(r"\w+", source.split("services:")[1]))


def unit_says(line):
    return lambda text: line in (ROOT / "conf/bearerd.service").read_text() or pytest.fail(f"the unit has no {line}")


ROOTS = "changes the machine"
LONG = "installs, builds or takes long"
NO_MANAGER = "no service manager runs here"
PACKAGED = shown_by("e2e/test_package.py::test_it_passes_lintian", "e2e/test_package.py::test_its_scripts_do_without_a_running_systemd")
RESTARTED = shown_by("e2e/test_binary_upgrade.py::test_not_one_client_is_refused_over_restarts_with_a_managers_sockets")
MANIFEST = shown_by("e2e/test_manifests.py::test_what_is_mounted_is_there_and_what_is_named_is_mounted")
PROGRAMS = shown_by("e2e/test_client_examples.py::test_the_page_has_what_it_promises")

# Command, whatever page it is on: why it is not run, what is looked at instead.
INSTEAD = {
    "scripts/demo": (LONG, script),
    "scripts/test": (LONG, script),
    "scripts/test lint": (LONG, script),
    "BEARERD=build/release/bearerd scripts/test e2e": (LONG, script),
    "PICTURES=$PWD/docs PICTURES_SECONDS=300 scripts/test e2e test_status_page.py -k everybody": (LONG, collected),
    "pytest -rP test_slow_clients.py": (LONG, collected),
    "scripts/deps --build": (LONG, script),
    "scripts/image": (LONG, script),
    "scripts/bench": (LONG, script),
    "scripts/bench --quick": (LONG, script),
    "scripts/bench --help": (LONG, lambda text: script("scripts/bench")),
    "BEARERD=path scripts/bench": (LONG, script),
    "python3 bench/tokens.py": (LONG, script),
    "python3 bench/tokens.py --help": (LONG, script),
    "cmake --preset release && cmake --build --preset release": (LONG, preset),
    "cmake --preset fuzz && cmake --build --preset fuzz": (LONG, preset),
    'export PATH="$PWD/build/release:$PATH"': ("the build is another", built),
    "mkdir -p found && build/fuzz/tests/fuzz_server -dict=tests/fuzz/http.dict -max_total_time=600 found tests/fuzz/corpus/server": (LONG, built),
    "scripts/package": (LONG, PACKAGED),
    "scripts/package && sudo apt install ./build/package/bearerd_*.deb": (ROOTS, PACKAGED),
    "sudo apt install ./build/package/bearerd_*.deb": (ROOTS, PACKAGED),
    "sudo cmake --install build/release --prefix /usr": (ROOTS, shown_by("e2e/test_command_line.py::test_completions_and_man_pages_are_installed")),
    "docker run --rm --read-only bearerd demo --once": (LONG, image),
    "scripts/image && docker run --rm --read-only bearerd demo --once": (LONG, image),
    "cd docker": (LONG, composed),
    "cat >.env <<END": (LONG, composed),
    "docker compose up": (LONG, composed),
    "kubectl create secret generic bearerd --from-file=client_secret=./client_secret": ("there is no cluster", MANIFEST),
    "kubectl apply -f kubernetes.yaml": ("there is no cluster", MANIFEST),
    "sudo systemctl enable --now bearerd": (NO_MANAGER, enabled),
    "sudo systemctl enable --now bearerd.socket": (NO_MANAGER, enabled),
    "systemctl enable --now bearerd.socket": (NO_MANAGER, enabled),
    "sudo systemctl restart bearerd": (NO_MANAGER, RESTARTED),
    "systemctl restart bearerd": (NO_MANAGER, RESTARTED),
    "systemctl reload bearerd": (NO_MANAGER, unit_says("ExecReload=/usr/sbin/bearerd reload -c /etc/bearerd/bearerd.ini --pid $MAINPID")),
    "systemctl edit bearerd": (NO_MANAGER, unit_says("LoadCredential=client_secret:bearerd.client_secret")),
    "systemctl status": (NO_MANAGER, shown_by("e2e/test_service.py::test_ready_reloading_stopping")),
    "systemctl status bearerd": (NO_MANAGER, shown_by("e2e/test_service.py::test_ready_reloading_stopping")),
    "journalctl -u bearerd -p warning": (NO_MANAGER, shown_by("e2e/test_logs.py::test_priorities_for_the_journal")),
    "systemd-analyze security": ("it has a test", shown_by("e2e/test_unit_file.py::test_T20_exposure")),
    "kill -HUP": ("nobody is named", shown_by("e2e/test_reload.py::test_signals_in_a_row")),
    "chmod o=": ("no file is named", shown_by("unit/test_secret.c::test_modes")),
    "ssh -L 9464:/run/bearerd/admin.sock proxy.example.com": (
        "there is no other machine",
        shown_by("e2e/test_status_page.py::test_through_a_tunnel_to_the_socket"),
    ),
    "java -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=8080 -jar service.jar": ("the page does not say that it is run", PROGRAMS),
    "Invoke-RestMethod -Uri http://api.example.com/items -Proxy http://127.0.0.1:8080": ("the page does not say that it is run", PROGRAMS),
}


@pytest.mark.parametrize("text", INSTEAD)
def test_what_stands_for_a_command(text):
    why, look = INSTEAD[text]
    assert why
    look(text)


# -- all of them -------------------------------------------------------------------------------------


def words_of(command):
    """Of a call of bearerd, up to where the shell takes over; else none."""
    called = re.match(r"(?:sudo )?bearerd (.*)", command.text)
    return shlex.split(re.split(r" (?:\||&&|&|>)(?: |$)", called[1])[0]) if called else []


def is_run(command):
    page = command.page
    if command.kind == "mention" and words_of(command):
        return True  # test_calls_name_what_there_is
    return command.text in RUN.get(page, {}) or command.text in INSTEAD or command.text in ELSEWHERE.get(page, ())


@pytest.mark.parametrize(
    "read, text, found",
    [
        (of_markdown, "```sh\nls | wc\nbearerd a \\\n  b\n```", [(2, "ls | wc", "block"), (3, "bearerd a b", "block")]),
        (of_markdown, "```\ncurl x\nHTTP/1.1 200 OK\nbearerd 0.1.0  ready\n```", [(2, "curl x", "block")]),
        (of_markdown, "- a\n\n    curl x\n    [route a]\n    unknown x\n", [(3, "curl x", "block"), (5, "unknown x", "block")]),
        (of_markdown, "`curl` is `X=1 curl x`, `sudo kill -9`", [(1, "X=1 curl x", "mention"), (1, "sudo kill -9", "mention")]),
        (of_markdown, "run `scripts/test` | `scripts/x`", [(1, "scripts/test", "mention"), (1, "scripts/x", "mention")]),
        (of_man_page, ".Bd -literal\ncurl x |\n  cat\n.Ed\ncurl x", [(2, "curl x | cat", "block")]),
        (of_man_page, ".Dq bearerd help Ar KEY", [(1, "bearerd help KEY", "mention")]),
        (of_comments, 'curl x\n# curl y\n;   curl z\n# Do "kill -9 x".', [(3, "curl z", "block"), (4, "kill -9 x", "mention")]),
    ],
)
def test_what_is_found(read, text, found):
    assert list(read(text)) == found


def test_every_command_is_run():
    faults = []
    for command in COMMANDS:
        where = f"{command.page}:{command.line}: `{command.text}`"
        if not START.match(command.text):
            faults.append(f"{where} begins with no program of PROGRAMS in tests/e2e/kit/documents.py: add it there")
        elif not is_run(command):
            faults.append(
                f"{where} is run by no test: in tests/e2e/test_documents.py, add it to RUN[{command.page!r}] with what it must say; if it cannot "
                "be run, to INSTEAD with what is looked at in its place"
            )
    assert not faults, "\n".join(faults)


def test_every_row_is_a_command():
    shown = {(command.page, command.text) for command in COMMANDS}
    gone = [f"RUN[{page!r}]: no `{text}` is there" for page, rows in RUN.items() for text in rows if (page, text) not in shown]
    gone += [f"INSTEAD: no page has `{text}`" for text in INSTEAD if text not in {text for _, text in shown}]
    assert not gone, "\n".join(gone)


@functools.cache
def options_of(subcommand):
    """{option: whether it takes a value}, or None if there is no such subcommand."""
    done = run(subcommand, "--help")
    if done.returncode != 0 or not done.stdout.startswith(f"usage: bearerd {subcommand}"):
        return None
    return {name: bool(value) for name, value in re.findall(r"^  (--?[\w-]+)( ['A-Z])?", done.stdout, re.M)} | {"--help": False}


def faults_of(command):
    subcommand, *rest = words_of(command)
    options = options_of(subcommand)
    if options is None:
        return [f"there is no `bearerd {subcommand}`"]
    faults = [f"`bearerd {subcommand}` has no {name}" for name in re.findall(r"(?<!\S)--[\w-]+", command.note) if name not in options]
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if subcommand not in ("explain", "help"):
                faults.append(f"`bearerd {subcommand}` takes no {word}")
        elif word not in options:
            faults.append(f"`bearerd {subcommand}` has no {word}")
        elif options[word]:
            rest = rest[1:] if rest else faults.append(f"{word} wants a value")
    return faults


def test_calls_name_what_there_is():
    """Subcommands and options, also those in the midst of a text and in what is said beside a command."""
    calls = [command for command in COMMANDS if words_of(command)]
    faults = [f"{command.page}:{command.line}: {fault}" for command in calls for fault in faults_of(command)]
    assert len(calls) > 50 and not faults, "\n".join(faults)


# -- what is no command ------------------------------------------------------------------------------


def test_blocks_can_be_read():
    for page in (name for name in pages() if name.endswith(".md")):
        for text in blocks(page, "json"):
            json.loads(text)
        for text in blocks(page, "yaml"):
            yaml.safe_load(text)


def test_probes_ask_for_pages_that_there_are():
    (text,) = [text for text in blocks("docs/admin.md", "yaml") if "Probe" in text]
    for probe in yaml.safe_load(text).values():
        assert f"| `GET {probe['httpGet']['path']}` |" in (ROOT / "docs/admin.md").read_text()


def test_prometheus_takes_the_way_to_collect(tmp_path):
    (tmp_path / "key").touch()
    shown = [text for text in blocks("docs/admin.md", "yaml") if text.startswith("scrape_configs")]
    comment = re.findall(r"^# (.*)\n", (ROOT / "conf/examples/prometheus-alerts.yml").read_text(), re.M)
    shown.append("\n".join(comment[comment.index("scrape_configs:") :]))
    for text in shown:
        (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/bearerd.key", str(tmp_path / "key")))
        done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_smallest_configuration_is_the_same_everywhere():
    def bare(text):
        return [line for row in text.splitlines() if (line := re.sub(r"(^| )[;#].*", "", row).strip())]

    (readme,) = blocks("README.md", "ini")
    manual = (ROOT / "docs/man/bearerd.conf.5").read_text().split(".Sh EXAMPLES")[1]
    assert bare(readme) == bare((ROOT / "conf/bearerd.ini").read_text())
    assert bare(readme) == bare(re.search(r"^\.Bd [^\n]*\n(.*?)^\.Ed", manual, re.M | re.S)[1])
