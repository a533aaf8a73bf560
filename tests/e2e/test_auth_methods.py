# SPDX-License-Identifier: MIT
"""How the client shows who it is, each way at a real authorization server; and what it asks for, and where."""
import json
import re
import time
from email.utils import formatdate

import pytest
from conftest import one_route
from kit.auth_server import ASSERTED, BASIC, HMAC_ALGS, KEY_ALGS
from kit.keys import assertion, certificate_thumbprint, private_key, read_jwt, self_signed
from kit.process import wait_until
from kit.scripted import send_json, token_answer

REFUSED = "401 Unauthorized", '{"error": "invalid_client"}'


@pytest.fixture
def by_key(auth, certs):
    """by_key(alg, …): a credential with private_key_jwt."""

    def make(alg="ES256", **settings):
        key = private_key(certs.folder, alg)
        client = {"client_id": f"key-{alg}", "method": "private_key_jwt"}
        return auth.credential(client=client, signing_key=f"file:{key}", signing_alg=alg, **settings)

    return make


def asserted(server, certs, **settings):
    """A credential with private_key_jwt at a scripted server."""
    key = private_key(certs.folder, "ES256")
    rows = {"auth_method": "private_key_jwt", "signing_key": f"file:{key}", "signing_alg": "ES256", **settings}
    return server.credential(**rows).replace("client_secret = secret\n", "")


def form(request):
    """The token request's parameters; none may come twice."""
    pairs = [pair.split("=", 1) for pair in request.body.decode().split("&")]
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


@pytest.mark.parametrize("alg", KEY_ALGS)
def test_JA5_private_key_jwt(start, auth, upstream, by_key, alg):
    daemon = start(one_route(by_key(alg), upstream.url))
    assert daemon.ask().status == 200
    (request,) = auth.requests()
    assert (request["status"], request["client_id"]) == (200, f"key-{alg}")
    assert not request["in_header"] and not request["in_body"]
    head, claims = read_jwt(request["assertion"])
    assert (head["alg"], head["typ"]) == (alg, "JWT") and head["kid"]
    assert claims["iss"] == claims["sub"] == f"key-{alg}"


@pytest.mark.parametrize("alg", HMAC_ALGS)
def test_JA5_client_secret_jwt(start, auth, upstream, alg):
    client = {**ASSERTED, "method": "client_secret_jwt"}
    daemon = start(one_route(auth.credential(client=client, signing_alg=alg), upstream.url))
    daemon.secrets.append(ASSERTED["client_secret"])
    assert daemon.ask().status == 200
    (request,) = auth.requests()
    assert (request["status"], request["in_header"], request["in_body"]) == (200, False, False)
    assert read_jwt(request["assertion"])[0]["alg"] == alg


def test_JA5_the_key_must_fit_the_algorithm(start, auth, upstream, by_key, certs):
    """A key of another kind signs nothing."""
    wrong = by_key("ES256").replace("private-ES256", "private-RS")
    private_key(certs.folder, "RS256")
    refused = start(one_route(wrong, upstream.url)).ask()
    assert (refused.status, refused.kind) == (503, "token-local")
    assert auth.requests() == []


def test_JA1_JA2_JA3_the_assertion(start, token_server, upstream, certs):
    server = token_server()
    daemon = start(one_route(asserted(server, certs), upstream.url))
    before = int(time.time())
    assert daemon.ask().status == 200
    sent = form(server.last)
    assert sent.get("client_assertion_type") == "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    assert sent.get("client_id") in (None, "client") and "client_secret" not in sent
    assert server.last.get("Authorization") is None
    claims = read_jwt(sent["client_assertion"])[1]
    assert claims["iss"] == claims["sub"] == "client"
    assert claims["aud"] == server.token_url
    assert before - 30 <= claims["iat"] <= time.time() and 0 < claims["exp"] - time.time() <= 61
    assert len(claims["jti"]) >= 22


@pytest.mark.parametrize(
    "setting, value, part, member",
    [
        ("assertion_audience", "https://idp.example.com", 1, "aud"),
        ("assertion_type", "client-authentication+jwt", 0, "typ"),
        ("key_id", "2024-03", 0, "kid"),
    ],
)
def test_JA3_JA4_JA6_what_can_be_set(start, token_server, upstream, certs, setting, value, part, member):
    server = token_server()
    daemon = start(one_route(asserted(server, certs, **{setting: value}), upstream.url))
    assert daemon.ask().status == 200
    assert read_jwt(form(server.last)["client_assertion"])[part][member] == value


