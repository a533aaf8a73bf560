# SPDX-License-Identifier: MIT
"""The real authorization server (see authorization-server.mjs), and what it saw."""
import json
import os
import pathlib
import ssl
import urllib.request

from kit.keys import private_key, public_key, self_signed
from kit.process import Process, free_port

HERE = pathlib.Path(__file__).resolve().parents[1]

# Reserved characters in both, so that encoding faults cannot hide (RFC 6749 2.3.1).
BASIC = {"client_id": "basic:id/1", "client_secret": "p@ss word+%:x", "method": "client_secret_basic"}
POST = {"client_id": "post", "client_secret": "s3cret&=x", "method": "client_secret_post"}
OTHER = {"client_id": "other", "client_secret": "other-secret", "method": "client_secret_basic"}

HMAC_ALGS = ["HS256", "HS384", "HS512"]
KEY_ALGS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ASSERTED = {"client_id": "asserted", "client_secret": "a secret of no less than sixty-four bytes, as HS512 wants it to be: good"}
DPOP = {"client_id": "dpop", "client_secret": "dpop-secret", "method": "client_secret_basic"}


def other_clients(certs):
    """Those that show who they are by something else than a secret, or must show more."""
    by_key = [
        {
            "client_id": f"key-{alg}",
            "method": "private_key_jwt",
            "public_key": str(public_key(private_key(certs.folder, alg))),
            "metadata": {"token_endpoint_auth_signing_alg": alg},
        }
        for alg in KEY_ALGS
    ]
    by_tls = {"client_id": "tls", "method": "tls_client_auth"}
    by_tls["metadata"] = {
        "tls_client_auth_subject_dn": "CN=bearerd-client",
        "tls_client_certificate_bound_access_tokens": True,
    }
    itself = {"client_id": "self-signed", "method": "self_signed_tls_client_auth"}
    itself["certificate"] = str(self_signed(certs.folder)[0])
    return [
        *by_key,
        by_tls,
        itself,
        {**ASSERTED, "method": "client_secret_jwt"},
        {**DPOP, "metadata": {"dpop_bound_access_tokens": True}},
        {"client_id": "public", "method": "none"},
    ]


class AuthServer:
    def __init__(self, certs, port=None):
        self.port = port or free_port()
        self.url = f"https://localhost:{self.port}"
        self.token_url = f"{self.url}/token"
        self.ca_file = certs.ca
        self._trust = ssl.create_default_context(cafile=certs.ca)
        self._marks = 0
        self.start = 0  # where the record of the running test begins
        env = dict(
            PATH=os.environ["PATH"],
            PORT=str(self.port),
            CERT=str(certs.server),
            KEY=str(certs.key_of(certs.server)),
            CA=str(certs.ca),
            CLIENTS=json.dumps([BASIC, POST, OTHER, *other_clients(certs)]),
        )
        self.process = Process(["node", "authorization-server.mjs"], env=env, cwd=HERE, name="authorization server")
        self.process.wait_line("^listening$", timeout=30)

    def mark(self):
        """Where its record stands now, everything up to this moment included."""
        self._marks += 1
        url = f"{self.url}/mark/{self._marks}"
        urllib.request.urlopen(url, context=self._trust, timeout=10).close()
        self.process.wait_line(f"^mark {self._marks}$")
        return self.process.mark()

    def requests(self):
        """Token requests of the running test, in order."""
        self.mark()
        return [json.loads(line) for line in self.process.lines_since(self.start) if line.startswith("{")]

    def credential(self, name="main", client=BASIC, **settings):
        """The lines of a [credential] section for this server; a setting that is None is left out."""
        rows = {
            "token_url": self.token_url,
            "client_id": client["client_id"],
            "client_secret": client.get("client_secret"),
            "auth_method": client.get("method"),
            "ca_file": self.ca_file,
            **settings,
        }
        lines = (f"{key} = {value}\n" for key, value in rows.items() if value is not None)
        return f"[credential {name}]\n" + "".join(lines)

    def stop(self):
        self.process.kill()
