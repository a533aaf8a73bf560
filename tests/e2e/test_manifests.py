# SPDX-License-Identifier: MIT
"""What starts bearerd elsewhere, as far as it can be looked at without a cluster: manifests parse, name what is there, and
the configuration in them is sound."""
import json
import re
import subprocess

import pytest
import yaml
from kit.bearerd import BINARY, ROOT

MANIFEST = list(yaml.safe_load_all((ROOT / "conf/examples/kubernetes.yaml").read_text()))
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())


def check(path):
    return subprocess.run([BINARY, "check", "-c", str(path)], capture_output=True, text=True, timeout=20)


@pytest.fixture
def pod():
    (pod,) = [document for document in MANIFEST if document["kind"] == "Pod"]
    return pod["spec"]


@pytest.fixture
def sidecar(pod):
    (container,) = pod["initContainers"]
    return container


def of_config_map():
    (config,) = [document for document in MANIFEST if document["kind"] == "ConfigMap"]
    return config["data"]["bearerd.ini"]


@pytest.mark.parametrize("way", ["secret", "assertion"])
def test_the_configuration_in_the_manifest_is_sound(tmp_path, way):
    text, path = of_config_map(), tmp_path / "bearerd.ini"
    if way == "assertion":
        text = re.sub(r"^client_secret = .*\n", "", text, flags=re.M)
        text = re.sub(r"^;(?=a)", "", text, flags=re.M)
        assert "auth_method = assertion_file" in text
    path.write_text(text)
    done = check(path)
    # What is mounted is only there in a cluster; nothing else is amiss.
    said = [line for line in (done.stdout + done.stderr).splitlines() if re.search(r"bearerd\.ini:\d+: ", line)]
    assert done.returncode == 0 and len(said) == 1 and "it is tried again when it is needed" in said[0]
    path.write_text(text.replace("required = yes", "requried = yes"))
    assert check(path).returncode != 0


def test_it_is_a_native_sidecar(sidecar):
    """Started before the program, and kept: without this an init container that does not end holds the pod up."""
    assert sidecar["restartPolicy"] == "Always" and "startupProbe" in sidecar


def test_the_program_starts_with_a_token_and_a_busy_sidecar_lives(sidecar):
    """Started: a token is there. Alive: what answers when the proxy has all the clients it may have."""
    commands = {name: sidecar[name]["exec"]["command"][1:] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert commands["startupProbe"][:2] == commands["readinessProbe"][:2] == ["status", "--quiet"]
    assert commands["livenessProbe"][0] == "ping"
    assert "required = yes" in of_config_map() and "[admin]" in of_config_map()
    assert all(sidecar[name]["timeoutSeconds"] >= 5 for name in commands), "a command waits that long for an answer"


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probes_are_commands_that_exist(sidecar, probe):
    program, *args = sidecar[probe]["exec"]["command"]
    assert program == "/usr/sbin/bearerd"
    usage = subprocess.run([BINARY, "help"], capture_output=True, text=True, timeout=20).stdout
    assert re.search(rf"^ +{args[0]}\b", usage, re.M)
    # An address where nobody listens, so it fails; but not for its options.
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=20)
    assert done.returncode not in (0, 2) and "usage" not in done.stderr


def test_what_is_mounted_is_there_and_what_is_named_is_mounted(pod, sidecar):
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in sidecar["volumeMounts"]}
    assert set(mounts.values()) == set(volumes)
    for path in re.findall(r"(?:file:|unix:|= )(/\S+)/[^/\s]+$", of_config_map(), re.M):
        assert path in mounts, path
    # Others must not read it, or bearerd refuses it.
    assert volumes["secret"]["secret"]["defaultMode"] & 0o007 == 0 and pod["securityContext"]["fsGroup"]


def test_compose(tmp_path):
    services = COMPOSE["services"]
    assert services["client"]["network_mode"] == "service:bearerd"
    assert services["client"]["depends_on"]["bearerd"]["condition"] == "service_healthy"
    health = ["/usr/sbin/bearerd", "status", "--quiet"]
    assert services["bearerd"]["healthcheck"]["test"][1:] == health
    (command,) = re.findall(r"^HEALTHCHECK .*CMD (.*)", (ROOT / "docker/Dockerfile").read_text(), re.M)
    assert json.loads(command) == health
    source = services["bearerd"]["volumes"][0].split(":")[0]
    given = services["bearerd"]["environment"]
    named = set(re.findall(r"(?:\$\{|env:)(\w+)(?!\w|:-)", (ROOT / "docker" / source).read_text()))
    assert named <= set(given)
