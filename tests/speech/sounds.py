"""Sounds that are no speech: chords, a melody and drums; tones; a hum like a singing saw."""

import numpy as np
from numpy.typing import NDArray

from moss_speech.audio import Samples

CHORDS = ((220, 262, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247))


def _note(hz: float, seconds: float, rate_hz: int) -> NDArray[np.float64]:
    time_S = np.arange(int(seconds * rate_hz)) / rate_hz
    partials_S = sum(np.sin(2 * np.pi * hz * k * time_S) / k**1.2 for k in range(1, 6))
    return np.asarray(partials_S * np.minimum(time_S / 0.01, 1) * np.exp(-time_S / 0.6))


def music(seconds: int, rate_hz: int, seed: int = 0) -> Samples:
    """A chord a second, four notes of melody in it, a kick drum and a snare."""
    rng = np.random.default_rng(seed)
    drum_S = np.arange(rate_hz // 5) / rate_hz
    kick_S = np.sin(2 * np.pi * (50 + 80 * np.exp(-drum_S * 30)) * drum_S) * np.exp(-drum_S * 15)
    mixed_S = np.zeros((seconds + 1) * rate_hz)
    for second in range(seconds):
        parts = [(0.3 * _note(hz, 1, rate_hz), 0.0) for hz in CHORDS[(second + seed) % 4]]
        parts += [
            (0.25 * _note(440 * 2 ** (rng.integers(-5, 12) / 12), 0.25, rate_hz), beat / 4)
            for beat in range(4)
        ]
        snare_S = 0.4 * rng.standard_normal(drum_S.size) * np.exp(-drum_S * 20)
        parts += [(0.8 * kick_S, 0.0), (snare_S, 0.25), (0.8 * kick_S, 0.5), (snare_S, 0.75)]
        for sound_S, at_s in parts:
            start = int((second + at_s) * rate_hz)
            mixed_S[start : start + sound_S.size] += sound_S
    return np.asarray(0.6 * mixed_S / np.abs(mixed_S).max(), np.float32)[: seconds * rate_hz]


def tones(seconds: float, rate_hz: int) -> Samples:
    """Two steady tones."""
    time_S = np.arange(int(seconds * rate_hz)) / rate_hz
    both_S = 0.2 * np.sin(2 * np.pi * 200 * time_S) + 0.2 * np.sin(2 * np.pi * 330 * time_S)
    return np.asarray(both_S, np.float32)
