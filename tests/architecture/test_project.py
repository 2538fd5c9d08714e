"""What the repository may hold: versions without addresses, presets that validate, off switches."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from moss_speech.params.base import read_yaml
from moss_speech.params.sections import Pipeline, load_pipeline
from moss_speech.settings import settings

ROOT = Path(__file__).parents[2]
PRESETS = ("tiny", "demo", "finetune", "paper")
REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted\.org|/simple/?\b.*whl|--index-url +http")
TEXTS = (".py", ".toml", ".yaml", ".yml", ".txt", ".md", ".sh", ".cfg", "")


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git history here")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_constraints_hold_versions_and_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if "://" in line or "==" not in line] == []


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    names = {re.split(r"[<>=\[; ]", line)[0].lower().replace("_", "-") for line in wanted}
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names - pinned == set()
    assert len(project["dependencies"]) <= 30


def test_no_file_names_a_package_registry() -> None:
    here = Path(__file__)
    named = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix in TEXTS and path != here and REGISTRY_HOST.search(path.read_text())
    ]
    assert named == []


def test_lock_of_dvc_is_neither_committed_nor_ignored() -> None:
    assert ROOT / "dvc.lock" not in tracked_files()
    ignored = subprocess.run(["git", "check-ignore", "-q", "dvc.lock"], cwd=ROOT, check=False)
    assert ignored.returncode == 1


def test_committed_configuration_of_dvc_is_silent() -> None:
    text = (ROOT / ".dvc" / "config").read_text()
    assert "analytics = false" in text
    assert "check_update = false" in text


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_validates_with_the_strict_classes(preset: str) -> None:
    load_pipeline(ROOT / "presets" / f"{preset}.yaml")


def test_params_file_is_the_demo_preset() -> None:
    if settings().root != ROOT:
        pytest.skip("settings point elsewhere")
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "presets" / "demo.yaml").read_bytes()


@pytest.mark.parametrize("stage", read_yaml(ROOT / "dvc.yaml")["stages"])
def test_stage_module_has_the_section_that_the_whole_file_is_checked_with(stage: str) -> None:
    module = importlib.import_module(f"moss_speech.stages.{stage}")
    assert Pipeline.model_fields[stage].annotation is module.Section
    assert callable(module.run)


def test_stage_module_is_a_table_of_contents() -> None:
    for path in (ROOT / "src" / "moss_speech" / "stages").glob("*.py"):
        if path.name not in ("__main__.py", "runner.py"):
            assert len(path.read_text().splitlines()) < 80, path.name
