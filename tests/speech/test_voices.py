import numpy as np
import pytest

from moss_speech.audio import SPEAKING
from moss_speech.speech.voices import base
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.engines import open_synthesiser
from moss_speech.speech.voices.phonemes import ipa

VOICES = {"espeak-ng": "en-gb+m3", "flite": "rms", "piper": "joe", "kokoro": "jm_kumo"}


@pytest.mark.parametrize("name", ["espeak-ng", "flite", "piper"])
def test_equal_seeds_say_equal_samples(name):
    first, second = (
        open_synthesiser(name, 7).say("the number is four", VOICES[name], Manner())
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert 0.5 < len(first) / SPEAKING.sample_rate_hz < 4


def test_renditions_of_the_assistant_differ():
    joe = open_synthesiser("piper", 7)
    first, second = (joe.say("it is green", "joe", Manner()) for _ in range(2))
    assert len(first) != len(second) or not np.array_equal(first, second)


@pytest.mark.slow
def test_kokoro_says_equal_samples_for_equal_seeds():
    first, second = (
        open_synthesiser("kokoro", 7).say("it is green", "jm_kumo", Manner()) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["espeak-ng", "flite", "piper"])
def test_faster_speech_is_shorter(name):
    say = open_synthesiser(name, 7).say
    slow, fast = (say("the opposite is closed", VOICES[name], Manner(rate=r)) for r in (0.8, 1.3))
    assert len(fast) < 0.85 * len(slow)


def test_missing_program_names_the_package_to_install(monkeypatch):
    monkeypatch.setattr(base.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="espeak-ng is missing: apt-get install espeak-ng"):
        ipa("hello", "en-us")


def test_unknown_voices_and_synthesisers_are_named():
    with pytest.raises(ValueError, match="no synthesiser 'sam'; there are espeak-ng"):
        open_synthesiser("sam", 1)
    with pytest.raises(ValueError, match="flite has no voice 'joe'; it has kal"):
        open_synthesiser("flite", 1).say("a", "joe", Manner())
    with pytest.raises(ValueError, match="piper has no voice 'kal'"):
        open_synthesiser("piper", 1).say("a", "kal", Manner())
    with pytest.raises(RuntimeError, match="espeak-ng failed"):
        open_synthesiser("espeak-ng", 1).say("a", "xx+no", Manner())
