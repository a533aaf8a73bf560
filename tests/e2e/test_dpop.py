# SPDX-License-Identifier: MIT
"""Tokens bound to a key (DPoP, RFC 9449): the authorization server is a real one that wants nonces; the resource server
is scripted and verifies each proof with openssl."""
import hashlib
import re
import threading
import time

import pytest
from conftest import one_route
from kit.auth_server import DPOP
from kit.keys import encode, private_key, read_jwt, thumbprint, verify_es256
from kit.process import wait_until
from kit.scripted import token_answer

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
BOUND = ("200 OK", '{"access_token": "bound", "token_type": "DPoP", "expires_in": 60}')


class Resource:
    """A resource server's judgement; a proof that does not fit is a fault of the test."""

    def __init__(self, folder, nonce=None):
        self.folder, self.nonce = folder, nonce
        self.seen, self.proofs = set(), []
        self.lock = threading.Lock()
        self.scheme = "http"

    def __call__(self, exchange):
        request = exchange.request
        exchange.read_body()
        scheme, token = request.get("Authorization").split(" ")
        assert scheme == "DPoP"
        head, claims = self.verify(request.get("DPoP"))
        assert claims["htm"] == request.method
        assert claims["htu"] == f"{self.scheme}://{request.get('Host')}{request.target.partition('?')[0]}"
        assert claims["ath"] == encode(hashlib.sha256(token.encode()).digest())
        if token.count(".") == 2:
            assert read_jwt(token)[1]["cnf"]["jkt"] == thumbprint(head["jwk"])
        if self.nonce and claims.get("nonce") != self.nonce:
            challenge = 'DPoP error="use_dpop_nonce", error_description="a nonce is needed"'
            exchange.answer("401 Unauthorized", b"", [("WWW-Authenticate", challenge), ("DPoP-Nonce", self.nonce)])
        else:
            exchange.answer(body=request.body, fields=[("X-Proved", "yes")])

    def verify(self, proof):
        head, claims = read_jwt(proof)
        assert (head["typ"], head["alg"]) == ("dpop+jwt", "ES256")
        assert not PRIVATE & set(head["jwk"])
        verify_es256(proof, head["jwk"], self.folder)
        assert abs(claims["iat"] - time.time()) < 10 and len(claims["jti"]) >= 16
        with self.lock:
            assert claims["jti"] not in self.seen, "a jti came twice"
            self.seen.add(claims["jti"])
            self.proofs.append((head, claims))
        return head, claims


@pytest.fixture
def resource(tmp_path):
    return Resource(tmp_path)


def bound(server, **settings):
    client = {"client": {**DPOP}} if hasattr(server, "requests") and callable(server.requests) else {}
    return server.credential(**client, dpop="yes", **settings)


def test_DP1_DP2_DP4_proofs_for_the_upstream(start, auth, scripted, resource):
    upstream = scripted(on=resource)
    daemon = start(one_route(bound(auth), f"{upstream.url}/base"))
    asked = [("GET", "/a/b?x=1&y=%20"), ("POST", "/c"), ("DELETE", "/d%2Fe"), ("GET", "/")]
    for method, target in asked:
        assert daemon.ask(method, target, body=b"x" if method == "POST" else None).status == 200
    assert [(claims["htm"], claims["htu"].removeprefix(upstream.url)) for _, claims in resource.proofs] == [
        ("GET", "/base/a/b"), ("POST", "/base/c"), ("DELETE", "/base/d%2Fe"), ("GET", "/base/"),
    ]  # fmt: skip
    assert len({thumbprint(head["jwk"]) for head, _ in resource.proofs}) == 1


def test_DP2_tls_upstreams_are_named_as_https(start, auth, scripted, resource, certs):
    resource.scheme = "https"
    upstream = scripted(on=resource, certs=certs)
    daemon = start(one_route(bound(auth), upstream.url, upstream=f"ca_file = {certs.ca}"))
    assert daemon.ask().status == 200
    assert resource.proofs[0][1]["htu"] == f"{upstream.url}/"


def test_DP3_DP5_the_token_request(start, auth, scripted, resource):
    """The real server refuses the first request for want of a nonce; the second one has it."""
    daemon = start(one_route(bound(auth), scripted(on=resource).url))
    assert daemon.ask().status == 200
    first, second = auth.requests()
    assert (first["status"], first["error"]) == (400, "use_dpop_nonce") and second["status"] == 200
    for request in (first, second):
        head, claims = resource.verify(request["dpop"])
        assert (claims["htm"], claims["htu"]) == ("POST", auth.token_url)
        assert "ath" not in claims
    assert claims["nonce"]
    assert read_jwt(second["access_token"])[1]["cnf"] == {"jkt": thumbprint(head["jwk"])}


