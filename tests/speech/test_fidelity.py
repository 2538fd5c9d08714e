"""STOI and PESQ: highest for equal sounds, lower the more is wrong, nothing for no speech."""

import numpy as np
import pytest

from moss_speech.speech.fidelity import has_pesq, pesq, stoi
from tests.tiny_bundle import spoken

needs_pesq = pytest.mark.skipif(not has_pesq(), reason="pesq is not installed")
SAID = spoken("the quick brown fox jumps over the lazy dog")


def noisy(snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(SAID.size)
    level = np.sqrt(np.mean(SAID**2) / 10 ** (snr_db / 10))
    return (SAID + level * noise).astype(np.float32)


def test_stoi_falls_with_noise_from_one():
    values = [stoi(SAID, SAID), stoi(SAID, noisy(20)), stoi(SAID, noisy(5)), stoi(SAID, noisy(-5))]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8


@needs_pesq
def test_pesq_falls_with_noise_from_the_top_of_its_scale():
    values = [pesq(SAID, SAID), pesq(SAID, noisy(30)), pesq(SAID, noisy(15)), pesq(SAID, noisy(0))]
    assert values[0] == pytest.approx(4.644, abs=1e-3)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1.3


def test_sounds_of_other_lengths_are_compared_as_far_as_both_reach():
    assert stoi(SAID, SAID[:-3000]) == pytest.approx(1)
    assert stoi(SAID[:-3000], SAID) == pytest.approx(1)


def test_too_little_speech_has_no_figure():
    assert stoi(SAID[:3000], SAID[:3000]) is None
    if has_pesq():
        silence = np.zeros(16000, np.float32)
        assert pesq(silence, silence) is None
