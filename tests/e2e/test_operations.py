# SPDX-License-Identifier: MIT
"""docs/operations.md names what there is: every alert, and no problem that does not exist."""
import re

import yaml
from kit.bearerd import ROOT

PAGE = (ROOT / "docs/operations.md").read_text()


def test_every_alert_has_its_row():
    rules = yaml.safe_load((ROOT / "conf/examples/prometheus-alerts.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert len(alerts) > 10
    assert set(re.findall(r"^\| `(Bearerd\w+)` \|", PAGE, re.M)) == alerts


def test_problems_are_those_of_the_table():
    known = set(re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/problems.md").read_text(), re.M))
    named = set(re.findall(r"^\| \d{3}, `([a-z-]+)` \|", PAGE, re.M))
    assert len(named) > 5 and named <= known


def test_settings_are_those_of_the_reference():
    known = set(re.findall(r"^#### `(\w+)`", (ROOT / "docs/config.md").read_text(), re.M))
    events = set(re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/logs.md").read_text(), re.M))
    named = {name for name in re.findall(r"`([a-z]+_[a-z_]+)`", PAGE) if not name.startswith("bearerd_")}
    failures = set(re.findall(r"`([a-z_]+)`", re.search(r"`bearerd_upstream_failures_total`.*", (ROOT / "docs/admin.md").read_text())[0]))
    errors = {"invalid_scope"}  # RFC 6749 5.2
    assert len(named) > 10 and named <= known | failures | errors
    assert set(re.findall(r"`((?:request|token|hook|upstream)\.\w+)`", PAGE)) <= events
