# SPDX-License-Identifier: MIT
"""Secrets must not be seen: what a configuration holds of them, the forms they may take, and a look for them in
everything that bearerd shows of itself. Every bearerd that the tests start is looked at so when it ends."""
import base64
import pathlib
import re
import urllib.parse

SETTINGS = (
    "client_secret|client_secret_next|signing_key|dpop_key|token|client_key|key|key_previous|assertion_file|key_file|login_body"
)
LINE = re.compile(rf"^\s*({SETTINGS})\s*=\s*(.*?)\s*$", re.M)
IN_TEMPLATE = re.compile(r"%\{((?:env|file):[^}]*)\}")
IN_URL = re.compile(r"^\s*(?:proxy|url)\s*=\s*\w[\w+]*://[^/@\s]*:([^/@\s]+)@", re.M)
SHORTEST = 8  # shorter words turn up anywhere


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def value_of(reference, folder, env):
    """What `env:NAME`, `file:PATH`, `exec:…` or the text itself stands for, as far as the tests can tell."""
    kind, _, rest = reference.partition(":")
    if kind == "env":
        return env.get(rest, "")
    if kind in ("file", "credential"):
        return read(folder / rest)
    return reference.strip('"')


def pieces(text):
    """Of a PEM file the lines of its body; else the text."""
    if "-----BEGIN" in text:
        return [line for line in text.splitlines() if line and "-----" not in line] if "PRIVATE KEY" in text else []
    return [text.rstrip("\n")]


def secrets_of(config, env):
    """The secrets a configuration file names, with what they are called."""
    config, found = pathlib.Path(config), {}
    text = read(config)
    for name, value in LINE.findall(text):
        value = re.sub(r"\s+[;#].*$", "", value)
        if name in ("assertion_file", "key_file"):
            value = f"file:{value}"
        references = IN_TEMPLATE.findall(value) if name == "login_body" else [value]
        for reference in references:
            for piece in pieces(value_of(reference, config.parent, env)):
                found[piece] = name
    found.update((secret, "a password in a URL") for secret in IN_URL.findall(text))
    return {secret: name for secret, name in found.items() if len(secret) >= SHORTEST and not secret.startswith("${")}


def forms(secret):
    """As it is, as a form or a URL writes it, and in base64, wherever in the coded text it may begin."""
    raw = secret.encode()
    yield secret
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield raw.hex()
    for shift in range(3):  # what three bytes before it would make of it, less what they share in
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        inner = coded[-(-shift * 8 // 6) : len(coded) - 1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def find(secrets, shown):
    """secrets: {secret: name}; shown: {where: text}. Returns (where, name) for each that is seen."""
    return [
        (where, name)
        for secret, name in secrets.items()
        for form in set(forms(secret))
        if len(form) >= SHORTEST
        for where, text in shown.items()
        if form in text
    ]


PAGES = ("/", "/livez", "/readyz", "/startupz", "/metrics", "/status.json", "/status")


def shown_by(process, admin):
    """What a running bearerd shows: its pages, its command line. Its environment may hold what was given to it there."""
    shown = {f"/proc/{process.pid}/cmdline": read(pathlib.Path(f"/proc/{process.pid}/cmdline"))}
    for page in PAGES if admin else ():
        shown[page] = admin.get(page).text
    return shown