def test_DP5_the_nonce_is_kept_for_the_next_token_request(start, auth, scripted, resource):
    daemon = start(one_route(bound(auth, resource="urn:ttl:3", clock_skew="1s"), scripted(on=resource).url))
    wait_until(lambda: daemon.ask().status == 200 and len(auth.requests()) >= 3, 10, "a renewal")
    assert [request["status"] for request in auth.requests()][:3] == [400, 200, 200]


@pytest.mark.parametrize("method, body", [("GET", None), ("PUT", b"x" * 1000)])
def test_DP4_a_retry_on_a_new_connection_has_a_new_proof(start, auth, scripted, resource, method, body):
    """The second request comes on a connection that dies with it; the one before had been answered."""

    def on(exchange):
        if len(upstream.requests) == 2:
            exchange.read_body()
            resource.verify(exchange.request.get("DPoP"))
            exchange.close()
        else:
            resource(exchange)

    upstream = scripted(on=on)
    daemon = start(one_route(bound(auth), upstream.url), "workers = 1")
    assert daemon.ask().status == 200
    again = daemon.ask(method, body=body)
    assert again.status == 200 and again.body == (body or b"")
    assert [request.connection for request in upstream.requests] == [1, 1, 2]
    assert len({claims["jti"] for _, claims in resource.proofs}) == 3


def test_DP6_the_resource_servers_nonce(start, auth, scripted, resource):
    """Its challenge costs one more request, once; and no token request."""
    resource.nonce = "first-nonce"
    upstream = scripted(on=resource)
    daemon = start(one_route(bound(auth), upstream.url), "workers = 1")
    for _ in range(5):
        answer = daemon.ask("POST", body=b"hello")
        assert (answer.status, answer.body) == (200, b"hello")
    assert len(upstream.requests) == 6
    assert [claims.get("nonce") for _, claims in resource.proofs] == [None] + ["first-nonce"] * 5
    resource.nonce = "second-nonce"
    assert daemon.ask().status == 200
    assert len(upstream.requests) == 8
    assert len(auth.requests()) == 2


def test_DP6_a_nonce_in_a_good_answer_is_the_next_one(start, auth, scripted, resource):
    def on(exchange):
        resource.verify(exchange.request.get("DPoP"))
        exchange.answer(fields=[("DPoP-Nonce", f"nonce-{len(resource.proofs)}")])

    daemon = start(one_route(bound(auth), scripted(on=on).url), "workers = 1")
    for _ in range(3):
        assert daemon.ask().status == 200
    assert [claims.get("nonce") for _, claims in resource.proofs] == [None, "nonce-1", "nonce-2"]


def test_DP7_each_upstream_has_nonces_of_its_own(start, auth, scripted, resource, tmp_path):
    other = Resource(tmp_path, "of-two")
    resource.nonce = "of-one"
    one, two = scripted(on=resource), scripted(on=other)
    text = f"{bound(auth)}\n[upstream one]\nurl = {one.url}\nmount = /one\n[upstream two]\nurl = {two.url}\nmount = /two\n"
    text += "[route one]\nupstream = one\nmatch = /**\n[route two]\nupstream = two\nmatch = /**\n"
    daemon = start(text, "workers = 1")
    for target in ("/one/x", "/two/x", "/one/x", "/two/x"):
        assert daemon.ask(target=target).status == 200
    assert [claims.get("nonce") for _, claims in resource.proofs] == [None, "of-one", "of-one"]
    assert [claims.get("nonce") for _, claims in other.proofs] == [None, "of-two", "of-two"]


@pytest.mark.parametrize(
    "fields",
    [[("DPoP-Nonce", "a"), ("DPoP-Nonce", "b")], [("DPoP-Nonce", 'a"b')], [("DPoP-Nonce", "x" * 2000)], [("DPoP-Nonce", "")]],
    ids=["two", "quote", "long", "empty"],
)
def test_DP7_bad_nonces_are_not_used(start, auth, scripted, resource, fields):
    def on(exchange):
        resource.verify(exchange.request.get("DPoP"))
        exchange.answer(fields=fields)

    daemon = start(one_route(bound(auth), scripted(on=on).url), "workers = 1")
    for _ in range(2):
        assert daemon.ask().status == 200
    assert [claims.get("nonce") for _, claims in resource.proofs] == [None, None]