def test_JA6_the_certificates_thumbprint(start, token_server, upstream, certs):
    server = token_server()
    key = f"file:{certs.key_of(certs.client)}"
    daemon = start(one_route(asserted(server, certs, signing_key=key, signing_certificate=certs.client), upstream.url))
    assert daemon.ask().status == 200
    assert read_jwt(form(server.last)["client_assertion"])[0]["x5t#S256"] == certificate_thumbprint(certs.client)


@pytest.mark.parametrize("off_s, word", [(300, "behind"), (-300, "ahead"), (5, None)])
def test_JA7_a_clock_that_differs_is_told_of(start, token_server, upstream, certs, off_s, word):
    """A server that refuses an assertion may only live at another time: its Date says so."""

    def refuse(exchange):
        send_json(exchange, REFUSED, [("Date", formatdate(time.time() + off_s, usegmt=True))])

    server = token_server(refuse)
    daemon = start(one_route(asserted(server, certs), upstream.url))
    assert daemon.ask().kind == "token-refused"
    claims = read_jwt(form(server.last)["client_assertion"])[1]
    assert 0 < time.time() - claims["iat"] <= 31, "no room for a server whose clock is a little behind"
    daemon.stop()
    told = re.search(r'event=token.clock .*our clock is (\w+) .*difference_s=(\d+)', daemon.log)
    assert (told and told[1]) == word and (not told or 290 <= int(told[2]) <= 310)


def test_T16_each_try_has_an_assertion_of_its_own(start, token_server, upstream, certs):
    busy = "503 Busy", "{}"
    server = token_server(busy, busy, token_answer("good", 60))
    daemon = start(one_route(asserted(server, certs), upstream.url))
    wait_until(lambda: daemon.ask().status == 200, 15, "a token after two failures")
    claims = [read_jwt(form(request)["client_assertion"])[1] for request in server.requests]
    assert len({claim["jti"] for claim in claims}) == 3
    assert claims[0]["iat"] < claims[2]["iat"]


def test_T16_the_real_server_takes_renewals(start, auth, upstream, by_key):
    """It refuses a jti that it has seen."""
    daemon = start(one_route(by_key("PS256", resource="urn:ttl:3", clock_skew="1s"), upstream.url))
    wait_until(lambda: daemon.ask().status == 200 and len(set(upstream.tokens())) == 3, 15, "a third token")
    assert {request["status"] for request in auth.requests()} == {200}


def test_tls_client_auth(start, auth, upstream, certs):
    """The token is bound to the certificate (RFC 8705, 3): its thumbprint is in it."""
    client = {"client_id": "tls", "method": "tls_client_auth"}
    pair = {"cert_file": certs.client, "key_file": certs.key_of(certs.client)}
    daemon = start(one_route(auth.credential(client=client, **pair), upstream.url))
    assert daemon.ask().status == 200
    (request,) = auth.requests()
    assert (request["client_id"], request["assertion"]) == ("tls", None)
    assert read_jwt(request["access_token"])[1]["cnf"] == {"x5t#S256": certificate_thumbprint(certs.client)}


def test_self_signed_tls_client_auth(start, auth, upstream, certs):
    crt, key = self_signed(certs.folder)
    client = {"client_id": "self-signed", "method": "self_signed_tls_client_auth"}
    daemon = start(one_route(auth.credential(client=client, cert_file=crt, key_file=key), upstream.url))
    assert daemon.ask().status == 200
    assert [request["client_id"] for request in auth.requests()] == ["self-signed"]


def test_a_strangers_certificate_is_refused(start, auth, upstream, certs):
    crt, key = self_signed(certs.folder, "stranger")
    client = {"client_id": "self-signed", "method": "self_signed_tls_client_auth"}
    refused = start(one_route(auth.credential(client=client, cert_file=crt, key_file=key), upstream.url)).ask()
    assert refused.kind == "token-refused" and "invalid_client" in refused.problem["detail"]


def test_MT2_bound_tokens_go_with_the_certificate(start, auth, scripted, certs):
    """Token endpoint and upstream see the same certificate."""
    pair = {"cert_file": certs.client, "key_file": certs.key_of(certs.client)}
    client = {"client_id": "tls", "method": "tls_client_auth"}
    server = scripted(certs=certs, client_ca=certs.ca)
    lines = "".join(f"{name} = {value}\n" for name, value in {"ca_file": certs.ca, **pair}.items())
    credential = auth.credential(client=client, certificate_bound="yes", **pair)
    daemon = start(one_route(credential, server.url, upstream=lines))
    assert daemon.ask().status == 200
    assert server.last.token == auth.requests()[0]["access_token"]


def test_a_public_client_at_the_real_server(start, auth, upstream):
    client = {"client_id": "public", "method": "none"}
    answer = start(one_route(auth.credential(client=client), upstream.url)).ask()
    assert answer.status == 200
    assert [request["client_id"] for request in auth.requests()] == ["public"]


