"""Clips for pages: small MP3 for players, an outline of the loudness, a spectrogram.

Shapes: S samples, P outline points, F frequency bins, T frames,
C colours, K red green blue.
"""

import base64
import io
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import stft

from moss_speech.audio import SPEAKING, Samples, mp3_bytes, read_audio

OUTLINE_POINTS = 48
_FRAME_S, _HOP_S = 0.025, 0.005
_FLOOR_DB = -70.0
_TOP_HZ = 8000
_SHADES = 64
"""Colours of a spectrogram; a palette keeps the page small."""


@dataclass(frozen=True)
class Clip:
    """A sound inside the page."""

    data_uri: str
    duration_s: float
    outline: tuple[float, ...]
    """Loudness from 0 to 1 at even times."""


class Sounds:
    """The sounds of one page: packed until the page is full, and those that could not be read."""

    def __init__(self, max_bytes: int) -> None:
        self._room = max_bytes
        self._clips: dict[Path, Clip | None] = {}
        self.unread: set[Path] = set()
        """Named by the evaluation, but absent or damaged."""

    def clip(self, path: Path | None) -> Clip | None:
        """A clip; None without a path, for a sound that cannot be read, and on a full page."""
        if path is None:
            return None
        if path not in self._clips:
            samples_S = self._read(path) if self._room > 0 else None
            packed = None if samples_S is None else clip(samples_S, SPEAKING.sample_rate_hz)
            self._room -= len(packed.data_uri) if packed else 0
            self._clips[path] = packed if self._room >= 0 else None
        return self._clips[path]

    def picture(self, path: Path | None) -> str | None:
        """The spectrogram of a sound; None if it cannot be read."""
        samples_S = None if path is None else self._read(path)
        return None if samples_S is None else spectrogram(samples_S, SPEAKING.sample_rate_hz)

    def _read(self, path: Path) -> Samples | None:
        try:
            return read_audio(path, SPEAKING.sample_rate_hz)
        except (ValueError, OSError):
            self.unread.add(path)
            return None


def clip(samples_S: Samples, sample_rate_hz: int) -> Clip:
    """Pack a sound as MP3; lossless copies of answers lie in audio/."""
    return Clip(
        _data_uri("audio/mpeg", mp3_bytes(samples_S, sample_rate_hz)),
        samples_S.size / sample_rate_hz,
        tuple(outline(samples_S).tolist()),
    )


def outline(samples_S: Samples) -> NDArray[np.float64]:
    """Peak of each of 48 even parts over the highest peak, [P]; zeros for silence."""
    bounds = np.linspace(0, samples_S.size, OUTLINE_POINTS + 1).astype(int)
    peaks_P = np.array([np.abs(samples_S[a:b]).max(initial=0.0) for a, b in pairwise(bounds)])
    return np.round(peaks_P / max(float(peaks_P.max()), 1e-4), 2)


def spectrogram(samples_S: Samples, sample_rate_hz: int) -> str:
    """Data URI of a PNG: power in dB up to 8 kHz, low frequencies at the bottom."""
    window, hop = int(_FRAME_S * sample_rate_hz), int(_HOP_S * sample_rate_hz)
    frequencies_F, _, bins_FT = stft(
        samples_S, sample_rate_hz, nperseg=window, noverlap=window - hop, nfft=2 * window
    )
    shown_FT = np.abs(bins_FT[frequencies_F <= _TOP_HZ])
    level_FT = 20 * np.log10(np.maximum(shown_FT / max(float(shown_FT.max()), 1e-8), 1e-8))
    shade_FT = np.clip(1 - level_FT / _FLOOR_DB, 0, 1) * (_SHADES - 1)
    picture = Image.fromarray(np.flipud(shade_FT).astype(np.uint8)).convert("P")
    colours_CK = matplotlib.colormaps["magma"](np.linspace(0, 1, _SHADES), bytes=True)[:, :3]
    picture.putpalette(colours_CK.tobytes())
    image = io.BytesIO()
    picture.save(image, "PNG", optimize=True)
    return _data_uri("image/png", image.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
