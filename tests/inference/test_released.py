"""A released language model and codec served without a training: found, checked, made a bundle."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.bundle import Bundle
from moss_speech.card import read_card
from moss_speech.cli import app
from moss_speech.decoder.convert import PUBLISHED_SHAPES
from moss_speech.registry.fetch import find_model
from moss_speech.settings import settings
from tests.small_release import TERMS, write_codec, write_imported, write_lm, write_prompt


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    write_lm(folder / "lm")
    write_imported(folder / "codec", write_codec(folder / "released"))
    return folder


@pytest.fixture
def release(project_root: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both folders that the settings name."""
    shutil.copytree(downloads, project_root / "downloads")
    choose(monkeypatch, MOSS_MODEL="downloads/lm", MOSS_CODEC="downloads/codec")
    return project_root / "downloads"


def choose(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def found() -> Path:
    return find_model(settings().model).folder


def test_release_is_a_bundle_in_the_state_folder_made_once(release: Path) -> None:
    folder = found()
    assert folder.is_relative_to(settings().state)
    assert (folder / "lm/model.safetensors").samefile(release / "lm/model.safetensors")
    about = read_card(folder).about
    assert about.licence == f"{release}/lm/LICENSE; {release}/codec/LICENSE"
    assert about.unlicensed is None
    assert set(about.parents) == {"lm", "codec"}
    before = (folder / "card.json").stat().st_mtime_ns
    assert found() == folder
    assert (folder / "card.json").stat().st_mtime_ns == before
    (release / "lm" / "LICENSE").write_text("other terms")
    assert found() != folder


def test_voice_is_added_to_a_release_and_speaks(release: Path) -> None:
    command = CliRunner().invoke
    prompt = str(write_prompt(release / "ann.wav"))
    refused = command(app, ["ask", prompt])
    assert refused.exit_code == 1 and "has no voice" in refused.stderr
    added = command(app, ["voice", "add", "ann", prompt, *TERMS])
    assert added.exit_code == 0, added.stderr
    assert (release.parent / "voices" / "ann" / "voice.safetensors").is_file()
    asked = command(app, ["ask", prompt, str(release / "answer.wav")])
    assert asked.exit_code == 0, asked.stderr
    assert (release / "answer.wav").stat().st_size > 44
    assert Bundle.open(found()).voices == {}


@pytest.mark.parametrize("part", ["lm", "codec"])
def test_weights_without_a_licence_need_an_acceptance(
    release: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    (release / part / "LICENSE").unlink()
    with pytest.raises(ValueError, match=f"{part} has no licence .*MOSS_ACCEPT_UNLICENSED=true"):
        found()
    choose(monkeypatch, MOSS_ACCEPT_UNLICENSED="true")
    about = read_card(found()).about
    assert f"{part} has none, accepted by MOSS_ACCEPT_UNLICENSED=true" in about.licence
    assert about.unlicensed == str(release / part)
    caplog.clear()
    found()  # made already, and said again
    assert f"{part} has none, accepted by" in caplog.text


def test_acceptance_of_licensed_weights_is_refused(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, MOSS_ACCEPT_UNLICENSED="true")
    with pytest.raises(ValueError, match="has LICENSE"):
        found()


def test_language_model_alone_asks_for_its_codec(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOSS_CODEC")
    settings.cache_clear()
    with pytest.raises(ValueError, match=r"language model alone, .* set MOSS_CODEC"):
        found()


def test_parts_that_do_not_fit_leave_nothing_behind(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lm(release / "other", n_codes=65)
    choose(monkeypatch, MOSS_MODEL="downloads/other")
    with pytest.raises(ValueError, match="the codec has 64 codes, the language model 65"):
        found()
    choose(monkeypatch, MOSS_MODEL="downloads/lm", MOSS_CODEC="downloads/released")
    with pytest.raises(ValueError, match="by the config"):  # taken for one of the released size
        found()
    assert [p.name for p in (settings().state / "models" / "released").iterdir()] == ["lock"]


@pytest.mark.slow
def test_codec_of_the_released_size_is_taken_as_downloaded(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lm(project_root / "lm", n_codes=16384)
    write_codec(project_root / "codec", PUBLISHED_SHAPES, 16384)
    choose(monkeypatch, MOSS_MODEL="lm", MOSS_CODEC="codec")
    bundle = Bundle.open(found())
    assert len(bundle.decoder.flow.state_dict()) == 1121
    assert len(bundle.decoder.vocoder.state_dict()) == 328
    assert bundle.card.about.params["flow"] == "flow-chunk-5"
