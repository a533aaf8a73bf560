# SPDX-License-Identifier: MIT
"""T22, T-5: hostile request targets one by one: which route each gets and which bytes go upstream, or how it is refused
(and nothing goes). Routes are those of test_path_confusion.py; a pair is (target, what is sent for it), where that is
not the target itself."""
import pytest
from kit.judge import judge_of
from test_path_confusion import ROUTES

# fmt: off
ORIGIN_FORM = {
    "root": [
        b"/", b"/?", (b"/m", b"/base"), (b"/m/", b"/base/"),
    ],
    "public": [
        b"/public/a", b"/public/a/", b"/public", b"/public/", b"/public/./a", b"/public/./../public/a", b"/public/x/../a",
        b"/public/.a", b"/public/..a", b"/public/a.", b"/public/a..", b"/public/%2e/a", b"/public/%2e", b"/public/a%2fb",
        b"/public/%2fa", b"/public/%252fa", b"/public/%252", b"/public/%25zz", b"/public/%61", b"/public/%7Euser",
        b"/public/a%5cb", b"/public/%20", b"/public/%20/a", b"/public/%c3%a4", b"/public/%e2%82%ac", b"/public/%f0%9f%98%80",
        b"/public/%ef%bc%8f", b"/public/..%ef%bc%8fadmin", b"/public/%e2%88%95", b"/public/a;a=b", b"/public/a;jsessionid=1",
        b"/public/;/a", b"/public/a%3bb", b"/public//a", b"/public//", b"/public/a%3f", b"/public/a%23",
        b"/public/a?/../admin/a", b"/public/a?x=/../../admin", b"/public/a?access=%2e%2e%00", b"/public/**", b"/public/A",
        b"/public/@/a", b"/public/a@b", b"/public/a:b", b"/public/a!$&'()*+,=b", b"/public/[a]", b"/public/~a",
        (b"/m/public/a", b"/base/public/a"),
    ],
    "deep": [
        b"/public/deep/./x",
    ],
    "admin": [
        b"/admin", b"/admin/", b"/admin/open/", b"/admin/open;x/y", b"/admin//a", b"/admin/*",
        (b"/m/admin/a", b"/base/admin/a"),
    ],
    "open": [
        b"/admin/open",
    ],
    "item": [
        b"/items/7", b"/items/%37", b"/items/7;v=1", b"/items/*",
    ],
    "secret": [
        b"/items/8;x/secret",
    ],
    "other": [
        b"/items/", b"/items", b"/../../../../etc/passwd", b"/Public/a", b"/PUBLIC/a", b"/aDmin/a",
        (b"/m//x/admin/a", b"/base//x/admin/a"), b"/mm/a", b"/M/public/a", b"/base/admin/a",
    ],
    "ambiguous-path": [
        b"/public/..", b"/public/../admin/a", b"/public/x/../../admin/a", b"/public/deep/../a", b"/admin/../public/a",
        b"/admin/./open", b"/admin/x/../open", b"/..", b"/../", b"/../admin/a", b"/./admin/a", b"/./", b"/.", b"/public/...",
        b"/public/.../a", b"/public/%2e%2e/admin/a", b"/public/%2E%2E/admin/a", b"/public/.%2e/admin/a",
        b"/public/%2e./admin/a", b"/public/%2e%2e", b"/public/%2e%2e%2fadmin/a", b"/public/..%2fadmin/a",
        b"/public/..%2Fadmin/a", b"/public%2f..%2fadmin%2fa", b"/public%2fa", b"/public%2F..%2Fa", b"/%2fadmin/a",
        b"/admin%2fa", b"/admin%2fopen", b"/items/8%2fsecret", b"/items/7%2f", b"/public/deep%2fx",
        b"/public/%252e%252e/admin/a", b"/public/%252e%252e%252fadmin/a", b"/public/..%252fadmin/a",
        b"/public/%25%32%65%25%32%65/admin/a", b"/%61dmin/a", b"/%61%64%6d%69%6e/a", b"/%2561dmin/a", b"/adm%69n/open",
        b"/public%5c..%5cadmin%5ca", b"/public/..%5cadmin/a", b"/public/..%5Cadmin/a", b"/public/..%255cadmin/a",
        b"/public%5ca", b"/admin%5copen", b"/%5cadmin/a", b"/public/..%20/admin/a", b"/admin/open%20", b"/admin/open.",
        b"/admin/open%2e", b"/admin./a", b"/admin%20/a", b"/public/..;/admin/a", b"/public/..;a=b/admin/a",
        b"/public/%2e%2e;/admin/a", b"/public/..%3b/admin/a", b"/public;/../admin/a", b"/public;a=b/a", b"/admin;x/a",
        b"/admin/open;x", b"/;/admin/a", b"/;x/admin/a", b"/.;/admin/a", b"/items/;", b"/admin/open%3bx", b"//admin/a",
        b"///admin/a", b"//public/a", b"//admin/open", b"/admin//open", b"//", b"///", b"/public//../admin/a",
        b"/public///../../admin/a", b"/public/x//../../admin/a", b"/items//8/secret", b"/items/8//secret", b"//x/admin/a",
        b"//x/public/a", b"//x:80/admin/open", b"//user@x/admin/a", b"///x/admin/a", b"//x", b"//api.test/public/a",
        b"/public/%3f/../../admin/a", b"/admin/open%3fx", b"/admin/open%23x", b"/m/..", b"/m/../admin/a", b"/m/../m/public/a",
        b"/m/%2e%2e/admin/a", b"/m/public/../../base/admin/a", b"/m/public/../../../admin/a", b"/m//admin/a", b"/m%2fadmin/a",
        b"/m;/admin/a",
    ],
    "bad-target": [
        b"%2fadmin/a", b"/public/%25252e%25252e/admin/a", b"/public/%2525252e", b"/public/%%32%65%%32%65/admin/a",
        b"/public/%2%65/a", b"/public\\..\\admin\\a", b"/public/\\a", b"/public/..\\admin/a", b"/public/%00", b"/public/a%00",
        b"/public/a%00.txt", b"/admin/open%00/x", b"/public/%2500", b"/public/%2500/../admin/a", b"/public/%01",
        b"/public/%09", b"/public/%0a", b"/public/%0d%0aX-Injected:%20yes", b"/public/%250d%250a", b"/public/%1f",
        b"/public/%7f", b"/public/%c2%80", b"/public/%c0%ae%c0%ae/admin/a", b"/public/%c0%af..%c0%afadmin", b"/public/%c1%9c",
        b"/public/%e0%80%ae", b"/public/%e0%80%af", b"/public/%f0%80%80%ae", b"/public/%f8%80%80%80%ae",
        b"/public/%fc%80%80%80%80%ae", b"/public/%ed%a0%80", b"/public/%f4%90%80%80", b"/public/%ff", b"/public/%fe%ff",
        b"/public/%80", b"/public/%c3", b"/public/%c3%28", b"/public/%25c0%25ae", b"/public/%u002e%u002e/admin",
        b"/public/%u2215", b"/public/a#", b"/public/a#/../admin", b"/public/a??#", b"/public/{id}", b"/items/{id}",
        b"/public/a|b", b"/public/a^b", b"/public/a`b", b'/public/"a"', b"/public/<a>", b"/public/a%2g", b"/public/%",
        b"/public/a%", b"/public/a%4", b"public/a", b"admin/a", b"../admin/a", b"*", b"\\admin\\a", b"?/admin/a",
        b"#/admin/a", b"@api.test/admin/a", b":8080/admin/a",
    ],
    "malformed-request": [
        b"/public/a b",
    ],
}
# For the upstreams api.test, 127.0.0.1 and [::1] (which are one), and based.test, whose base path is /base.
ABSOLUTE_FORM = {
    "root": [
        (b"http://api.test", b"/"), (b"http://api.test?x", b"/?x"), (b"http://api.test/", b"/"),
        (b"http://based.test/base", b"/base"), (b"http://based.test/base/", b"/base/"),
    ],
    "public": [
        (b"http://api.test/public/a", b"/public/a"), (b"HTTP://API.TEST/public/a", b"/public/a"),
        (b"http://api.test:80/public/a", b"/public/a"), (b"https://api.test:443/public/a", b"/public/a"),
        (b"http://api.test./public/a", b"/public/a"), (b"http://api.test.:80/public/a", b"/public/a"),
        (b"http://127.0.0.1/public/a", b"/public/a"), (b"http://127.0.0.1:80/public/a", b"/public/a"),
        (b"http://127.0.0.1./public/a", b"/public/a"), (b"http://[::1]/public/a", b"/public/a"),
        (b"http://[::1]:80/public/a", b"/public/a"), (b"http://based.test/base/public/a", b"/base/public/a"),
    ],
    "open": [
        (b"https://api.test/admin/open", b"/admin/open"),
    ],
    "other": [
        (b"http://Api.Test/Public/a", b"/Public/a"),
    ],
    "ambiguous-path": [
        b"http://api.test//admin/a", b"http://api.test//x/admin/a", b"http://api.test/public/../admin/a",
        b"http://api.test/%2e%2e/admin/a", b"http://based.test/base/../admin/a", b"http://based.test/base/%2e%2e/admin/a",
        b"http://based.test/base/public/../admin/a", b"http://based.test/base/..;/admin/a",
        b"http://based.test//base/admin/a",
    ],
    "bad-target": [
        b"http://api.test:0/public/a", b"http://api.test:00080/public/a", b"http://api.test:080/public/a",
        b"http://api.test:65536/public/a", b"http://api.test:99999999999999999999/public/a", b"http://api.test:/public/a",
        b"http://api.test:+80/public/a", b"http://api.test:80:80/public/a", b"http://api.test:8a/public/a",
        b"http://api.test../public/a", b"http://.api.test/public/a", b"http://api..test/public/a",
        b"http://api.test\\admin\\a", b"http://api.test\\@evil.test/admin/a", b"http://api.test%2fadmin/a",
        b"http://api.test#/admin/a", b"http://user@api.test/public/a", b"http://user:pass@api.test/public/a",
        b"http://@api.test/public/a", b"http://api.test@evil.test/public/a", b"http://api.test:80@evil.test/public/a",
        b"http://evil.test#@api.test/public/a", b"http://%31%32%37.0.0.1/public/a", b"http://[::1%25lo]/public/a",
        b"http://[::1%lo]/public/a", b"http://[::1/public/a", b"http://::1/public/a", b"http://[127.0.0.1]/public/a",
        b"http://[]/public/a", b"http://[v1.x]/public/a", b"http://[::1]x/public/a", b"http:///public/a",
        b"http:/api.test/public/a", b"http:api.test/public/a", b"http://", b"https://", b"http:///", b"://api.test/public/a",
        b"ftp://api.test/public/a", b"file:///etc/passwd", b"javascript:alert(1)", b"httpss://api.test/public/a",
        b"http+unix://api.test/public/a", b"http://\xc3\xa4pi.test/public/a", b"http://api.test/public/\xc3\xa4",
        b"http://api\xe3\x80\x82test/public/a", b"http://\xef\xbd\x81\xef\xbd\x90\xef\xbd\x89.test/public/a",
        b"http://api.te\xc2\xadst/public/a",
    ],
    "malformed-request": [
        b"http://api.test /public/a", b"http://api.test/public/a http://evil.test",
    ],
    "no-upstream": [
        b"http://api.test:443/public/a", b"https://api.test:80/public/a", b"http://api.test:8080/public/a",
        b"http://evil.test/public/a", b"http://api.test.evil.test/public/a", b"http://xapi.test/public/a",
        b"http://api.testx/public/a", b"http://api-test/public/a", b"http://api_test/public/a", b"http://127.0.0.2/public/a",
        b"http://127.1/public/a", b"http://127.0.1/public/a", b"http://2130706433/public/a", b"http://017700000001/public/a",
        b"http://0177.0.0.1/public/a", b"http://0x7f.0.0.1/public/a", b"http://0x7f000001/public/a",
        b"http://127.0.0.01/public/a", b"http://127.000.000.001/public/a", b"http://127.0.0.256/public/a",
        b"http://127.0.0.1.nip.io/public/a", b"http://0/public/a", b"http://0.0.0.0/public/a", b"http://localhost/public/a",
        b"http://[::1]:81/public/a", b"http://[0:0:0:0:0:0:0:1]/public/a", b"http://[::0001]/public/a",
        b"http://[::ffff:127.0.0.1]/public/a", b"http://[::ffff:7f00:1]/public/a", b"http://[::]/public/a",
        b"http://xn--api-.test/public/a", b"http://xn--pi-zja.test/public/a", b"http://based.test/public/a",
        b"http://based.test/basement/admin/a", b"http://based.test/BASE/admin/a", b"http://based.test/m/admin/a",
    ],
}
# fmt: on
REFUSALS = ("ambiguous-path", "bad-target", "malformed-request", "no-upstream")


