"""Spoken answers as bytes: whole files, and streams that play while they are made.

Shapes: S samples, float32 in -1..1.
"""

import io
import os
import struct
import threading
from contextlib import suppress
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np
import soundfile

from moss_speech.audio import Samples

Kind = Literal["pcm", "wav", "flac", "mp3", "opus"]
MEDIA_TYPES: dict[Kind, str] = {
    "pcm": "audio/pcm",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
}
"""What libsndfile writes, and what needs no library; there is no AAC in it."""

_UNKNOWN_BYTES = 0xFFFFFFFF
"""Size of what is not over yet; players then read to the end."""
_PIECE_S = 0.5
"""Encoded at a time; its bytes must fit into a pipe (64 KiB)."""
_ENCODERS: dict[Kind, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    # a constant rate: without a header frame the length of any other must be guessed
    "mp3": {
        "format": "MP3",
        "subtype": "MPEG_LAYER_III",
        "bitrate_mode": "CONSTANT",
        "compression_level": 0.5,
    },
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


def pcm16(samples_S: Samples) -> bytes:
    """Little-endian 16-bit samples."""
    return (np.clip(samples_S, -1, 1) * 32767).round().astype("<i2").tobytes()


def wav_header(sample_rate_hz: int, comment: str, n_bytes: int | None) -> bytes:
    """What stands before 16-bit mono samples; `None` bytes for a stream that is not over."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16)
    info = b""
    if comment:
        text = comment.encode("ascii", "replace") + b"\0"
        text += b"\0" * (len(text) % 2)
        info = struct.pack("<4sI4s4sI", b"LIST", 12 + len(text), b"INFO", b"ICMT", len(text)) + text
    head = b"WAVE" + form + info
    data, whole = _UNKNOWN_BYTES, _UNKNOWN_BYTES
    if n_bytes is not None:
        data, whole = n_bytes, len(head) + 8 + n_bytes
    return struct.pack("<4sI", b"RIFF", whole) + head + struct.pack("<4sI", b"data", data)


def _encoder(
    target: BinaryIO | int, kind: Kind, sample_rate_hz: int, comment: str
) -> soundfile.SoundFile:
    file = soundfile.SoundFile(target, "w", sample_rate_hz, 1, **_ENCODERS[kind])
    if comment:
        file.comment = comment
    return file


def sound_file(samples_S: Samples, sample_rate_hz: int, kind: Kind, comment: str = "") -> bytes:
    """A whole answer as a file with a comment in it, or as bare samples."""
    if kind == "pcm":
        return pcm16(samples_S)
    if kind == "wav":
        data = pcm16(samples_S)
        return wav_header(sample_rate_hz, comment, len(data)) + data
    whole = io.BytesIO()
    with _encoder(whole, kind, sample_rate_hz, comment) as file:
        for piece_S in _pieces(samples_S, sample_rate_hz):
            file.write(piece_S)
    return whole.getvalue()


def _pieces(samples_S: Samples, sample_rate_hz: int) -> list[Samples]:
    n_piece = round(_PIECE_S * sample_rate_hz)
    return [samples_S[i : i + n_piece] for i in range(0, samples_S.size, n_piece)]


class SoundStream(Protocol):
    """An answer on its way out."""

    def push(self, samples_S: Samples) -> bytes:
        """What can be sent now."""

    def finish(self) -> bytes:
        """What is left to send."""

    def close(self) -> None:
        """Give back what is held; after `finish`, or instead of it."""


class _Plain:
    """Bare samples, after a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def push(self, samples_S: Samples) -> bytes:
        data, self._header = self._header + pcm16(samples_S), b""
        return data

    def finish(self) -> bytes:
        return self._header

    def close(self) -> None:
        pass


class _Encoded:
    """Through libsndfile into a pipe, so that it writes headers which need no second visit.

    A client may leave while a thread encodes a piece: `close` waits for that.
    """

    def __init__(self, kind: Kind, sample_rate_hz: int, comment: str) -> None:
        self._out, into = os.pipe()
        os.set_blocking(self._out, False)
        self._file = _encoder(into, kind, sample_rate_hz, comment)
        self._rate_hz, self._in_use = sample_rate_hz, threading.Lock()

    def _ready(self) -> bytes:
        ready = b""
        with suppress(BlockingIOError):
            while piece := os.read(self._out, 2**16):
                ready += piece
        return ready

    def push(self, samples_S: Samples) -> bytes:
        ready = b""
        with self._in_use:
            for piece_S in _pieces(samples_S, self._rate_hz):
                self._file.write(piece_S)
                ready += self._ready()
        return ready

    def finish(self) -> bytes:
        with self._in_use:
            self._file.close()
            return self._ready()

    def close(self) -> None:
        with self._in_use:
            self._file.close()
            if self._out >= 0:
                os.close(self._out)
                self._out = -1


class _AtOnce:
    """A file that is sent when it is whole."""

    def __init__(self, kind: Kind, sample_rate_hz: int, comment: str) -> None:
        self._how = (sample_rate_hz, kind, comment)
        self._said = [np.zeros(0, np.float32)]

    def push(self, samples_S: Samples) -> bytes:
        self._said.append(samples_S)
        return b""

    def finish(self) -> bytes:
        return sound_file(np.concatenate(self._said), *self._how)

    def close(self) -> None:
        pass


def sound_stream(sample_rate_hz: int, kind: Kind, comment: str = "") -> SoundStream:
    """A stream of 16-bit mono sound that is sent while it is made; the caller closes it.

    FLAC comes when it is whole: libsndfile, and all that read with it, need its length.
    """
    if kind == "pcm":
        return _Plain(b"")
    if kind == "wav":
        return _Plain(wav_header(sample_rate_hz, comment, None))
    if kind == "flac":
        return _AtOnce(kind, sample_rate_hz, comment)
    return _Encoded(kind, sample_rate_hz, comment)