# -- an assertion that somebody else makes -------------------------------------------------------


@pytest.fixture
def borne(auth, certs, tmp_path):
    """(credential, write): write(lifetime, client) puts a new assertion into the file."""
    path = tmp_path / "assertion"
    key = private_key(certs.folder, "ES256")

    def write(client_id="key-ES256", audience=auth.url):
        fresh = path.with_suffix(".new")
        fresh.write_text(assertion(key, client_id, audience) + "\n")
        fresh.chmod(0o600)
        fresh.rename(path)

    client = {"client_id": "key-ES256", "method": "assertion_file"}
    return auth.credential(client=client, assertion_file=path, resource="urn:ttl:3", clock_skew="1s"), write


def test_a_file_borne_assertion_is_read_for_every_token_request(start, auth, upstream, borne):
    """The server takes no assertion twice: that a second token came shows that the new file was read."""
    credential, write = borne
    write()
    daemon = start(one_route(credential, upstream.url))
    assert daemon.ask().status == 200
    write()
    wait_until(lambda: daemon.ask().status == 200 and len(set(upstream.tokens())) == 2, 10, "a second token")
    used = [request["assertion"] for request in auth.requests() if request["status"] == 200]
    assert len(set(used)) == len(used) == 2


def test_a_refused_assertion_is_replaced_by_the_next_file(start, auth, upstream, borne):
    credential, write = borne
    write(audience="https://elsewhere.example.test")
    daemon = start(one_route(credential, upstream.url))
    assert daemon.ask().kind == "token-refused"
    write()
    wait_until(lambda: daemon.ask().status == 200, 15, "the new assertion in use")
    assert [request["status"] for request in auth.requests()] == [401, 200]


def test_T34_a_missing_assertion_file_is_said_and_picked_up_later(start, auth, upstream, borne):
    credential, write = borne
    daemon = start(one_route(credential, upstream.url))
    assert (daemon.ask().status, daemon.ask().kind) == (503, "token-local")
    write()
    wait_until(lambda: daemon.ask().status == 200, 15, "the assertion in use")


# -- two secrets ---------------------------------------------------------------------------------


def test_rotation_of_the_secret_without_a_gap(start, auth, upstream):
    """The server knows the second one only."""
    credential = auth.credential(client_secret="a secret of yesterday", client_secret_next=BASIC["client_secret"])
    daemon = start(one_route(credential, upstream.url))
    assert daemon.ask().status == 200
    assert [request["status"] for request in auth.requests()] == [401, 200]


def test_the_secret_that_works_is_tried_first_from_then_on(start, token_server, upstream):
    server = token_server(REFUSED, token_answer("a", 3), token_answer("b", 3))
    credential = server.credential(auth_method="client_secret_post", client_secret_next="second", clock_skew="1s")
    daemon = start(one_route(credential, upstream.url))
    wait_until(lambda: daemon.ask().status == 200 and upstream.last.token == "b", 10, "a renewal")
    assert [form(request)["client_secret"] for request in server.requests[:3]] == ["secret", "second", "second"]


def test_two_wrong_secrets_are_tried_once_each(start, token_server, upstream):
    server = token_server(REFUSED)
    daemon = start(one_route(server.credential(client_secret_next="second"), upstream.url))
    for _ in range(20):
        assert daemon.ask().kind == "token-refused"
    assert len(server.requests) == 2


# -- where to ask, and what for ------------------------------------------------------------------


def issuer_of(auth):
    return auth.credential(token_url=None, issuer=auth.url)


def test_MD1_discovery_at_the_real_server(start, auth, upstream):
    daemon = start(one_route(issuer_of(auth), upstream.url))
    assert daemon.ask().status == 200
    assert len(auth.requests()) == 1


def test_JA3_with_an_issuer_the_assertion_is_for_it(start, auth, upstream, by_key):
    daemon = start(one_route(by_key(token_url=None, issuer=auth.url), upstream.url))
    assert daemon.ask().status == 200
    assert read_jwt(auth.requests()[0]["assertion"])[1]["aud"] == auth.url


@pytest.mark.parametrize("told", ["https://elsewhere.example.test", "{url}/", "{url}/x"])
def test_MD2_metadata_of_another_issuer_are_not_used(start, token_server, upstream, certs, told):
    metadata = {}
    server = token_server(lambda exchange: exchange.answer(
        body=json.dumps(metadata).encode(), fields=[("Content-Type", "application/json")]), certs=certs)
    metadata.update(issuer=told.format(url=server.url), token_endpoint=f"{server.url}/token")
    credential = server.credential(issuer=server.url, ca_file=certs.ca).replace("token_url", "; token_url")
    refused = start(one_route(credential, upstream.url)).ask()
    assert refused.status in (502, 503) and "issuer" in refused.problem["detail"]
    assert "POST" not in {request.method for request in server.requests}


