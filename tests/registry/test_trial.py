"""Bundles that are opened and asked in a process of their own: whole, poisoned, hanging."""

import os
import shutil
from pathlib import Path

import pytest

from moss_speech.registry.trial import try_bundle
from moss_speech.storage import read_json, write_json
from tests.poison import change_first_tensor, wider, with_nan
from tests.tiny_bundle import tiny_bundle

WITHIN_S = 120


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


def test_whole_bundle_answers_and_its_latency_is_measured(bundle: Path) -> None:
    found = try_bundle(bundle, WITHIN_S)
    assert 0 < found["latency.first_audio_s"] < WITHIN_S
    assert found["latency.real_time_factor"] > 0


def test_bundle_of_numbers_that_are_none_is_refused(bundle: Path) -> None:
    change_first_tensor(bundle, "codec/flow/model.safetensors", with_nan)
    with pytest.raises(ValueError, match=r"codec/flow/model\.safetensors"):
        try_bundle(bundle, WITHIN_S)


def test_sealed_bundle_of_another_shape_is_refused_by_the_file_that_does_not_fit(
    bundle: Path,
) -> None:
    change_first_tensor(bundle, "lm/model.safetensors", wider)
    with pytest.raises(ValueError, match="does not answer: "):
        try_bundle(bundle, WITHIN_S)


def test_bundle_that_hangs_is_ended_in_time(bundle: Path) -> None:
    """A named pipe never gives a byte: who reads it to check its seal waits for ever."""
    (bundle / "lm/model.safetensors").unlink()
    os.mkfifo(bundle / "lm/model.safetensors")
    card = read_json(bundle / "card.json")
    card["files"]["lm/model.safetensors"]["bytes"] = 0
    write_json(bundle / "card.json", card)
    with pytest.raises(ValueError, match=r"did not open and answer within .* 15 s"):
        try_bundle(bundle, 15)
