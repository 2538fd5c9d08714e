"""The compose file and the images: driven by the same settings, checked by their own tools."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from moss_speech.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "infra" / "compose.yaml"
DOCKERFILES = sorted((ROOT / "infra" / "docker").glob("*.Dockerfile"))
SECRETS = {"MOSS_POSTGRES_PASSWORD": "a", "MOSS_S3_KEY": "b", "MOSS_S3_SECRET": "c"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return dict(content["services"])


def test_platform_has_all_its_parts(services: dict[str, Any]) -> None:
    assert {"postgres", "store", "prefect", "mlflow", "worker", "service"} <= services.keys()


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    known = {f"MOSS_{name.upper()}" for name in Settings.model_fields}
    named = {k for s in services.values() for k in s.get("environment", {}) if k[:5] == "MOSS_"}
    assert named <= known
    assert {"MOSS_PREFECT_API_URL", "MOSS_MLFLOW_TRACKING_URI", "MOSS_DATABASE_URL"} <= named


def test_passwords_are_asked_for_and_never_written_down() -> None:
    text = COMPOSE.read_text()
    values = re.findall(r"(?:PASSWORD|SECRET\w*|_KEY\w*): (?!\$\{)(\S+)", text)
    assert values == []


def test_only_loopback_ports_are_opened(services: dict[str, Any]) -> None:
    ports = [port for s in services.values() for port in s.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_built_from_files_that_exist(services: dict[str, Any]) -> None:
    for service in services.values():
        if "build" in service:
            build = service["build"]
            assert (COMPOSE.parent / build["context"] / build["dockerfile"]).is_file()
        else:
            assert ":" in service["image"], "an image without a version"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.stem)
def test_image_copies_only_what_exists_and_runs_as_a_user(path: Path) -> None:
    lines = path.read_text().splitlines()
    copied = [part for line in lines if line.startswith("COPY ") for part in line.split()[1:-1]]
    assert [part for part in copied if not (ROOT / part).exists()] == []
    assert "USER 1000" in lines


def test_compose_accepts_the_file() -> None:
    if (compose := shutil.which("docker-compose")) is None:
        pytest.skip("no docker-compose is installed")
    command = [compose, "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, env=os.environ | SECRETS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_compose_names_the_password_that_is_missing() -> None:
    if (compose := shutil.which("docker-compose")) is None:
        pytest.skip("no docker-compose is installed")
    command = [compose, "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set it in infra/.env" in done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.stem)
def test_linter_accepts_the_image(path: Path) -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint is installed")
    done = subprocess.run([hadolint, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
