"""A release as downloaded behind the real server."""

import base64
import io
from pathlib import Path

import httpx
import pytest
import soundfile
from typer.testing import CliRunner

from moss_speech.cli import app
from moss_speech.decoder.convert import PUBLISHED_SHAPES
from moss_speech.settings import settings
from tests.services.conftest import serving
from tests.services.running import ask
from tests.small_release import TERMS, write_codec, write_imported, write_lm, write_prompt


def add_voice(root: Path) -> None:
    done = CliRunner().invoke(
        app, ["voice", "add", "ann", str(write_prompt(root / "p.wav")), *TERMS]
    )
    assert done.exit_code == 0, done.stderr


def assert_answers(root: Path) -> None:
    with serving(root, Path(settings().model)) as server:
        card = httpx.get(f"{server.url}/v1/models").json()["data"][0]
        assert card["version"] == "local" and card["voices"] == ["ann"]
        assert "LICENSE" in card["lineage"]["licence"]
        audio = ask(server.url, "ann")["choices"][0]["message"]["audio"]["data"]
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(audio)))
        assert rate_hz == 24000 and samples.size and samples.size % 1920 == 0


@pytest.fixture
def chosen(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose settings name the folders `lm` and `codec` in it."""
    monkeypatch.setenv("MOSS_MODEL", str(project_root / "lm"))
    monkeypatch.setenv("MOSS_CODEC", str(project_root / "codec"))
    settings.cache_clear()
    return project_root


@pytest.mark.slow
def test_language_model_and_imported_codec_are_served(chosen: Path) -> None:
    write_lm(chosen / "lm")
    write_imported(chosen / "codec", write_codec(chosen / "released"))
    add_voice(chosen)
    assert_answers(chosen)


@pytest.mark.slow
def test_codec_of_the_released_size_is_served_as_downloaded(chosen: Path) -> None:
    write_lm(chosen / "lm", n_codes=16384)
    write_codec(chosen / "codec", PUBLISHED_SHAPES, 16384)
    add_voice(chosen)
    assert_answers(chosen)