def test_DP8_the_clients_own_proof_goes_no_further(start, auth, scripted, resource):
    """Nor do the upstream's nonces come back: they are for the one who proves."""
    resource.nonce = "n"
    daemon = start(one_route(bound(auth), scripted(on=resource).url))
    answer = daemon.ask(fields=[("DPoP", "mine"), ("Authorization", "DPoP mine"), ("dpop", "mine, too")])
    assert answer.status == 200 and answer.get("DPoP-Nonce") is None


def test_DP8_a_clients_proof_is_removed_on_bearer_routes_too(simple, upstream):
    assert simple().ask(fields=[("DPoP", "mine")]).status == 200
    assert upstream.last.get("DPoP") is None


def test_DP10_a_nonce_that_is_never_right_makes_no_storm(start, auth, scripted, resource):
    """A new nonce for each request, none ever taken: two requests each, then the upstream's answer."""
    count = iter(range(10000))

    def on(exchange):
        resource.verify(exchange.request.get("DPoP"))
        challenge = ("WWW-Authenticate", 'DPoP error="use_dpop_nonce"')
        exchange.answer("401 Unauthorized", b"never", [challenge, ("DPoP-Nonce", f"n{next(count)}")])

    upstream = scripted(on=on)
    daemon = start(one_route(bound(auth), upstream.url))
    for _ in range(10):
        answer = daemon.ask()
        assert (answer.status, answer.body) == (401, b"never")
    assert len(upstream.requests) <= 30
    assert len(auth.requests()) <= 4


def test_DP4_a_replay_has_a_new_token_and_a_new_proof(start, auth, scripted, resource):
    refused = []

    def on(exchange):
        if not refused or exchange.request.get("Authorization") == refused[0]:
            refused.append(exchange.request.get("Authorization"))
            resource.verify(exchange.request.get("DPoP"))
            exchange.answer("401 Unauthorized", b"", [("WWW-Authenticate", 'DPoP error="invalid_token"')])
        else:
            resource(exchange)

    daemon = start(one_route(bound(auth), scripted(on=on).url))
    assert daemon.ask().status == 200
    assert len(refused) == 1
    assert [request["status"] for request in auth.requests()] == [400, 200, 200]


def test_DP3_a_bearer_token_in_its_place_is_refused(start, token_server, upstream):
    daemon = start(one_route(bound(token_server(token_answer("plain"))), upstream.url))
    assert daemon.ask().kind == "token-malformed"
    assert upstream.requests == []


def test_DP3_a_bound_token_is_no_bearer_token(start, token_server, upstream):
    """Where none was asked for, the type is unknown."""
    daemon = start(one_route(token_server(BOUND).credential(), upstream.url))
    assert daemon.ask().kind == "token-malformed"


def test_DP9_a_given_key(start, auth, scripted, resource, certs):
    key = private_key(certs.folder, "ES256")
    credential = bound(auth, dpop_key=f"file:{key}")
    for _ in range(2):
        daemon = start(one_route(credential, scripted(on=resource).url))
        assert daemon.ask().status == 200
        daemon.stop()
    assert len({thumbprint(head["jwk"]) for head, _ in resource.proofs}) == 1


@pytest.mark.parametrize("given", [True, False], ids=["given key", "made key"])
def test_DP9_bound_tokens_in_a_store(start, auth, scripted, resource, certs, tmp_path, given):
    """With a key of its own after each start a token from the store is of no use."""
    more = {"dpop_key": f"file:{private_key(certs.folder, 'ES256')}"} if given else {}
    text = one_route(bound(auth, **more), scripted(on=resource).url)
    text += f"[store]\nurl = sqlite:{tmp_path / 'tokens.db'}\nkey = {'k' * 32}\n"
    for _ in range(2):
        daemon = start(text)
        assert daemon.ask().status == 200
        daemon.stop()
    tokens = [request["access_token"] for request in auth.requests() if request["status"] == 200]
    assert len(tokens) == (1 if given else 2)


def test_DP9_the_key_is_nowhere_to_be_seen(start, auth, scripted, resource):
    daemon = start(one_route(bound(auth), scripted(on=resource).url), "[log]\nlevel = debug")
    assert daemon.ask().status == 200
    daemon.stop()
    assert not re.search(r"PRIVATE KEY|dpop\+jwt|\bey[\w-]{20,}", daemon.log)
