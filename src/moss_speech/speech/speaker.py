"""Who speaks, as a vector: statistics of the log mel spectrum.

Shapes: S samples at 24 kHz, M mel bands, F frames.
"""

from typing import Protocol

import numpy as np
import torch
import torchaudio.functional
from numpy.typing import NDArray

from moss_speech.audio import SPEAKING, Samples

FLOOR = 1e-5
ACTIVE_BELOW_PEAK = 4.6
"""Frames more than this (natural log, 20 dB) below the loudest frame are pauses."""


class SpeakerEncoder(Protocol):
    """Samples at 24 kHz to one vector a voice."""

    width: int

    def __call__(self, samples_S: Samples) -> NDArray[np.float32]:
        """float32 [width]; alike for clips of one voice."""


def _log_mel(samples_S: Samples) -> NDArray[np.float32]:
    f = SPEAKING
    wave_S = torch.from_numpy(np.pad(samples_S, (0, max(0, f.window_samples - len(samples_S)))))
    spectrum_KF = torch.stft(
        wave_S,
        f.window_samples,
        f.hop_samples,
        window=torch.hann_window(f.window_samples),
        return_complex=True,
    ).abs()
    bank_KM = torchaudio.functional.melscale_fbanks(
        spectrum_KF.shape[0], 0.0, f.sample_rate_hz / 2, f.n_mels, f.sample_rate_hz
    )
    return np.asarray(torch.log((bank_KM.T @ spectrum_KF).clamp_min(FLOOR)).numpy())


class MelStatistics:
    """Mean and deviation of each mel band over the frames that are not pauses; level removed."""

    width = 2 * SPEAKING.n_mels

    def __call__(self, samples_S: Samples) -> NDArray[np.float32]:
        """float32 [2 * M]: means (their own mean removed), then deviations."""
        mel_MF = _log_mel(samples_S)
        level_F = mel_MF.mean(axis=0)
        mel_MF = mel_MF[:, level_F >= level_F.max() - ACTIVE_BELOW_PEAK]
        mean_M = mel_MF.mean(axis=1)
        vector = np.concatenate([mean_M - mean_M.mean(), mel_MF.std(axis=1)])
        return np.asarray(vector, dtype=np.float32)


def speaker_vector(samples_S: Samples) -> NDArray[np.float32]:
    """The vector of one clip at 24 kHz by the default encoder, float32 [160]."""
    return MelStatistics()(samples_S)
