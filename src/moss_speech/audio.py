"""Audio formats and mono float audio in and out of files.

Shapes: S samples.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
import torchaudio.functional
import torchaudio.transforms
from numpy.typing import NDArray

from moss_speech.m4a import decoded

Samples = NDArray[np.float32]
"""Mono audio, float32 in -1..1."""
WHOLE_S = 3600
"""Longest file that is read whole."""
_PIECE_VALUES = 6_000_000
"""Of a file, all channels, held at a time: about two minutes."""
_PEAK = 1e6
"""Files of integers in floats exist; far beyond them powers would overflow."""
_GUESSED_S = 1
"""An MP3 that was streamed does not name its length; it is guessed from its bytes and tags."""
_LENGTH_MARKS, _MARK_BYTES = (b"Xing", b"Info", b"VBRI"), 200_000
"""One of them stands near the beginning of an MP3 that names its length."""
_BY_CODEC = (".m4a", ".mp4", ".aac")
"""Files that libsndfile does not read."""
_RATES_HZ = (4000, 192_000)
_FILTER_VALUES = 20_000_000
_FILTER_ZEROS, _ROLLOFF = 6, 0.99
"""Of torchaudio's default windowed sinc: zero crossings to either side, and its cut-off."""


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


@dataclass(frozen=True)
class Span:
    """A part of a recording: from `start_s` for `duration_s`."""

    start_s: float
    duration_s: float


@dataclass(frozen=True)
class Heading:
    """What a file says of itself; its samples may still turn out to be damaged."""

    sample_rate_hz: int
    n_samples: int
    channels: int
    format: str


