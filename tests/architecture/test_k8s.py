"""The Kubernetes manifest: one service that fits itself, our settings and the image."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from moss_speech.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "infra" / "k8s" / "service.yaml"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
Manifests = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return {doc["kind"]: doc for doc in yaml.safe_load_all(FILE.read_text())}


@pytest.fixture(scope="module")
def container(manifests: Manifests) -> dict[str, Any]:
    (found,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_all_parts_are_there_and_select_the_same_pods(manifests: Manifests) -> None:
    assert manifests.keys() == {"Deployment", "Service", "PodDisruptionBudget"}
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    enough = manifests["PodDisruptionBudget"]["spec"]["minAvailable"]
    assert enough < manifests["Deployment"]["spec"]["replicas"]


def test_ports_and_probes_name_the_one_port(
    manifests: Manifests, container: dict[str, Any]
) -> None:
    (port,) = container["ports"]
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert {container[probe]["httpGet"]["port"] for probe in PROBES} == {port["name"]}
    annotations = manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_variables_are_settings_and_hold_no_secret(container: dict[str, Any]) -> None:
    known = {f"MOSS_{name.upper()}" for name in Settings.model_fields}
    assert {variable["name"] for variable in container["env"]} <= known
    plain = {v["name"]: v["value"] for v in container["env"] if "value" in v}
    assert not [name for name in plain if re.search("KEY$|URL|SECRET|PASSWORD", name)]
    values = {name.removeprefix("MOSS_").lower(): value for name, value in plain.items()}
    Settings.model_validate_strings(values)


def test_image_has_the_version_of_the_project_and_few_rights(
    manifests: Manifests, container: dict[str, Any]
) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container["image"] == f"moss-speech-service:{version}"
    compose = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())
    assert compose["services"]["service"]["image"] == container["image"]
    assert manifests["Deployment"]["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
