# SPDX-License-Identifier: MIT
"""What bearerd signs, verified by npm jose: assertions of every algorithm, proofs of possession, thumbprints of keys."""
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import urllib.parse

from conftest import one_route
from kit.auth_server import ASSERTED, HMAC_ALGS, KEY_ALGS
from kit.keys import certificate_thumbprint, encode, private_key, public_key
from kit.scripted import token_answer

HERE = pathlib.Path(__file__).resolve().parent
SECRET = ASSERTED["client_secret"]


def verify(items):
    """What jose says of each {token, alg, typ, key}."""
    done = subprocess.run(
        ["node", "jose-verify.mjs"],
        input=json.dumps(items), capture_output=True, text=True, cwd=HERE, timeout=60, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def spoilt(token):
    """Copies of it that must not pass: another byte in the claims, in the signature; none; a shorter one."""
    head, claims, signature = token.split(".")
    at = len(claims) // 2
    other = claims[:at] + ("A" if claims[at] != "A" else "B") + claims[at + 1 :]
    raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    raw[len(raw) // 2] ^= 1
    return [f"{head}.{other}.{signature}", f"{head}.{claims}.{encode(bytes(raw))}", f"{head}.{claims}.", token[:-8]]


def key_pair(certs, alg):
    """(private, public), of ES256 one that has a certificate."""
    if alg == "ES256":
        return certs.key_of(certs.client), certs.client
    private = private_key(certs.folder, alg)
    return private, public_key(private)


def assertions(start, server, upstream, certs):
    """algorithm -> the assertion that was sent."""
    text = f"[upstream api]\nurl = {upstream.url}\n"
    for alg in KEY_ALGS + HMAC_ALGS:
        if alg in HMAC_ALGS:
            text += server.credential(alg, auth_method="client_secret_jwt", client_secret=SECRET, signing_alg=alg)
        else:
            key, shown = key_pair(certs, alg)
            more = {"signing_certificate": shown} if alg == "ES256" else {}
            rows = server.credential(alg, auth_method="private_key_jwt", signing_key=f"file:{key}", signing_alg=alg, **more)
            text += rows.replace("client_secret = secret\n", "")
        text += f"[route {alg}]\nmatch = /{alg}\ncredential = {alg}\n"
    daemon, sent = start(text), {}
    daemon.secrets.append(SECRET)
    for alg in KEY_ALGS + HMAC_ALGS:
        assert daemon.ask(target=f"/{alg}").status == 200
        sent[alg] = dict(urllib.parse.parse_qsl(server.last.body.decode()))["client_assertion"]
    return sent


def test_JA5_JA6_assertions_of_every_algorithm(start, token_server, upstream, certs):
    server = token_server(*(token_answer(f"t{number}") for number in range(20)))
    sent = assertions(start, server, upstream, certs)
    items, bad = [], []
    for alg, token in sent.items():
        key = SECRET if alg in HMAC_ALGS else key_pair(certs, alg)[1].read_text()
        items.append({"token": token, "alg": alg, "typ": "JWT", "key": key})
        bad += [{**items[-1], "token": other} for other in spoilt(token)]
    said = verify(items + bad)
    for item, result in zip(items, said):
        assert "error" not in result, (item["alg"], result)
        claims, head = result["claims"], result["head"]
        assert claims["iss"] == claims["sub"] == "client" and claims["aud"] == server.token_url
        assert claims["iat"] < claims["exp"] and len(claims["jti"]) >= 22
        assert head.get("kid") == result["thumbprint"], item["alg"]
        expected = certificate_thumbprint(certs.client) if item["alg"] == "ES256" else None
        assert head.get("x5t#S256") == expected
    # The verifier does look: nothing that was altered passes.
    assert len(bad) == 4 * len(items)
    assert all("error" in result for result in said[len(items) :])
    assert len({result["claims"]["jti"] for result in said[: len(items)]}) == len(items)


def test_DP1_DP2_proofs_and_their_keys_thumbprint(start, token_server, upstream, certs):
    """One key made for the run, and one that was given: whose thumbprint is known."""
    given = private_key(certs.folder, "ES256")
    items = []
    for number, more in enumerate([{}, {"dpop_key": f"file:{given}"}]):
        server = token_server(("200 OK", '{"access_token": "bound", "token_type": "DPoP", "expires_in": 60}'))
        daemon = start(one_route(server.credential(dpop="yes", **more), upstream.url), name=f"{number}.ini")
        assert daemon.ask("DELETE", "/a/b?c=d").status == 200
        for request in (server.last, upstream.last):
            items.append({"token": request.get("DPoP"), "alg": "ES256", "typ": "dpop+jwt", "key": None})
    public = {"token": items[2]["token"], "alg": "ES256", "typ": "dpop+jwt", "key": public_key(given).read_text()}
    bad = [{**item, "token": other} for item in items for other in spoilt(item["token"])]
    said = verify([*items, public, *bad])
    asked = [result.get("claims") for result in said[:4]]
    assert all(asked), said[:4]
    assert [claims["htm"] for claims in asked] == ["POST", "DELETE"] * 2
    assert all(claims["htu"] == f"{upstream.url}/a/b" for claims in asked[1::2])
    assert all("ath" not in claims for claims in asked[::2])
    assert all(claims["ath"] == encode(hashlib.sha256(b"bound").digest()) for claims in asked[1::2])
    prints = [result["thumbprint"] for result in said[:5]]
    assert prints[0] == prints[1] != prints[2] == prints[3] == prints[4]
    assert all(set(result["head"]["jwk"]) == {"kty", "crv", "x", "y"} for result in said[:4])
    assert all("error" in result for result in said[5:])