@pytest.fixture
def judge(start, scripted):
    with judge_of(start, scripted, ROUTES, hosts="api.test 127.0.0.1 [::1]") as judge:
        yield judge


def rows(table):
    for outcome, targets in table.items():
        for row in targets:
            target, sent = row if isinstance(row, tuple) else (row, row)
            yield target, (None, outcome) if outcome in REFUSALS else (outcome, sent)


@pytest.mark.parametrize("table", [ORIGIN_FORM, ABSOLUTE_FORM], ids=["origin", "absolute"])
def test_T22_hostile_targets(judge, table):
    wrong = [(target, wanted, got) for target, wanted in rows(table) if (got := judge(target)) != wanted]
    assert wrong == []


def test_the_tables_are_long_enough():
    targets = [target for table in (ORIGIN_FORM, ABSOLUTE_FORM) for target, _ in rows(table)]
    assert len(targets) == len(set(targets)) >= 250


@pytest.mark.parametrize("host", ["based.test", "api.test"])
def test_HM6_an_absolute_target_stands_above_host(judge, host):
    assert judge(b"http://api.test/admin/open", host=host) == ("open", b"/admin/open")
    assert judge(b"http://based.test/base/admin/open", host=host) == ("open", b"/base/admin/open")


# ---- every byte, raw and escaped, in four places of a path

