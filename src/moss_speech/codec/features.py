"""Whisper's log-mel features, and cutting audio into the segments that are encoded alone.

Shapes: S samples · M mel bands · F mel frames (100 a second) · Q frequencies.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank

from moss_speech.audio import AudioFormat, Samples, check_samples
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
    check_samples(samples_S)
    if samples_S.size == 0:
        raise ValueError("audio holds 0 samples, must hold at least 1")
    for start in range(0, samples_S.size, config.segment_samples):
        yield samples_S[start : start + config.segment_samples]


def log_mel(samples_S: Samples, form: AudioFormat) -> Tensor:
    """Features [M, F] of one segment, zero-padded on the right to whole codes.

    They equal transformers' WhisperFeatureExtractor on the same padded samples
    (tests/parity/test_whisper_features.py states the difference).
    """
    log_MF = _segment_log_power(samples_S, form)
    return scaled(log_MF, log_MF.max())


def loudness(samples_S: Samples, config: CodecConfig) -> list[float]:
    """The loudest log10 mel power of each segment, which decides its floor."""
    form = config.audio_format
    return [float(_segment_log_power(part, form).max()) for part in segments(samples_S, config)]


def log_power(audio_S: Tensor, form: AudioFormat) -> Tensor:
    """Log10 mel power [M, F] of every whole window of `audio_S`."""
    n_fft = form.window_samples
    spectrum_QF = torch.stft(
        audio_S,
        n_fft,
        form.hop_samples,
        window=torch.hann_window(n_fft),
        center=False,
        return_complex=True,
    )
    filters_QM = _mel_filters(form.n_mels, n_fft // 2 + 1, form.sample_rate_hz)
    return (filters_QM.T @ spectrum_QF.abs() ** 2).clamp(min=_POWER_FLOOR).log10()


def scaled(log_MF: Tensor, loudest: Tensor) -> Tensor:
    """Whisper's scale; `loudest` is one value, or one a frame."""
    return (torch.maximum(log_MF, loudest - _DYNAMIC_RANGE) + 4.0) / 4.0


def _segment_log_power(samples_S: Samples, form: AudioFormat) -> Tensor:
    """A segment's windows are centred, its ends reflected; the last is left out, as in Whisper."""
    padded = n_codes(samples_S.size, form) * form.samples_per_code
    reach = form.window_samples // 2
    audio_S = functional.pad(torch.from_numpy(samples_S), (0, padded - samples_S.size))
    return log_power(functional.pad(audio_S[None], (reach, reach), "reflect")[0], form)[:, :-1]


def pad_features(features: list[Tensor], frames_per_code: int) -> tuple[Tensor, Tensor]:
    """Batch [B, M, F] of features, zero-padded on the right, and the codes of each [B]."""
    longest = max(f.shape[-1] for f in features)
    batch_BMF = torch.stack([functional.pad(f, (0, longest - f.shape[-1])) for f in features])
    return batch_BMF, torch.tensor([f.shape[-1] // frames_per_code for f in features])
