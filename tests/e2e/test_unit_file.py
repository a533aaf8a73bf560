# SPDX-License-Identifier: MIT
"""The systemd unit: what it takes away (T-20), and that systemd understands it."""
import pathlib
import re
import shutil
import subprocess

import pytest
from kit.bearerd import ROOT

UNIT = ROOT / "conf/bearerd.service"


def analyze(*args):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    return subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, timeout=60)


def test_T20_exposure():
    said = analyze("security", "--offline=true", "--no-pager", UNIT).stdout
    (figure,) = re.findall(r"Overall exposure level for bearerd.service: ([\d.]+)", said)
    assert float(figure) <= 1.5, said
    # The figure of this systemd is the one that is published, or a better one.
    (stated,) = re.findall(r"exposure at ([\d.]+) of 10", (ROOT / "docs/security.md").read_text())
    assert float(figure) <= float(stated)


def test_systemd_understands_it(tmp_path):
    """verify wants to see the program; the manuals are not installed."""
    unit = tmp_path / UNIT.name
    lines = [line for line in UNIT.read_text().splitlines() if not line.startswith("Documentation=")]
    unit.write_text("\n".join(lines).replace("/usr/sbin/bearerd", "/bin/true"))
    done = analyze("verify", unit)
    complaints = [line for line in done.stderr.splitlines() if "bearerd.service" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_what_the_sandbox_needs_is_not_filtered_out():
    """Landlock and seccomp are in none of the sets that a network service is given."""
    filters = re.findall(r"^SystemCallFilter=(.*)", pathlib.Path(UNIT).read_text(), re.M)
    named = set(" ".join(filters).split())
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"} <= named
