# SPDX-License-Identifier: MIT
"""Keys and JSON Web Tokens, by the openssl program alone: made, read and verified by code that has nothing in common
with bearerd's. Only ES256 is signed and verified here; other algorithms are the real authorization server's to judge."""
import base64
import hashlib
import json
import subprocess
import time
import uuid

KINDS = {
    "RS": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ES384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ES512": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "EdDSA": ["-algorithm", "ED25519"],
}
SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


def openssl(*args, data=None):
    return subprocess.run(["openssl", *map(str, args)], input=data, check=True, capture_output=True).stdout


def private_key(folder, kind):
    """The path of a PEM file, the same for each call; kind: an algorithm of RFC 7518, or RS for all of RSA's."""
    kind = "RS" if kind[:2] in ("RS", "PS") else kind
    path = folder / f"private-{kind}.pem"
    if not path.exists():
        pem = openssl("genpkey", *KINDS[kind])
        path.touch(0o600)
        path.write_bytes(pem)
    return path


def public_key(path):
    public = path.with_suffix(".pub")
    if not public.exists():
        public.write_bytes(openssl("pkey", "-in", path, "-pubout"))
    return public


def self_signed(folder, name="self-signed"):
    """(certificate, key), of a client that no authority knows."""
    crt, key = folder / f"{name}.crt", folder / f"{name}.key"
    if not crt.exists():
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *new, "-days", 2, "-subj", f"/CN={name}", "-keyout", key, "-out", crt)
    return crt, key


def certificate_thumbprint(path):
    """x5t#S256."""
    return encode(hashlib.sha256(openssl("x509", "-in", path, "-outform", "DER")).digest())


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_jwt(text):
    """(head, claims); the signature is not looked at."""
    head, claims, _ = text.split(".")
    return json.loads(decode(head)), json.loads(decode(claims))


def thumbprint(jwk):
    """Of an EC key (RFC 7638)."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return encode(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def sign_jwt(key, claims, **head):
    said = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "ES256", **head}, claims))
    der = openssl("dgst", "-sha256", "-sign", key, data=said.encode())
    parts, at = [], 2
    for _ in range(2):  # SEQUENCE { INTEGER r, INTEGER s }
        length = der[at + 1]
        parts.append(der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        at += 2 + length
    return f"{said}.{encode(b''.join(parts))}"


def assertion(key, client_id, audience, lifetime=300):
    """What another party would put into an assertion_file."""
    now = int(time.time())
    who = {"iss": client_id, "sub": client_id, "aud": audience, "jti": uuid.uuid4().hex}
    return sign_jwt(key, {**who, "iat": now, "exp": now + lifetime})


def _integer(raw):
    raw = raw.lstrip(b"\0") or b"\0"
    raw = b"\0" + raw if raw[0] & 0x80 else raw
    return bytes([2, len(raw)]) + raw


def verify_es256(text, jwk, folder):
    """Fails unless the token is signed with that key."""
    said, _, signature = text.rpartition(".")
    raw = decode(signature)
    assert len(raw) == 64, "the signature is not R || S"
    der = _integer(raw[:32]) + _integer(raw[32:])
    name = uuid.uuid4().hex
    public, signed = folder / f"{name}.der", folder / f"{name}.sig"
    public.write_bytes(SPKI_P256 + b"\4" + decode(jwk["x"]) + decode(jwk["y"]))
    signed.write_bytes(bytes([0x30, len(der)]) + der)
    openssl("dgst", "-sha256", "-verify", public, "-keyform", "DER", "-signature", signed, data=said.encode())
