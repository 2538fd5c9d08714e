from pathlib import Path

import pytest

from moss_speech.params.presets import use_preset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "presets").mkdir()
    for name in ("tiny", "demo"):
        (tmp_path / "presets" / f"{name}.yaml").write_text(f"# {name}\nseed: 1\n")
    (tmp_path / "params.yaml").write_text("# demo\nseed: 1\n")
    return tmp_path


def test_no_preset_leaves_the_params_as_they_are(root: Path) -> None:
    (root / "params.yaml").write_text("seed: 7\n")
    use_preset(root, None)
    assert (root / "params.yaml").read_text() == "seed: 7\n"


def test_copy_of_one_preset_becomes_another(root: Path) -> None:
    use_preset(root, "tiny")
    assert (root / "params.yaml").read_text().startswith("# tiny")


def test_missing_params_file_is_made(root: Path) -> None:
    (root / "params.yaml").unlink()
    use_preset(root, "tiny")
    assert (root / "params.yaml").read_text().startswith("# tiny")


def test_edits_of_ones_own_are_never_overwritten(root: Path) -> None:
    (root / "params.yaml").write_text("# demo\nseed: 2\n")
    with pytest.raises(ValueError, match="edits of its own"):
        use_preset(root, "demo")
    assert (root / "params.yaml").read_text() == "# demo\nseed: 2\n"


def test_unknown_preset_is_refused_with_the_known_ones(root: Path) -> None:
    with pytest.raises(ValueError, match="presets/ has demo, tiny"):
        use_preset(root, "dmeo")
