"""Audio formats and mono float audio in and out of files.

Shapes: S samples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
import torchaudio.functional
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono audio, float32 in -1..1."""


@dataclass(frozen=True)
class AudioFormat:
    """Rates that belong together; saved with every model.

    `sample_rate_hz` samples a second, one mel frame every `hop_samples` samples over
    `window_samples`, `n_mels` bands, one code every `frames_per_code` mel frames.
    """

    sample_rate_hz: int
    hop_samples: int
    window_samples: int
    n_mels: int
    frames_per_code: int

    @property
    def samples_per_code(self) -> int:
        """Samples that one code stands for."""
        return self.hop_samples * self.frames_per_code

    @property
    def codes_per_s(self) -> float:
        """Codes in a second."""
        return self.sample_rate_hz / self.samples_per_code


LISTENING = AudioFormat(16000, 160, 400, 80, 8)
"""What the codec hears: Whisper features at 100 frames a second, 12.5 codes a second."""
SPEAKING = AudioFormat(24000, 480, 1920, 80, 4)
"""What the decoder says: 50 mel frames a second, 1,920 samples a code (format.md, codec)."""


def resample(samples_S: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample with torchaudio's default windowed sinc, as the released codec does."""
    if from_hz == to_hz:
        return samples_S
    out = torchaudio.functional.resample(torch.from_numpy(samples_S), from_hz, to_hz)
    return np.asarray(out.numpy(), dtype=np.float32)


def read_audio(source: Path | BinaryIO, sample_rate_hz: int) -> Samples:
    """Read the first channel of an audio file at the wanted rate.

    Raises `ValueError` naming the file if it is no audio, empty, or holds NaN or infinity.
    """
    name = getattr(source, "name", "audio")
    try:
        audio_SC, rate_hz = soundfile.read(source, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise ValueError(f"{name} is not readable audio: {error}") from error
    samples_S = np.ascontiguousarray(audio_SC[:, 0])
    if samples_S.size == 0:
        raise ValueError(f"{name} holds 0 samples, must hold at least 1")
    if not np.isfinite(samples_S).all():
        raise ValueError(f"{name} holds NaN or infinite samples")
    return resample(samples_S, rate_hz, sample_rate_hz)


def write_audio(
    target: Path | BinaryIO, samples_S: Samples, sample_rate_hz: int, **how: Any
) -> None:
    """Write 16-bit PCM (by the file's ending, or `format=`); samples are clipped to -1..1."""
    soundfile.write(target, np.clip(samples_S, -1, 1), sample_rate_hz, subtype="PCM_16", **how)