def test_MD6_the_server_is_away_at_start(start, token_server, upstream, certs):
    """Its metadata are read once it is there."""
    away = token_server(certs=certs)
    away.stop()
    credential = away.credential(issuer=away.url, ca_file=certs.ca).replace("token_url", "; token_url")
    daemon = start(one_route(credential, upstream.url))
    assert daemon.ask().status == 503
    metadata = {"issuer": away.url, "token_endpoint": f"{away.url}/token"}

    def both(exchange):
        said = json.dumps(metadata) if exchange.request.method == "GET" else token_answer("late")[1]
        exchange.answer(body=said.encode(), fields=[("Content-Type", "application/json")])

    back = token_server(both, certs=certs, port=away.port)
    wait_until(lambda: daemon.ask().status == 200, 20, "a token by late metadata")
    assert [request.method for request in back.requests] == ["GET", "POST"]


def test_MD7_the_endpoint_for_clients_with_certificates(start, token_server, upstream, certs):
    """mtls_endpoint_aliases (RFC 8705, 5) for those that authenticate by TLS."""
    by_tls = token_server(certs=certs, client_ca=certs.ca)
    metadata = {"mtls_endpoint_aliases": {"token_endpoint": by_tls.token_url}}
    server = token_server(lambda exchange: exchange.answer(
        body=json.dumps(metadata).encode(), fields=[("Content-Type", "application/json")]), certs=certs)
    metadata.update(issuer=server.url, token_endpoint=f"{server.url}/token")
    lines = f"[credential main]\nissuer = {server.url}\nclient_id = client\nauth_method = tls_client_auth\nca_file = {certs.ca}\n"
    lines += f"cert_file = {certs.client}\nkey_file = {certs.key_of(certs.client)}\n"
    assert start(one_route(lines, upstream.url)).ask().status == 200
    assert form(by_tls.last)["client_id"] == "client"
    assert {request.method for request in server.requests} == {"GET"}


def test_free_parameters_and_fields(start, token_server, upstream):
    server = token_server()
    more = {"param": "tenant acme & co", "request_header": "X-Tenant: acme"}
    daemon = start(one_route(server.credential(**more) + "param = second 2\n", upstream.url))
    assert daemon.ask().status == 200
    sent = form(server.last)
    assert (sent["tenant"], sent["second"]) == ("acme+%26+co", "2")
    assert server.last.get("X-Tenant") == "acme"


def test_RA1_authorization_details(start, token_server, upstream):
    server = token_server()
    credential = server.credential(authorization_details='[{"type":"account","actions":["read"]}]')
    assert start(one_route(credential, upstream.url)).ask().status == 200
    assert "authorization_details=%5B%7B%22" in server.last.body.decode()


def test_RA2_routes_with_other_details_have_other_tokens(start, token_server, upstream):
    server = token_server(token_answer("one"), token_answer("two"))
    routes = "".join(
        f'[route {name}]\nmatch = /{name}\nauthorization_details = {text}\n'
        for name, text in [("a", '[{"type":"x","n":1}]'), ("b", '[{"n":1,"type":"x"}]'), ("c", '[{"type":"y"}]')]
    )
    daemon = start(f"{server.credential()}\n[upstream api]\nurl = {upstream.url}\n{routes}")
    for target in ("/a", "/b", "/c"):
        assert daemon.ask(target=target).status == 200
    assert upstream.tokens() == ["one", "one", "two"]


@pytest.mark.parametrize("error", ["invalid_target", "invalid_authorization_details", "unauthorized_client"])
def test_RI2_RA3_such_errors_hold_off_for_long(start, token_server, upstream, error):
    server = token_server(("400 Bad Request", json.dumps({"error": error})))
    daemon = start(one_route(server.credential(), upstream.url))
    for _ in range(20):
        assert daemon.ask().kind == "token-refused"
    assert len(server.requests) == 1


def test_RI1_the_real_server_gives_tokens_for_a_resource(start, auth, upstream):
    daemon = start(one_route(auth.credential(resource="urn:ttl:1234"), upstream.url))
    assert daemon.ask().status == 200
    assert read_jwt(upstream.last.token)[1]["aud"] == "urn:ttl:1234"


def test_aliases_of_a_catalogue_become_values(start, auth, upstream):
    catalogue = "[scopes main]\nRead = api:read ; reading\nWrite = api:write\n"
    routes = one_route(auth.credential() + catalogue, upstream.url)
    assert start(routes.replace("scopes = api:read", "scopes = api:write Read")).ask().status == 200
    assert auth.requests()[0]["scope"] == "api:read api:write"
