# SPDX-License-Identifier: MIT
"""docs/problems.md: a row for every answer that bearerd makes itself, and in it a test that provokes it."""
import pathlib
import re

import pytest
from kit.bearerd import ROOT

HERE = pathlib.Path(__file__).parent
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ([\d, ]+) \| `([a-z_]+)` \|.*\| `(test_\w+\.py)::(test_\w+)` \|$", re.M)
KIND = re.compile(r'^    \{"([a-z0-9-]+)",\s*"([^"]+)",\s*"([a-z_]+)"\}', re.M)
PROBLEMS = (ROOT / "docs/problems.md").read_text()
SOURCE = (ROOT / "src/proxy/problem.c").read_text()


def test_every_kind_has_its_row():
    assert [(kind, error) for kind, _, error, *_ in ROW.findall(PROBLEMS)] == [(kind, error) for kind, _, error in KIND.findall(SOURCE)]


def test_every_status_in_the_source_is_in_its_row():
    rows = {kind: statuses.split(", ") for kind, statuses, *_ in ROW.findall(PROBLEMS)}
    found = set()
    for path in (ROOT / "src").rglob("*.c"):
        if path.parent.name != "admin":
            found |= set(re.findall(r'\b([45]\d\d),\s*"([a-z0-9-]+)"', path.read_text()))
    found = {(status, kind) for status, kind in found if kind in rows}
    assert len({kind for _, kind in found}) > 20
    assert not [pair for pair in found if pair[0] not in rows[pair[1]]]


def test_every_answer_of_the_admin_listener_is_named():
    named = (ROOT / "docs/admin.md").read_text()
    text = "".join(path.read_text() for path in (ROOT / "src/admin").glob("*.c"))
    found = set(re.findall(r'\b([45]\d\d),\s*"([a-z0-9-]+)"', text))
    assert len(found) > 5
    assert not [pair for pair in found if not re.search(rf"`{pair[1]}` \([\d, ]*\b{pair[0]}\b", named)]


@pytest.mark.parametrize("kind, statuses, error, file, test", ROW.findall(PROBLEMS))
def test_every_row_names_its_test(kind, statuses, error, file, test):
    text = (HERE / file).read_text()
    assert f"def {test}(" in text
    assert f'"{kind}"' in text and re.search(rf"\b({statuses.replace(', ', '|')})\b", text)


def test_what_is_said_by_hand_is_said_alike():
    """http/server_say.c has answers of its own, for when there is no request to answer."""
    said = (ROOT / "src/http/server_say.c").read_text()
    kinds = {kind: title for kind, title, _ in KIND.findall(SOURCE)}
    found = re.findall(r'\{\d+, "([a-z-]+)",\s*"([^"]+)"', said)
    assert len(found) >= 3 and all(kinds[kind] == title for kind, title in found)


def test_TRACE_is_refused(simple, upstream):
    refused = simple().ask("TRACE", fields=[("Cookie", "canary")])
    assert (refused.status, refused.kind) == (405, "method-not-allowed")
    assert "TRACE" not in refused.get("Allow") and "canary" not in refused.text
    assert upstream.connections == 0
