import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.audio import LISTENING, SPEAKING, resample
from moss_speech.speech.loudness import SILENCE_LUFS, loudness_lufs
from moss_speech.speech.quality import opinion
from moss_speech.speech.vad import VadStream, speech_only, speech_spans
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import Flite

HZ = LISTENING.sample_rate_hz


@pytest.fixture(scope="module")
def said():
    """A sentence at 16 kHz with a second of silence on both sides."""
    speech = Flite().say("tell me which animal guards the house", "rms", Manner())
    return np.pad(resample(speech, SPEAKING.sample_rate_hz, HZ), HZ)


def test_speech_is_found_between_silences(said):
    spans = speech_spans(said)
    assert 0.9 <= spans[0].start_s <= 1.4
    assert len(said) / HZ - 1.5 <= spans[-1].end_s <= len(said) / HZ - 0.8


def test_silence_and_a_hum_hold_no_speech():
    assert speech_spans(np.zeros(HZ, np.float32)) == []
    hum = 0.1 * np.sin(2 * np.pi * 100 * np.arange(HZ) / HZ)
    assert speech_spans(hum.astype(np.float32)) == []


def test_speech_only_leaves_pauses_out_and_keeps_what_is_no_speech(said):
    spans = speech_spans(said)
    seconds = sum(span.end_s - span.start_s for span in spans)
    assert len(speech_only(said)) / HZ == pytest.approx(seconds, abs=0.01)
    silence = np.zeros(HZ, np.float32)
    assert np.array_equal(speech_only(silence), silence)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=6))
def test_streamed_voice_activity_equals_whole(said, cuts):
    stream = VadStream()
    parts = np.split(said, sorted(min(c, len(said)) for c in cuts))
    streamed = np.concatenate([stream.push(part) for part in parts])
    np.testing.assert_allclose(streamed, VadStream().push(said), atol=1e-5)


def test_loudness_follows_gain_and_survives_silence(said):
    assert loudness_lufs(said, HZ) - loudness_lufs(said / 2, HZ) == pytest.approx(6.02, abs=0.05)
    assert loudness_lufs(np.zeros(HZ, np.float32), HZ) == SILENCE_LUFS
    assert loudness_lufs(np.zeros(0, np.float32), HZ) == SILENCE_LUFS
    assert loudness_lufs(said[HZ : HZ + 900], HZ) >= SILENCE_LUFS


def test_noise_lowers_the_opinion_of_a_clip(said):
    noise = np.random.default_rng(0).standard_normal(len(said)).astype(np.float32)
    clean, noisy = opinion(said), opinion(said + 0.05 * noise)
    assert 1 <= noisy.overall < clean.overall <= 5
    with pytest.raises(ValueError, match="0 samples"):
        opinion(said[:0])
