# SPDX-License-Identifier: MIT
"""T-21: what bearerd is made of. Libraries of the distribution and no others, and nothing that a build would fetch."""
import re
import subprocess

from kit.bearerd import BINARY, ROOT

LIBRARIES = {"microhttpd", "curl", "inih", "jansson", "ssl", "crypto", "sqlite3", "seccomp", "c", "m", "pthread", "gcc_s"}
SANITIZERS = {"asan", "ubsan", "tsan"}


def test_the_libraries_it_is_linked_with():
    text = subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[lib(\w+)\.so", text))
    assert "microhttpd" in needed and needed <= LIBRARIES | SANITIZERS
    assert "(RPATH)" not in text and "(RUNPATH)" not in text


def test_a_build_fetches_nothing():
    paths = [ROOT / "CMakeLists.txt", *ROOT.glob("cmake/*"), *ROOT.glob("src/**/CMakeLists.txt"), *ROOT.glob("tests/CMakeLists.txt")]
    assert len(paths) > 4
    for path in paths:
        assert not re.search(r"FetchContent|ExternalProject|file\s*\(\s*DOWNLOAD|\b(curl|wget|git)\b\s+\S", path.read_text()), path
