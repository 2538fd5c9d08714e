import numpy as np
import pytest

from moss_speech.assets import fetch
from moss_speech.evaluation.benchmarks.hearing import (
    check_name,
    describe_writer,
    open_writer,
)
from tests.tiny_bundle import spoken


def test_clip_is_heard_alike_by_name_and_by_folder():
    by_name = open_writer("whisper-tiny.en", "en")
    by_folder = open_writer(f"whisper:{fetch('whisper-tiny.en')}", "en")
    clip_S = spoken("what color is the grass", 24000)
    assert by_name(clip_S, 24000) == by_folder(clip_S, 24000)
    assert "color" in by_name(clip_S, 24000).lower()


def test_whisper_keeps_case_and_marks_for_whoever_checks_them():
    heard = open_writer("whisper-tiny.en", "en")(spoken("what color is the grass", 24000), 24000)
    assert heard[0].isupper()
    assert heard[-1] in ".?!"


def test_silence_is_heard_as_text():
    assert isinstance(open_writer("sphinx", "en")(np.zeros(24000, np.float32), 24000), str)


@pytest.mark.parametrize(
    ("name", "language", "words"),
    [
        ("whisper-huge", "en", "recogniser is 'whisper-huge', must be one of whisper-base"),
        ("whisper-tiny.en", "zh", "hears English only, language is 'zh'"),
        ("sphinx", "de", "hears English only"),
        ("whisper:/nowhere", "en", "/nowhere holds no model.bin"),
        ("whisper:FOLDER", "en", "FOLDER holds no model.bin"),
    ],
)
def test_recogniser_that_cannot_hear_is_refused(name, language, words):
    with pytest.raises(ValueError, match=words):
        check_name(name, language)


def test_versions_are_named_without_opening_a_model():
    base, folder = (
        describe_writer(name, "en")
        for name in ("whisper-base", f"whisper:{fetch('whisper-tiny.en')}")
    )
    assert base["name"] == "whisper-base"
    assert "ctranslate2" in base["version"]
    assert len(folder["version"].split(",")[0].split(" ")[-1]) == 64  # a digest of the weights
    assert "pocketsphinx" in describe_writer("sphinx", "en")["version"]
    assert "language zh" in describe_writer("whisper-base", "zh")["version"]
