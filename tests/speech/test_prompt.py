"""Voice prompts: one person's speech is kept, music, noise, tones and a change of voice are not."""

from itertools import permutations

import numpy as np
import pytest

from moss_speech.audio import SPEAKING, Samples, read_audio
from moss_speech.corpus.sources.human import FOLDER
from moss_speech.speech.prompt import MIN_ONE_VOICE, check_speaking, least_agreement
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import EspeakNG, Flite
from tests.speech.sounds import music, tones

RATE_HZ = SPEAKING.sample_rate_hz
TEXT = "the quick brown fox jumps over the lazy dog while the children watch from the window"


@pytest.fixture(scope="module")
def voices() -> dict[str, Samples]:
    engines = {"rms": Flite(), "slt": Flite(), "en-us+f5": EspeakNG()}
    return {name: engine.say(TEXT, name, Manner()) for name, engine in engines.items()}


def test_one_person_speaking_is_kept_and_measured(voices):
    for name, clip in voices.items():
        found = check_speaking(name, clip, RATE_HZ)
        assert 0.7 < found.speech_s / (clip.size / RATE_HZ) <= 1
        assert MIN_ONE_VOICE < found.one_voice < 1


@pytest.mark.skipif(not FOLDER.is_dir(), reason="pocketsphinx-testdata is not installed")
def test_recordings_of_a_person_are_kept():
    found = sorted((FOLDER / "librivox").glob("*.wav"))
    assert found
    for path in found:
        check_speaking("reader", read_audio(path, RATE_HZ), RATE_HZ)


@pytest.mark.parametrize(
    "sound",
    [music(5, RATE_HZ), music(4, RATE_HZ, seed=3), tones(3, RATE_HZ), np.zeros(72000, np.float32)],
    ids=["music", "other music", "tones", "silence"],
)
def test_what_is_no_speech_is_refused_with_the_limits(sound):
    with pytest.raises(
        ValueError, match=r"s of speech, \d+% of it; must be at least 0.6 s and 40%"
    ):
        check_speaking("band", sound, RATE_HZ)


def test_speech_over_loud_music_or_noise_is_refused(voices):
    clip = voices["slt"]
    level = np.sqrt(np.mean(clip**2))
    band = music(8, RATE_HZ)[: clip.size]
    noise = np.random.default_rng(0).standard_normal(clip.size).astype(np.float32)
    for other in (band, noise):
        mixed = clip + other * (0.7 * level / np.sqrt(np.mean(other**2)))
        with pytest.raises(ValueError, match=r"sounds like 1\.\d+ of 5, must be at least 1.8"):
            check_speaking("slt", mixed.astype(np.float32), RATE_HZ)


def test_a_second_speaker_is_refused(voices):
    for a, b in permutations(voices.values(), 2):
        both = np.concatenate([a[: 3 * RATE_HZ], b[: 3 * RATE_HZ]])
        with pytest.raises(ValueError, match=r"agree by 0\.\d+, must be at least 0.72"):
            check_speaking("both", both, RATE_HZ)


def test_agreement_finds_the_border_wherever_it_lies():
    one, other = np.eye(2, dtype=np.float32)
    assert least_agreement(np.stack([one])) == 1
    assert least_agreement(np.stack([one, one, one])) == pytest.approx(1)
    for n in (1, 2, 5):
        assert least_agreement(np.stack([one] * n + [other] * (6 - n))) == pytest.approx(0)
