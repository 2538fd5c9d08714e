"""What is measured of every item, cheaply: decode, speech, loudness, clipping, fingerprint.

Shapes: S samples at 16 kHz, F frames, B bands.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from moss_speech.audio import LISTENING, Samples, read_audio
from moss_speech.speech.loudness import loudness_lufs
from moss_speech.speech.vad import speech_spans

PRINT_FRAMES, PRINT_BANDS = 33, 17
"""A fingerprint has (33 - 1) * (17 - 1) = 512 bits."""


@dataclass(frozen=True)
class Measured:
    """What is known of one decodable item."""

    id: str
    duration_s: float
    speech_s: float
    """From the first to the last sound of speech."""
    loudness_lufs: float
    clipped_share: float
    fingerprint: bytes


@dataclass(frozen=True)
class Undecodable:
    """An item whose file is no whole audio."""

    id: str
    reason: str


def fingerprint(samples_S: Samples) -> bytes:
    """512 bits: does the difference of neighbouring bands rise from frame to frame.

    The same bits for any level; the clip's length is not part of them.
    """
    padded_S = torch.from_numpy(np.pad(samples_S, (0, max(0, 2048 - len(samples_S)))))
    power_KF = torch.stft(
        padded_S, 1024, 256, window=torch.hann_window(1024), return_complex=True
    ).abs()
    coarse_BF = torch.nn.functional.adaptive_avg_pool2d(
        power_KF[:256].unsqueeze(0).square(), (PRINT_BANDS, PRINT_FRAMES)
    )[0]
    slope_BF = torch.diff(torch.log(coarse_BF + 1e-12), dim=0)
    return np.packbits((torch.diff(slope_BF, dim=1) > 0).numpy()).tobytes()


def distance(a: bytes, b: bytes) -> float:
    """Share of bits in which two fingerprints differ, 0..1."""
    different: NDArray[np.uint8] = np.frombuffer(a, np.uint8) ^ np.frombuffer(b, np.uint8)
    return float(np.unpackbits(different).mean())


def measure(
    item_id: str, audio: Path, duration_s: float, clip_level: float
) -> Measured | Undecodable:
    """Decode and measure one item; its declared duration must be real."""
    try:
        samples_S = read_audio(audio, LISTENING.sample_rate_hz)
    except ValueError as error:
        return Undecodable(item_id, str(error))
    real_s = len(samples_S) / LISTENING.sample_rate_hz
    if abs(real_s - duration_s) > 1e-3:
        return Undecodable(item_id, f"declared {duration_s:.3f} s, holds {real_s:.3f} s")
    spans = speech_spans(samples_S)
    return Measured(
        id=item_id,
        duration_s=real_s,
        speech_s=spans[-1].end_s - spans[0].start_s if spans else 0.0,
        loudness_lufs=loudness_lufs(samples_S, LISTENING.sample_rate_hz),
        clipped_share=float(np.mean(np.abs(samples_S) >= clip_level)),
        fingerprint=fingerprint(samples_S),
    )
