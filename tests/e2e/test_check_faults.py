# SPDX-License-Identifier: MIT
"""`bearerd check` on broken files: one good file, one fault put in. Each message names file and line, section and setting,
what is wrong and what would be right. They are written out here as a user reads them; FILE is the file's name."""
import pytest
from kit.bearerd import run

GOOD = """[credential main]
token_url = https://idp.example.com/oauth2/token
client_id = legacy-app
client_secret = s3cret

[upstream api]
url = https://api.example.com

[route read]
match = GET HEAD /**
scopes = items:read
"""


def sub(old, new):
    assert GOOD.count(old) >= 1
    return GOOD.replace(old, new, 1)


FAULTS = [
    ("misspelt key", sub("client_id", "client_idd"), 'FILE:3: [credential main] client_idd: unknown key; did you mean "client_id"?'),
    ("misspelt section", sub("[upstream api]", "[upstrem api]"), "FILE:6: unknown section [upstrem api]; did you mean [upstream api]?"),
    ("key before any section", "listen = 127.0.0.1:1\n" + GOOD, "FILE:1: listen stands before the first section; start one with [proxy], [credential NAME], …"),
    ("line without =", sub("client_id = legacy-app", "client_id legacy-app"), 'FILE:3: this is no section, setting or comment: there is no "="'),
    ("colon for =", sub("client_id = legacy-app", "client_id: legacy-app"), 'FILE:3: write "client_id = …": settings are split at "=", not at ":"'),
    ("section not closed", sub("[upstream api]", "[upstream api"), "FILE:6: the ] of the section is missing"),
    ("section without name", sub("[upstream api]", "[upstream]"), "FILE:6: [upstream] needs a name, as in [upstream main]"),
    ("section with a name that takes none", "[proxy main]\n" + GOOD, "FILE:1: [proxy] takes no name"),
    ("section twice", GOOD + "\n[upstream api]\nmount = /x\n", "FILE:13: [upstream api] is there twice, first in FILE:6; put the settings together"),
    ("key twice", sub("client_id = legacy-app", "client_id = legacy-app\nclient_id = other"), "FILE:4: [credential main] client_id: is set twice, first in line 3"),
    ("empty value", sub("client_id = legacy-app", "client_id ="), "FILE:3: [credential main] client_id: the value is empty"),
    ("required missing", sub("token_url = https://idp.example.com/oauth2/token\n", ""), 'FILE:1: [credential main]: token_url is missing, as in "token_url = https://idp.example.com/oauth2/token"'),
    ("secret missing", sub("client_secret = s3cret\n", ""), 'FILE:1: [credential main]: client_secret is missing, as in "client_secret = env:CLIENT_SECRET"'),
    ("secret of unset variable", sub("s3cret", "env:NOT_SET_ANYWHERE"), "FILE:4: [credential main] client_secret: the environment variable NOT_SET_ANYWHERE is not set"),
    ("variable not set in value", sub("https://api.example.com", "https://${API_HOST_UNSET}"), "FILE:7: url: the environment variable API_HOST_UNSET is not set (${API_HOST_UNSET:-default} would give it a default)"),
    ("bad variable", sub("https://api.example.com", "https://${API HOST}"), "FILE:7: url: ${…} must hold a variable's name, or NAME:-default; write $$ for a $"),
    ("http token url", sub("https://idp", "http://idp"), "FILE:2: [credential main] token_url: http://idp.example.com/oauth2/token is not encrypted: what is sent can be read on the way; use https://, or add allow_plaintext = yes"),
    ("token url with fragment", sub("oauth2/token", "oauth2/token#x"), "FILE:2: [credential main] token_url: a fragment (#…) has no meaning here"),
    ("http upstream", sub("https://api", "http://api"), "FILE:7: [upstream api] url: http://api.example.com is not encrypted: what is sent can be read on the way; use https://, or add allow_plaintext = yes"),
    ("url without scheme", sub("https://api.example.com", "api.example.com"), "FILE:7: [upstream api] url: a URL starts with https:// or http://"),
    ("url with user", sub("https://api", "https://user:pw@api"), "FILE:7: [upstream api] url: a user name or password does not belong into a URL"),
    ("url bad port", sub("https://api.example.com", "https://api.example.com:99999"), "FILE:7: [upstream api] url: the port must be a number from 1 to 65535"),
    ("listen beyond loopback", "[proxy]\nlisten = 0.0.0.0:8080\n" + GOOD, "FILE:2: [proxy] listen: 0.0.0.0:8080 can be reached from other machines, and whoever reaches bearerd acts with its tokens; if that is meant, add expose = yes"),
    ("listen without port", "[proxy]\nlisten = 127.0.0.1\n" + GOOD, "FILE:2: [proxy] listen: the port is missing, as in 127.0.0.1:8080"),
    ("duration without unit", "[proxy]\ntoken_timeout = 10\n" + GOOD, 'FILE:2: [proxy] token_timeout: "10" has no unit; write 10s, or 10ms'),
    ("duration out of range", "[proxy]\ntoken_timeout = 1ms\n" + GOOD, 'FILE:2: [proxy] token_timeout: "1ms" is not a duration from 100ms to 10m'),
    ("size unit", "[proxy]\nheader_limit = 16kb\n" + GOOD, 'FILE:2: [proxy] header_limit: "16kb" is not a size from 4k to 64k'),
    ("size out of range", "[proxy]\nheader_limit = 1m\n" + GOOD, 'FILE:2: [proxy] header_limit: "1m" is not a size from 4k to 64k'),
    ("number", "[proxy]\nworkers = many\n" + GOOD, 'FILE:2: [proxy] workers: "many" is not a number from 1 to 64, or auto'),
    ("yes or no", "[proxy]\nexpose = maybe\n" + GOOD, 'FILE:2: [proxy] expose: "maybe" is neither yes nor no'),
    ("choice", GOOD + "client_authorization = remove\n", 'FILE:12: [route read] client_authorization: unknown value "remove"; it must be replace, keep or reject'),
    ("scope syntax", sub("items:read",'items:"read"'), 'FILE:11: [route read] scopes: a scope is made of printable ASCII without space, " and \\ (RFC 6749, 3.3)'),
    ("scope not in catalogue", GOOD + "\n[scopes main]\nRead = items:reed ; read\n", 'FILE:11: [route read] scopes: "items:read" is not in [scopes main]; did you mean "items:reed"?'),
    ("pattern without slash", sub("GET HEAD /**", "GET HEAD items"), 'FILE:10: [route read] match: the path pattern is missing behind the methods, as in "GET HEAD /items/**": it starts with "/"'),
    ("pattern ** in the middle", sub("/**", "/**/x"), "FILE:10: [route read] match: ** must be the last segment of the pattern"),
    ("method in lower case", sub("GET HEAD", "get"), 'FILE:10: [route read] match: methods are case-sensitive and in upper case, unlike "get"'),
    ("equal routes", GOOD + "\n[route again]\nmatch = GET /**\nscopes = items:read\n", "FILE:14: match `GET /**` takes the same requests as `GET HEAD /**` of [route read] (FILE:10)"),
    ("route to unknown upstream", GOOD + "upstream = apj\n", 'FILE:12: [route read] upstream: there is no [upstream apj]; did you mean "api"?'),
    ("route with unknown credential", GOOD + "credential = mein\n", 'FILE:12: [route read] credential: there is no [credential mein]; did you mean "main"?'),
    ("two upstreams, route names none", GOOD + "\n[upstream b]\nurl = https://b.example.com\n", "FILE:9: [route read]: there are several upstreams: say which is meant by upstream = one of api, b"),
    ("header with control", GOOD + "set_header = X-Tenant acme\n", 'FILE:12: [route read] set_header: there is no ":"; write it as Name: value'),
    ("hop-by-hop header set", GOOD + "set_header = Connection: close\n", "FILE:12: [route read] set_header: Connection is a field that bearerd itself sets or drops"),
    ("resource with fragment", GOOD + "resource = https://api.example.com/#x\n", "FILE:12: [route read] resource: a resource must not have a fragment (RFC 8707, 2)"),
    ("missing CA file", sub("url = https://api.example.com", "url = https://api.example.com\nca_file = /nonexistent/ca.pem"), "FILE:8: [upstream api] ca_file: cannot open /nonexistent/ca.pem: No such file or directory"),
    ("include of nothing", "include = nothing.ini\n" + GOOD, "FILE:1: include: cannot open DIR/nothing.ini: No such file or directory"),
    ("a line too long", sub("legacy-app", "x"*9000), "FILE:3: the line has 9012 bytes; 8192 is the most"),
    ("NUL in the file", sub("legacy-app", "lega\0cy"), "FILE:3: column 17 holds a NUL byte; is the file saved as UTF-16?"),
    ("not UTF-8/control", sub("legacy-app", "legacy\x01app"), "FILE:3: column 19 holds a control character"),
    ("issuer and token_url", sub("client_id", "issuer = https://idp.example.com\nclient_id"), "FILE:3: [credential main] issuer: token_url is there, too; one of them is enough"),
    ("jwt method without key", sub("client_secret = s3cret", "auth_method = private_key_jwt"), 'FILE:1: [credential main]: signing_key is missing, as in "signing_key = file:/etc/bearerd/signing.pem"'),
    ("store without key", GOOD + "\n[store]\nurl = sqlite:/tmp/x.db\n", 'FILE:13: [store]: key is missing, as in "key = file:/etc/bearerd/store_key"'),
]


def check(folder, text):
    path = folder / "bearerd.ini"
    path.write_text(text)
    path.chmod(0o600)
    done = run("check", "-c", path)
    return done.returncode, (done.stdout + done.stderr).replace(str(path), "FILE").replace(str(folder), "DIR").splitlines()


def test_without_a_fault_there_is_nothing_to_say(tmp_path):
    status, lines = check(tmp_path, GOOD)
    assert status == 0 and len(lines) == 1 and "ok" in lines[0], lines


@pytest.mark.parametrize("text, message", [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_told_with_its_place_and_its_remedy(tmp_path, text, message):
    status, lines = check(tmp_path, text)
    assert status == 1
    assert message in lines
