"""A project root of its own, so that nothing is kept between tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from moss_speech.settings import settings


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    assets = settings().assets
    settings.cache_clear()
    monkeypatch.setenv("MOSS_ROOT", str(tmp_path))
    monkeypatch.setenv("MOSS_ASSETS_FOLDER", str(assets))
    monkeypatch.setenv("MOSS_STATE_FOLDER", str(tmp_path / "state"))
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def cleaning() -> Clean:
    """The demo's cleaning in one process, listening to nothing but doubtful items."""
    p = load_section(Path(__file__).parents[2] / "presets" / "demo.yaml", "clean", Clean)
    return p.model_copy(update={"threads": 1, "sample": 0, "max_reject_share": 1.0})
