"""Models that nothing can go on from, and bundles that cannot be made new."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moss_speech.card import CARD, seal
from moss_speech.registry.start import bring_start
from moss_speech.storage import fresh_dir, read_json, write_json
from moss_speech.upgrades import upgrade_bundle
from tests.tiny_bundle import tiny_bundle

Make = Callable[[Path], Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("made"))


def card(**changes: Any) -> Make:
    return lambda folder: write_json(folder / CARD, {**read_json(folder / CARD), **changes})


def raw(content: bytes) -> Make:
    return lambda folder: (folder / CARD).write_bytes(content)


def truncate(folder: Path) -> None:
    path = folder / "lm" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder: Path) -> None:
    path = folder / "codec" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def link_loop(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)


def seal_outside(folder: Path) -> None:
    content = read_json(folder / CARD)
    files = {**content["files"], "../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}
    write_json(folder / CARD, {**content, "files": files})


COMMON: list[tuple[str, Make, str]] = [
    ("no card", lambda folder: (folder / CARD).unlink(), "is no bundle: card.json is missing"),
    ("empty card", raw(b""), "card.json is not JSON"),
    ("card in Latin-1", raw(b'{"a": "\xe9"}'), "card.json is not JSON"),
    ("card nested without end", raw(b"[" * 200_000), "card.json is not JSON"),
    ("card that is a list", raw(b"[1]"), "format_version is None"),
    ("format in words", card(format_version="one"), "format_version is 'one', must be a number"),
    ("format true", card(format_version=True), "format_version is True"),
    ("format below 0", card(format_version=-1), "format_version is -1"),
    ("file cut off", truncate, "is damaged: lm/model.safetensors has"),
    ("one bit flipped", flip, "is damaged: codec/model.safetensors has SHA-256"),
    ("file missing", lambda f: (f / "lm/tokenizer.json").unlink(), "lm/tokenizer.json is missing"),
    ("file too many", lambda f: (f / "x.txt").write_text("x"), "x.txt does not belong to it"),
    ("a pickle", lambda f: (f / "lm/x.bin").write_bytes(b"x"), "may be a pickle"),
    ("link to itself", link_loop, "loop is a link"),
    ("link to a file", lambda f: (f / "x").symlink_to("/etc/passwd"), "x is a link"),
    ("a pipe", lambda f: os.mkfifo(f / "pipe"), "pipe does not belong to it"),
    ("card that seals a file outside", seal_outside, "../../etc/passwd is missing"),
]
"""Of bundles of any format."""

STARTS: list[tuple[str, Make, str]] = [
    *COMMON,
    ("older format", card(format_version=0), "has format 0, this program reads 1"),
    ("newer format", card(format_version=99), "has format 99, this program reads 1"),
]
ADDRESSES: list[tuple[str, str, str]] = [
    ("no champion", "models:/moss-speech@champion", "has no champion yet"),
    ("no such version", "models:/moss-speech/7", "no model version 7"),
    ("another model", "models:/other/1", "model is 'other', the registry has only"),
    ("address cut off", "models:/moss-speech", "must be models:/NAME@ALIAS"),
    ("no folder", "nowhere/bundle", "is no bundle: card.json is missing"),
]
OLD: list[tuple[str, Make, str]] = [
    *COMMON,
    ("not older", card(format_version=1), "which is of today: nothing to upgrade"),
    ("newer", card(format_version=2), "newer than this program"),
    ("no seals", card(files=None), "does not seal its files"),
    ("seals that are none", card(files={"a": 1}), "does not seal its files (1 wrong entries)"),
]


def names(kinds: list[tuple[str, Any, str]]) -> list[str]:
    return [kind[0] for kind in kinds]


@pytest.mark.parametrize(("name", "make", "words"), STARTS, ids=names(STARTS))
def test_bad_start_is_refused_and_nothing_written(
    made: Path, project_root: Path, name: str, make: Make, words: str
) -> None:
    make(Path(shutil.copytree(made, project_root / "bad")))
    with pytest.raises(ValueError) as found, fresh_dir(project_root / "start") as out:
        bring_start("bad", out)
    assert words in str(found.value)
    assert not (project_root / "start").exists()


@pytest.mark.parametrize(("name", "address", "words"), ADDRESSES, ids=names(ADDRESSES))
def test_bad_address_is_refused_by_name(store: Path, name: str, address: str, words: str) -> None:
    with pytest.raises(ValueError) as found:
        bring_start(address, store)
    assert words in str(found.value)


@pytest.mark.parametrize(("name", "make", "words"), OLD, ids=names(OLD))
def test_bad_old_bundle_is_refused_and_nothing_written(
    made: Path, tmp_path: Path, name: str, make: Make, words: str
) -> None:
    old = Path(shutil.copytree(made, tmp_path / "old"))
    files = {file: sealed.model_dump() for file, sealed in seal(old).items()}
    write_json(old / CARD, {**read_json(old / CARD), "format_version": 0, "files": files})
    make(old)
    with pytest.raises(ValueError) as found:
        upgrade_bundle(old, tmp_path / "new", {0: lambda _, was: was})
    assert words in str(found.value)
    assert {path.name for path in tmp_path.iterdir()} == {"old"}


KINDS: list[tuple[str, Any, str]] = [*STARTS, *ADDRESSES, *OLD[len(COMMON) :]]
