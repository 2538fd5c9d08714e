"""Strict reading of params.yaml."""

from pathlib import Path

import pytest
from pydantic import Field

from moss_speech.params.base import Params, Range, load_section, read_yaml


class Section(Params):
    """A section with limits."""

    lr: float = Field(gt=0, le=0.1)
    rate_range: Range = Field(default=[0.8, 1.0])


def _load(tmp_path: Path, text: str) -> Section:
    (tmp_path / "params.yaml").write_text(text)
    return load_section(tmp_path / "params.yaml", "train", Section)


def test_valid_section_is_read(tmp_path: Path) -> None:
    assert _load(tmp_path, "train: {lr: 1.0e-4}").lr == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {lr: 1.0e-4, lrr: 1}", r"train\.lrr is 1: Extra inputs"),
        ("train: {lr: 1e-4}", r"train\.lr is '1e-4': Input should be a valid number"),
        ("train: {lr: 3.0}", r"train\.lr is 3\.0: Input should be less than or equal to 0\.1"),
        ("train: {}", r"train\.lr is missing"),
        (
            "train: {lr: 0.1, rate_range: [1.0, 0.8]}",
            r"train\.rate_range is \[1\.0, 0\.8\]: .*must be \[low, high\]",
        ),
        ("other: {}", "no section 'train'; it has other"),
    ],
)
def test_wrong_section_is_refused_with_key_value_and_limit(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: 1\na: 2", "repeats the key 'a'"), ("- a", "holds a list"), ("a: [", "is not YAML")],
)
def test_wrong_file_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_yaml(path)
    assert "params.yaml" in str(error.value)
