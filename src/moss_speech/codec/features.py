"""Whisper's log-mel features, and cutting audio into the segments that are encoded alone.

Shapes: S samples · M mel bands · F mel frames (100 a second) · Q frequencies.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

from moss_speech.audio import AudioFormat, Samples
from moss_speech.codec.config import CodecConfig

_POWER_FLOOR = 1e-10
_DYNAMIC_RANGE = 8.0
"""Decades below the loudest band of the segment that survive."""


@cache
def _mel_filters(n_mels: int, n_frequencies: int, sample_rate_hz: int) -> Tensor:
    filters_QM = mel_filter_bank(
        n_frequencies, n_mels, 0.0, sample_rate_hz / 2, sample_rate_hz, "slaney", "slaney"
    )
    return torch.from_numpy(filters_QM).float()


def n_codes(n_samples: int, form: AudioFormat) -> int:
    """Codes of so many samples: every begun code counts."""
    return -(-n_samples // form.samples_per_code)


def segments(samples_S: Samples, config: CodecConfig) -> Iterator[Samples]:
    """Cut 16 kHz audio into segments of at most 30 s; `ValueError` if empty or not finite."""
    if samples_S.ndim != 1 or samples_S.size == 0:
        raise ValueError(f"audio has shape {samples_S.shape}, must be (n,) with n at least 1")
    if not np.isfinite(samples_S).all():
        raise ValueError("audio holds NaN or infinite samples")
    for start in range(0, samples_S.size, config.segment_samples):
        yield samples_S[start : start + config.segment_samples]


def log_mel(samples_S: Samples, form: AudioFormat) -> Tensor:
    """Features [M, F] of one segment, zero-padded on the right to whole codes.

    They equal transformers' WhisperFeatureExtractor on the same padded samples
    (tests/parity/test_whisper_features.py states the difference).
    """
    padded = n_codes(samples_S.size, form) * form.samples_per_code
    audio_S = torch.nn.functional.pad(torch.from_numpy(samples_S), (0, padded - samples_S.size))
    n_fft = form.window_samples
    spectrum_QF = torch.stft(
        audio_S, n_fft, form.hop_samples, window=torch.hann_window(n_fft), return_complex=True
    )
    power_QF = spectrum_QF[:, :-1].abs() ** 2
    filters_QM = _mel_filters(form.n_mels, n_fft // 2 + 1, form.sample_rate_hz)
    log_MF = (filters_QM.T @ power_QF).clamp(min=_POWER_FLOOR).log10()
    log_MF = torch.maximum(log_MF, log_MF.max() - _DYNAMIC_RANGE)
    return (log_MF + 4.0) / 4.0


def pad_features(features: list[Tensor], frames_per_code: int) -> tuple[Tensor, Tensor]:
    """Batch [B, M, F] of features, zero-padded on the right, and the codes of each [B]."""
    longest = max(f.shape[-1] for f in features)
    batch_BMF = torch.stack(
        [torch.nn.functional.pad(f, (0, longest - f.shape[-1])) for f in features]
    )
    return batch_BMF, torch.tensor([f.shape[-1] // frames_per_code for f in features])
