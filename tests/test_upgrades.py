"""Bundles of an older format. There is none yet, so the tests bring one, and the step from it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from moss_speech.bundle import Bundle
from moss_speech.card import CARD, FORMAT_VERSION, seal
from moss_speech.cli import app
from moss_speech.storage import read_json, tree_digest, write_bytes, write_json
from moss_speech.upgrades import STEPS, upgrade_bundle
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("made"))


def reseal(folder: Path, card: dict[str, Any]) -> None:
    files = {name: sealed.model_dump() for name, sealed in seal(folder).items()}
    write_json(folder / CARD, {**card, "files": files})


@pytest.fixture
def old(made: Path, tmp_path: Path) -> Path:
    """Format 0 of these tests: the licence stands outside `about`, a note lies in the folder."""
    folder = Path(shutil.copytree(made, tmp_path / "old"))
    card = read_json(folder / CARD)
    licence = card["about"].pop("licence")
    write_bytes(folder / "lm" / "note.txt", b"old")
    reseal(folder, {**card, "format_version": 0, "licence": licence})
    return folder


def from_0(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    (folder / "lm" / "note.txt").unlink()
    about = {**card["about"], "licence": card["licence"]}
    return {"about": about, "voices": card["voices"]}


def test_older_bundle_becomes_the_same_as_one_of_today(
    old: Path, made: Path, tmp_path: Path
) -> None:
    before = tree_digest(old)
    assert upgrade_bundle(old, tmp_path / "new", {0: from_0}) == 0
    assert tree_digest(tmp_path / "new") == tree_digest(made)
    assert tree_digest(old) == before


def test_older_bundle_is_not_opened_but_told_how(old: Path) -> None:
    with pytest.raises(ValueError, match="has format 0, this program reads 1: `moss-speech up"):
        Bundle.open(old)


def test_every_older_format_has_a_step() -> None:
    assert set(STEPS) == set(range(1, FORMAT_VERSION))  # format 0 never was


def test_step_that_makes_no_bundle_leaves_nothing(old: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="licence"):
        upgrade_bundle(old, tmp_path / "new", {0: lambda _, card: dict(card)})
    assert {path.name for path in tmp_path.iterdir()} == {"old"}


def test_command_says_why_not(made: Path, old: Path, tmp_path: Path) -> None:
    def said(*words: Path) -> str:
        result = CliRunner().invoke(app, ["upgrade", *map(str, words)])
        assert result.exit_code == 1
        return result.output

    assert "which is of today: nothing to upgrade" in said(made, tmp_path / "new")
    assert "no step leads from 0 on" in said(old, tmp_path / "new")
    assert "is not empty, must be a new folder" in said(old, old)
