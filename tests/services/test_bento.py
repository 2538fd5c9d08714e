"""A Bento with its model: built here, moved elsewhere, served without the project."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from moss_speech.card import verify_bundle
from moss_speech.storage import read_json, tree_digest
from tests.services.conftest import ROOT, START_S, free_port, stop
from tests.services.running import ask
from tests.tiny_bundle import tiny_bundle

pytestmark = pytest.mark.slow
MARK = "code of the Bento"
BENTOML_RULES = ("DL3008", "DL3009", "DL3013", "DL3042", "DL3046", "DL3066", "SC3020")
"""What BentoML's own lines of the file break: unpinned system packages, caches, its user."""


@dataclass(frozen=True)
class Packed:
    """What the command said, where it put the Bento, and the model it was given."""

    said: str
    folder: Path
    model: Path


def environment(**more: str) -> dict[str, str]:
    """This environment without anything that leads back to the project."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOSS_", "PYTHONPATH"))}
    return kept | {"BENTOML_DO_NOT_TRACK": "True"} | more


def package(model: Path, state: Path, out: Path) -> subprocess.CompletedProcess[str]:
    ours = {"MOSS_MODEL": str(model), "MOSS_STATE_FOLDER": str(state)}
    env = environment(PYTHONPATH=f"{ROOT / 'src'}{os.pathsep}{ROOT}", **ours)
    command = [sys.executable, "-m", "moss_speech.cli", "package", str(out)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("bento")
    model = tiny_bundle(folder / "model")
    done = package(model, folder / "state", folder / "out")
    assert done.returncode == 0, done.stderr
    return Packed(done.stdout.strip(), folder / "out", model)


def test_bento_holds_code_pins_labels_and_the_model_once(packed: Packed) -> None:
    assert packed.said.startswith("moss-speech:")
    about = yaml.safe_load((packed.folder / "bento.yaml").read_text())
    labels = about["labels"]
    assert labels["model_version"] == "local" and labels["model_licence"] == "Apache-2.0"
    source = packed.folder / "src"
    assert tree_digest(source / "packed") == tree_digest(packed.model)
    assert read_json(source / "packed.json") == {"version": None, "digest": None}
    assert (packed.folder / ".dockerignore").read_text().split() == ["src/.moss"]
    assert verify_bundle(source / "packed").about.name == labels["model"]
    weights = "lm/model.safetensors"
    assert (source / "packed" / weights).samefile(packed.model / weights)
    for name in ("services/web/index.html", "services/service.py", "moss_speech/py.typed"):
        assert (source / name).read_bytes() == _of_project(name).read_bytes()
    pins = set((ROOT / "constraints.txt").read_text().splitlines())
    found = (packed.folder / "env/python/requirements.txt").read_text().splitlines()
    assert pins == {line for line in found if line}
    assert str(ROOT) not in (packed.folder / "bento.yaml").read_text()


def _of_project(name: str) -> Path:
    return ROOT / ("src" if name.startswith("moss_speech/") else "") / name


def test_linter_accepts_the_containers_file(packed: Packed) -> None:
    if (hadolint := shutil.which("hadolint")) is None:
        pytest.skip("no hadolint is installed")
    command = [hadolint, *(f"--ignore={rule}" for rule in BENTOML_RULES)]
    command.append(str(packed.folder / "env/docker/Dockerfile"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_containers_file_is_ours(packed: Packed) -> None:
    found = instructions((packed.folder / "env/docker/Dockerfile").read_text())
    images = [value for name, value in found if name == "FROM"]
    assert images == ["python:3.11-slim-bookworm AS base-container"]
    assert [value for name, value in found if name == "USER"][-1] == "bentoml"
    assert ("EXPOSE", "3000") in found
    copied = [value.split()[1] for name, value in found if name == "COPY"]
    assert copied and all((packed.folder / path).exists() for path in copied)
    arguments = dict(value.split("=", 1) for name, value in found if name == "ARG")
    assert arguments["BENTOML_HOST"] == "0.0.0.0" and arguments["MOSS_AUTH"] == "keys"
    variables = {value.split("=")[0] for name, value in found if name == "ENV"}
    assert {"BENTOML_HOST", "MOSS_AUTH", "MOSS_STATE_FOLDER", "DO_NOT_TRACK"} <= variables
    assert not [value for name, value in found if re.search("PASSWORD|SECRET|TOKEN", value)]
    pod = next(yaml.safe_load_all((ROOT / "infra/k8s/service.yaml").read_text()))
    user = pod["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert arguments["BENTO_USER_UID"] == str(user)


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile and what follows them, continued lines joined."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    known = {"FROM", "ENV", "ARG", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "ENTRYPOINT"}
    assert {pair[0] for pair in pairs} <= known
    return [(name, value.strip()) for name, value in pairs]


@pytest.fixture(scope="module")
def served(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and log of the Bento, moved and started in an empty folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    bento = packed.folder.rename(folder / "bento")
    package_init = bento / "src" / "moss_speech" / "__init__.py"
    text = package_init.read_text()
    package_init.unlink()  # it may be linked to the store's
    package_init.write_text(f"{text}\nprint({MARK!r}, flush=True)\n")
    (folder / "empty").mkdir()
    port, log = free_port(), folder / "log"
    env = environment(MOSS_STATE_FOLDER=str(folder / "state"), BENTOML_HOME=str(folder / "bentoml"))
    command = [sys.executable, "-m", "bentoml", "serve", str(bento)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder / "empty", env=env, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield wait_until_ready(f"http://127.0.0.1:{port}", process, log), log
    finally:
        stop(process)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return url
        time.sleep(0.2)


def test_bento_answers_without_the_project(served: tuple[str, Path]) -> None:
    url, log = served
    card = httpx.get(f"{url}/v1/models").json()["data"][0]
    assert card["voices"] == ["assistant"] and card["lineage"]["name"] == "tiny random model"
    assert ask(url, "assistant")["choices"][0]["message"]["audio"]["data"]
    assert httpx.get(f"{url}/").status_code == 200
    assert MARK in log.read_text()
    assert str(ROOT / "src") not in log.read_text()
    assert list((log.parent / "empty").iterdir()) == []


def test_probes_of_the_manifest_are_answered(served: tuple[str, Path]) -> None:
    pod: dict[str, Any] = next(
        yaml.safe_load_all((ROOT / "infra/k8s/service.yaml").read_text())
    )["spec"]["template"]  # fmt: skip
    (container,) = pod["spec"]["containers"]
    probes = [part["httpGet"]["path"] for name, part in container.items() if "Probe" in name]
    paths = {*probes, pod["metadata"]["annotations"]["prometheus.io/path"]}
    assert {httpx.get(f"{served[0]}{path}").status_code for path in paths} == {200}


def test_damaged_model_is_not_packed(packed: Packed, tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "model")
    (model / "lm" / "tokenizer.json").write_text("{}")
    done = package(model, tmp_path / "state", tmp_path / "out")
    assert done.returncode == 1
    assert "nothing was packed" in done.stderr and "tokenizer.json" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
