# SPDX-License-Identifier: MIT
"""The Debian package of the optimised build: what is in it, that lintian has nothing against it, and that what it
installs starts as it is."""
import fcntl
import os
import pathlib
import shutil
import subprocess

import pytest
from kit.bearerd import ENV, ROOT, run
from kit.process import Process

BINARY_LIMIT = 1 << 20


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """(file, folder with its contents). scripts/package ends with an error when lintian has found one, or a warning."""
    build = pathlib.Path(os.environ.get("BEARERD_RELEASE") or ROOT / "build/release/bearerd").resolve().parent
    if not (build / "CPackConfig.cmake").exists():
        pytest.skip(f"{build} is no build folder")
    # One for all of pytest's workers, made by whichever comes first.
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "package"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "root").exists():
            made = subprocess.run(
                [ROOT / "scripts/package", folder], env={**os.environ, "BUILD": str(build)}, capture_output=True, text=True
            )
            assert made.returncode == 0, made.stdout + made.stderr
            (file,) = folder.glob("*.deb")
            subprocess.run(["dpkg-deb", "-R", file, folder / "root"], check=True)
    (file,) = folder.glob("*.deb")
    return file, folder / "root"


def field(file, name):
    return subprocess.run(["dpkg-deb", "-f", file, name], capture_output=True, text=True, check=True).stdout.strip()


def test_it_passes_lintian(package):
    assert shutil.which("lintian"), "scripts/deps --test installs it"
    assert package[0].name.startswith("bearerd_")


def test_what_is_in_it(package):
    file, root = package
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    examples = {f"usr/share/doc/bearerd/examples/{path.name}" for path in (ROOT / "conf/examples").iterdir()}
    assert found - examples == {
        "DEBIAN/conffiles", "DEBIAN/control", "DEBIAN/md5sums", "DEBIAN/postinst", "DEBIAN/postrm", "DEBIAN/prerm",
        "etc/bearerd/bearerd.ini", "lib/systemd/system/bearerd.service", "lib/systemd/system/bearerd.socket",
        "usr/sbin/bearerd", "usr/share/bash-completion/completions/bearerd",
        "usr/share/fish/vendor_completions.d/bearerd.fish", "usr/share/zsh/vendor-completions/_bearerd",
        "usr/share/doc/bearerd/README.md", "usr/share/doc/bearerd/changelog.gz", "usr/share/doc/bearerd/copyright",
        "usr/share/doc/bearerd/examples/bearerd.ini", "usr/share/doc/bearerd/examples/reference.ini",
        "usr/share/man/man5/bearerd.conf.5.gz", "usr/share/man/man8/bearerd.8.gz",
    }  # fmt: skip
    assert examples <= found
    assert (root / "DEBIAN/conffiles").read_text() == "/etc/bearerd/bearerd.ini\n"
    version = run("version", binary=root / "usr/sbin/bearerd").stdout.split()[1]
    assert field(file, "Version") == version
    for library in ("libcurl", "libmicrohttpd", "libseccomp", "libsqlite3", "libjansson", "libinih", "libssl"):
        assert library in field(file, "Depends")
    assert (root / "usr/sbin/bearerd").stat().st_size < BINARY_LIMIT
    assert "ExecStart=/usr/sbin/bearerd serve -c /etc/bearerd/bearerd.ini" in (
        root / "lib/systemd/system/bearerd.service"
    ).read_text()


def test_T34_its_configuration_starts_as_it_is(package, tmp_path):
    """No authorization server, no secret, no such names: it is there, and says what is missing. Only the port is another."""
    root = package[1]
    sample = (root / "etc/bearerd/bearerd.ini").read_text()
    assert run("check", "-c", root / "etc/bearerd/bearerd.ini", binary=root / "usr/sbin/bearerd").returncode == 0
    config = tmp_path / "bearerd.ini"
    config.write_text(sample.replace("listen = 127.0.0.1:8080", "listen = 127.0.0.1:0"))
    assert "127.0.0.1:0" in config.read_text()
    env = {**ENV, "CREDENTIALS_DIRECTORY": str(tmp_path / "none")}
    process = Process([root / "usr/sbin/bearerd", "serve", "-c", config], env=env, name="bearerd")
    try:
        address = process.wait_line("event=listening address=(.*)").group(1)
        process.wait_line("event=ready")
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "10", f"http://{address}/items"], capture_output=True, text=True, check=True
        )
        assert "urn:bearerd:problem:token-local" in done.stdout
        assert process.stop() == 0
    finally:
        process.kill()


@pytest.mark.parametrize("name, args", [("postinst", ["configure"]), ("prerm", ["remove"]), ("postrm", ["remove"])])
def test_its_scripts_do_without_a_running_systemd(package, tmp_path, name, args):
    """As in a chroot or a container. The helpers they call are stood in for by ones that say who called."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in ("deb-systemd-helper", "deb-systemd-invoke", "systemctl"):
        (bin_folder / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >>{tmp_path}/calls\n')
        (bin_folder / tool).chmod(0o755)
    if pathlib.Path("/run/systemd/system").exists():
        pytest.skip("systemd runs here")
    env = {"PATH": f"{bin_folder}:/usr/bin:/bin"}
    subprocess.run([package[1] / "DEBIAN" / name, *args], env=env, check=True)
    calls = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
    assert not any(call.startswith(("systemctl", "deb-systemd-invoke")) for call in calls)
    assert ("deb-systemd-helper enable bearerd.service" in calls) == (name == "postinst")