PLACES = [b"/public/%s/a", b"/public/b%sc/a", b"/public/b%s/a", b"/public/a%s"]  # alone, amidst, at the end of two segments
UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
PATH_BYTES = UNRESERVED + b"!$&'()*+,;=:@/[]?"  # `?` ends the path; [ and ] are sent raw by many


@pytest.mark.parametrize("place", PLACES)
def test_T22_every_byte_raw(judge, place):
    for byte in range(256):
        target = place % bytes([byte])
        route, sent = judge(target)
        if byte in PATH_BYTES:
            assert (route, sent) == ("public", target), target
        else:
            assert route is None and sent in ("bad-target", "malformed-request", "refused by the library"), target
            assert sent != "refused by the library" or byte in b"\n\r", target


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("escape", [b"%%%02x", b"%%%02X", b"%%25%02x", b"%%25%02X"])
def test_T22_every_byte_escaped(judge, place, escape):
    """Once and twice: the route is the same, whatever it stands for; or it stands for nothing good."""
    for byte in range(256):
        target = place % (escape % byte)
        if 0x20 <= byte < 0x7F:
            assert judge(target) == ("public", target), target
        else:
            assert judge(target) == (None, "bad-target"), target


def test_T22_every_byte_escaped_where_it_counts(judge):
    """In the place of the slash that two routes are told apart by."""
    for byte in range(256):
        route, sent = judge(b"/admin%%%02xopen" % byte)
        if byte in b"/\\;?#":
            assert (route, sent) == (None, "ambiguous-path"), byte
        elif 0x20 <= byte < 0x7F:
            assert route == "other", byte
        else:
            assert sent == "bad-target", byte
