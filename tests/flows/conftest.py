from collections.abc import Iterator
from pathlib import Path

import pytest

from moss_speech.settings import settings
from tests.flows.sleeping import write_workspace


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three independent sleeping stages, and settings that point at them."""
    workspace = write_workspace(tmp_path / "workspace")
    monkeypatch.setenv("MOSS_ROOT", str(workspace))
    settings.cache_clear()
    yield workspace
    settings.cache_clear()
