"""The model that travels inside a Bento keeps its name in the registry."""

from pathlib import Path

import pytest

from moss_speech.settings import Settings
from moss_speech.storage import write_json
from services import packed


def test_packed_model_keeps_its_version_and_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "PACKED", tmp_path / "packed")
    monkeypatch.setattr(packed, "settings", Settings)
    monkeypatch.delenv("MOSS_MODEL", raising=False)
    assert packed.packed_model(packed.served_settings()) is None
    packed.PACKED.mkdir()
    write_json(tmp_path / packed.IDENTITY, {"version": 3, "digest": "d" * 64})
    found = packed.packed_model(packed.served_settings())
    assert found is not None
    assert (found.folder, found.version, found.digest) == (packed.PACKED, 3, "d" * 64)
    monkeypatch.setenv("MOSS_MODEL", "models:/moss-speech@champion")
    assert packed.packed_model(packed.served_settings()) is None
