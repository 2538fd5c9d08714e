"""How loud speech is: integrated loudness in LUFS (ITU-R BS.1770).

Shapes: S samples.
"""

import numpy as np
import pyloudnorm

from moss_speech.audio import Samples

BLOCK_S = 0.4
"""The measure's block; shorter clips are repeated to fill one."""
SILENCE_LUFS = -100.0
"""Reported for clips that hold no block above the measure's gate."""


def loudness_lufs(samples_S: Samples, sample_rate_hz: int) -> float:
    """Integrated loudness of mono samples; at least `SILENCE_LUFS`."""
    needed = int(BLOCK_S * sample_rate_hz) + 1
    if len(samples_S) == 0 or not np.any(samples_S):
        return SILENCE_LUFS
    filled_S = np.resize(samples_S, max(len(samples_S), needed))
    with np.errstate(divide="ignore"):
        value = pyloudnorm.Meter(sample_rate_hz).integrated_loudness(filled_S)
    return max(float(value), SILENCE_LUFS) if np.isfinite(value) else SILENCE_LUFS
