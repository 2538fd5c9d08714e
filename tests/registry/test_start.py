"""What training goes on from: brought whole, noticed when its address leads elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from moss_speech.card import CARD, read_card
from moss_speech.registry.start import NOTHING, bring_start, find_start, has_moved
from moss_speech.registry.versions import register_candidate
from moss_speech.storage import fresh_dir, tree_digest, write_bytes, write_json
from tests.registry.candidates import make_candidate, promote
from tests.tiny_bundle import tiny_bundle

CHAMPION = "models:/moss-speech@champion"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("made"))


def bundle(made: Path, folder: Path, **parents: str) -> Path:
    """A copy of a bundle that differs by its parents, as one made from another start does."""
    shutil.copytree(made, folder)
    card = read_card(folder)
    about = card.about.model_copy(update={"parents": parents})
    write_json(folder / CARD, card.model_copy(update={"about": about}).model_dump())
    return folder


def crown(folder: Path) -> int:
    version = register_candidate(replace(make_candidate(folder.name), bundle=folder))
    assert promote(version, "test").result == "committed"
    return version


def write_address(root: Path, address: str | None) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump({"start": {"threads": 1, "model": address}}))


def bring(root: Path, address: str | None) -> Path:
    """What the stage does."""
    with fresh_dir(root / "models" / "start") as out:
        bring_start(address, out)
    return root / "models" / "start"


def test_start_from_nothing_is_a_folder_that_says_so(project_root: Path) -> None:
    write_address(project_root, None)
    assert [path.name for path in bring(project_root, None).iterdir()] == [NOTHING]
    assert not has_moved(project_root)


def test_champion_is_brought_byte_for_byte(store: Path, made: Path) -> None:
    crown(made)
    folder = bring(store, CHAMPION)
    assert tree_digest(folder) == tree_digest(made) == find_start(CHAMPION).digest
    write_address(store, CHAMPION)
    assert not has_moved(store)


def test_new_champion_moves_the_start_and_its_offspring_does_not(store: Path, made: Path) -> None:
    crown(made)
    write_address(store, CHAMPION)
    assert not has_moved(store)  # nothing was brought yet: DVC runs the stage anyway
    folder = bring(store, CHAMPION)
    crown(bundle(made, store / "child", start=tree_digest(folder)))
    assert not has_moved(store)
    stranger = crown(bundle(made, store / "stranger", start="0" * 64))
    assert has_moved(store)
    bring(store, CHAMPION)
    assert not has_moved(store)
    write_address(store, "models:/moss-speech/1")
    assert has_moved(store)
    assert stranger == 3


def test_edited_bundle_folder_moves_the_start(project_root: Path, made: Path) -> None:
    bundle(made, project_root / "mine")
    write_address(project_root, "mine")
    bring(project_root, "mine")
    assert not has_moved(project_root)
    write_bytes(project_root / "mine" / "lm" / "notes.txt", b"edited")
    assert has_moved(project_root)


def test_start_from_nothing_forgets_the_model_that_was_there(store: Path, made: Path) -> None:
    bring(store, str(made))
    assert [path.name for path in bring(store, None).iterdir()] == [NOTHING]