def resample(samples_S: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample with torchaudio's default windowed sinc, as the released codec does."""
    if from_hz == to_hz:
        return samples_S
    out = torchaudio.functional.resample(torch.from_numpy(samples_S), from_hz, to_hz)
    return np.asarray(out.numpy(), dtype=np.float32)


def check_samples(samples_S: Samples, name: str = "audio") -> None:
    """`ValueError` unless samples are mono, float32, finite and of sane size; may be empty."""
    if samples_S.ndim != 1 or samples_S.dtype != np.float32:
        raise ValueError(
            f"{name} is {samples_S.dtype} of shape {samples_S.shape}, must be float32 of shape (n,)"
        )
    peak = float(np.abs(samples_S).max(initial=0.0))
    if not math.isfinite(peak):
        raise ValueError(f"{name} holds NaN or infinite samples")
    if peak > _PEAK:
        raise ValueError(
            f"{name} holds a sample of {peak:g}, must be at most {_PEAK:g} (1 is full)"
        )


def read_audio(
    source: Path | BinaryIO, sample_rate_hz: int, span: Span | None = None, channel: int = 0
) -> Samples:
    """Read one channel of an audio file at the wanted rate: all of it, or a span; an hour at most.

    Raises `ValueError` naming the file if it is no audio, empty, too long, cut off, of a rate that
    cannot be resampled, holds NaN or infinity, or has no such channel or span.
    """
    with _opened(source) as file:
        if channel >= file.channels:
            raise ValueError(f"{_name(source)} has {file.channels} channels, asked for {channel}")
        if span is not None:
            return _span(file, _name(source), sample_rate_hz, span, channel)
        if (seconds := file.frames / file.samplerate) > WHOLE_S:
            raise ValueError(
                f"{_name(source)} lasts {seconds:.0f} s, must be at most {WHOLE_S} s to be held in "
                "memory; read_blocks reads it piece by piece"
            )
        return np.concatenate(list(_at_rate(file, _name(source), sample_rate_hz, channel)))


def read_heading(source: Path | BinaryIO) -> Heading:
    """Rate, length, channels and format; an MP3 that does not name its length is decoded for it.

    Raises `ValueError` naming the file if it is no audio or empty.
    """
    with _opened(source) as file:
        n_samples, name = file.frames, _name(source)
        if file.format == "MP3" and not _names_its_length(source):
            n_samples = sum(len(block) for block in file.blocks(_PIECE_VALUES // file.channels))
        if n_samples < 1:
            raise ValueError(f"{name} holds 0 samples, must hold at least 1")
        kind = f"{file.format} {file.subtype}" if file.format == "OGG" else file.format
        if _needs_codec(source):
            kind = "AAC"
        return Heading(file.samplerate, n_samples, file.channels, kind)


def _names_its_length(source: Path | BinaryIO) -> bool:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            head = stream.read(_MARK_BYTES)
    else:
        place = source.tell()
        source.seek(0)
        head = source.read(_MARK_BYTES)
        source.seek(place)
    return any(mark in head for mark in _LENGTH_MARKS)


def read_blocks(
    source: Path | BinaryIO, sample_rate_hz: int, block_samples: int
) -> Iterator[Samples]:
    """What `read_audio` reads, of any length, in blocks of so many samples; the last is shorter.

    Needs memory for some minutes of the file and a block. Raises what `read_audio` raises.
    """
    with _opened(source) as file:
        held_S = np.zeros(0, np.float32)
        for piece_S in _at_rate(file, _name(source), sample_rate_hz):
            held_S = np.concatenate((held_S, piece_S))
            while held_S.size > block_samples:
                yield held_S[:block_samples]
                held_S = held_S[block_samples:]
        yield held_S


def _name(source: Path | BinaryIO) -> str:
    return str(getattr(source, "name", "audio"))


def _needs_codec(source: Path | BinaryIO) -> bool:
    return _name(source).lower().endswith(_BY_CODEC)


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[soundfile.SoundFile]:
    try:
        if _needs_codec(source):
            with decoded(source, _name(source)) as wave, soundfile.SoundFile(wave) as file:
                yield file
        else:
            with soundfile.SoundFile(source) as file:
                yield file
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise ValueError(f"{_name(source)} is not readable audio: {error}") from error


def _span(file: soundfile.SoundFile, name: str, to_hz: int, span: Span, channel: int) -> Samples:
    """The samples of a span as if it were a file of its own."""
    first = round(span.start_s * file.samplerate)
    n_samples = round(span.duration_s * file.samplerate)
    if not 0 < n_samples <= WHOLE_S * file.samplerate or not 0 <= first <= file.frames - n_samples:
        raise ValueError(
            f"{name} lasts {file.frames / file.samplerate:.3f} s, asked for {span.duration_s:.3f} "
            f"s from {span.start_s:.3f} s; must be inside it and at most {WHOLE_S} s"
        )
    file.seek(first)
    samples_S = np.ascontiguousarray(file.read(n_samples, "float32", always_2d=True)[:, channel])
    if samples_S.size < n_samples:
        raise ValueError(f"{name} is cut off: a span has {samples_S.size} of {n_samples} samples")
    check_samples(samples_S, name)
    return resample(samples_S, file.samplerate, to_hz)


def _at_rate(
    file: soundfile.SoundFile, name: str, to_hz: int, channel: int = 0
) -> Iterator[Samples]:
    """Checked and resampled pieces of a file; at least one sample in all."""
    n_read = 0
    resampler = Resampler(file.samplerate, to_hz, name)
    n_piece = _PIECE_VALUES // file.channels
    audio_SC = file.read(n_piece, "float32", always_2d=True)
    while audio_SC.size:
        samples_S = np.ascontiguousarray(audio_SC[:, channel])
        check_samples(samples_S, name)
        n_read += samples_S.size
        audio_SC = file.read(n_piece, "float32", always_2d=True)
        yield resampler.push(samples_S, last=not audio_SC.size)
    if n_read == 0:
        raise ValueError(f"{name} holds 0 samples, must hold at least 1")
    guessed_s = _GUESSED_S if file.format == "MP3" else 0
    if n_read < file.frames - guessed_s * file.samplerate:
        raise ValueError(f"{name} is cut off: it holds {n_read} of {file.frames} samples")


class Resampler:
    """`resample` of a signal that comes in pieces: equal, for any pieces."""

    def __init__(self, from_hz: int, to_hz: int, name: str) -> None:
        common = math.gcd(from_hz, to_hz)
        self._step, self._out = from_hz // common, to_hz // common
        low, high = _RATES_HZ
        if not low <= from_hz <= high or self._step * self._out > _FILTER_VALUES:
            raise ValueError(
                f"{name} has {from_hz} samples a second, must have {low}..{high}, and a common "
                f"divisor with {to_hz} large enough to resample (it is {common})"
            )
        reach = _FILTER_ZEROS * max(1.0, self._step / self._out) / _ROLLOFF
        self._context = (math.ceil(reach / self._step) + 1) * self._step
        self._held_S, self._n_past = np.zeros(0, np.float32), 0
        # with a kernel of its own: `resample` makes one a call; the type makes both kernels equal
        self._resample = torchaudio.transforms.Resample(from_hz, to_hz, dtype=torch.float32)

    def push(self, samples_S: Samples, last: bool) -> Samples:
        """What became known: all that lies a filter's reach before the end, or the rest."""
        self._held_S = np.concatenate((self._held_S, samples_S))
        known = self._held_S.size
        if not last:
            known -= self._context
            known = max(self._n_past, known - known % self._step)
        made_S = np.asarray(self._resample(torch.from_numpy(self._held_S)).numpy(), np.float32)
        end = made_S.size if last else known * self._out // self._step
        made_S = made_S[self._n_past * self._out // self._step : end]
        begin = max(0, known - self._context)
        begin -= begin % self._step
        self._held_S, self._n_past = self._held_S[begin:], known - begin
        return made_S


def write_audio(
    target: Path | BinaryIO, samples_S: Samples, sample_rate_hz: int, **how: Any
) -> None:
    """Write 16-bit PCM (by the file's ending, or `format=`); samples are clipped to -1..1."""
    soundfile.write(target, np.clip(samples_S, -1, 1), sample_rate_hz, subtype="PCM_16", **how)


def mp3_bytes(samples_S: Samples, sample_rate_hz: int) -> bytes:
    """A sound as MP3, which every browser plays: small, and no longer exact."""
    packed = io.BytesIO()
    loud_S = np.clip(samples_S, -1, 1)
    soundfile.write(packed, loud_S, sample_rate_hz, format="MP3", subtype="MPEG_LAYER_III")
    return packed.getvalue()
