"""Audio as it travels in events: 16-bit PCM at 24 kHz, or G.711 at 8 kHz, and back.

The G.711 tables follow ITU-T G.711 (11/1988), tables 1 and 2. Shapes: S samples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moss_speech.audio import Resampler, Samples
from services.sound import pcm16

Codes = NDArray[np.uint8]
"""One byte of G.711 for every 16-bit value, lowest first."""
Values = NDArray[np.int16]
"""The 16-bit value of every byte of G.711."""

_ALL_16_BIT = np.arange(-(2**15), 2**15)
_ALL_BYTES = np.arange(256)


def _mu_law_codes() -> Codes:
    """14 bits: sign, the number of the segment, 4 bits within it; all inverted."""
    values = _ALL_16_BIT >> 2
    biased = np.minimum(np.abs(values) + 33, 2**13 - 1)
    segment = np.floor(np.log2(biased)).astype(int) - 5
    within = (biased >> (segment + 1)) & 15
    return np.asarray((segment << 4 | within) ^ np.where(values < 0, 0x7F, 0xFF), np.uint8)


def _mu_law_values() -> Values:
    inverted = _ALL_BYTES ^ 0xFF
    segment, within = inverted >> 4 & 7, inverted & 15
    magnitude = ((2 * within + 33 << segment) - 33) << 2
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law_codes() -> Codes:
    """13 bits: sign, the number of the segment, 4 bits within it; every second bit inverted."""
    values = _ALL_16_BIT >> 3
    magnitude = np.where(values < 0, -values - 1, values)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(int) - 4, 0)
    within = (magnitude >> np.maximum(segment, 1)) & 15
    return np.asarray((segment << 4 | within) ^ np.where(values < 0, 0x55, 0xD5), np.uint8)


def _a_law_values() -> Values:
    inverted = _ALL_BYTES ^ 0x55
    segment, within = inverted >> 4 & 7, inverted & 15
    magnitude = np.where(
        segment == 0, (within << 4) + 8, (within << 4) + 264 << np.maximum(segment - 1, 0)
    )
    return np.where(inverted & 0x80, magnitude, -magnitude).astype(np.int16)


def _read_pcm16(data: bytes) -> Samples:
    return np.asarray(np.frombuffer(data, "<i2") / 2**15, np.float32)


def _g711(codes: Codes, values: Values) -> tuple[Callable[..., bytes], Callable[..., Samples]]:
    def write(samples_S: Samples) -> bytes:
        linear = np.frombuffer(pcm16(samples_S), "<i2").astype(np.int32)
        return codes[linear + 2**15].tobytes()

    def read(data: bytes) -> Samples:
        return np.asarray(values[np.frombuffer(data, np.uint8)] / 2**15, np.float32)

    return write, read


FormatName = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]


@dataclass(frozen=True)
class WireFormat:
    """One way to write sound: its name in the protocol, its rate, bytes for a sample."""

    name: FormatName
    rate_hz: int
    sample_bytes: int
    write: Callable[[Samples], bytes]
    """Samples in -1..1, [S], as bytes."""
    read: Callable[[bytes], Samples]
    """Bytes as samples in -1..1, [S]."""

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of a millisecond."""
        return self.rate_hz * self.sample_bytes // 1000

    @property
    def wire(self) -> dict[str, str | int]:
        """The format as events name it; G.711 has no rate there, for it has only one."""
        rate: dict[str, str | int] = {"rate": self.rate_hz} if self.sample_bytes == 2 else {}
        return {"type": self.name, **rate}


FORMATS: dict[FormatName, WireFormat] = {
    "audio/pcm": WireFormat("audio/pcm", 24000, 2, pcm16, _read_pcm16),
    "audio/pcmu": WireFormat("audio/pcmu", 8000, 1, *_g711(_mu_law_codes(), _mu_law_values())),
    "audio/pcma": WireFormat("audio/pcma", 8000, 1, *_g711(_a_law_codes(), _a_law_values())),
}


class Speaker:
    """Sound of an answer, in pieces, as bytes of a wire format; any cut gives equal bytes."""

    def __init__(self, wire: WireFormat, from_hz: int) -> None:
        self._wire = wire
        same = from_hz == wire.rate_hz
        self._resampler = None if same else Resampler(from_hz, wire.rate_hz, "the answer")
        self._silent = True

    def push(self, samples_S: Samples, last: bool = False) -> bytes:
        """Bytes that became known."""
        self._silent = self._silent and samples_S.size == 0
        if self._silent:  # nothing to resample
            return b""
        if self._resampler is not None:
            samples_S = self._resampler.push(samples_S, last)
        return self._wire.write(samples_S)


class Tape:
    """The newest seconds of what was heard, in its wire format, for clients that ask for it."""

    def __init__(self, wire: WireFormat, begin_ms: int, max_ms: int) -> None:
        self._wire, self._max_bytes = wire, max_ms * wire.bytes_per_ms
        self._begin_bytes = begin_ms * wire.bytes_per_ms
        self._held = bytearray()

    @property
    def end_ms(self) -> int:
        """Milliseconds of all audio of the session."""
        return (self._begin_bytes + len(self._held)) // self._wire.bytes_per_ms

    def push(self, data: bytes) -> None:
        """Append; what is too old is forgotten, half the tape at a time."""
        self._held += data
        if (surplus := len(self._held) - self._max_bytes) > self._max_bytes:
            del self._held[:surplus]
            self._begin_bytes += surplus

    def cut(self, begin_ms: int, duration_ms: int) -> bytes:
        """The audio of a span, as far as it is still held."""
        rate = self._wire.bytes_per_ms
        begin = max(0, begin_ms * rate - self._begin_bytes)
        end = max(0, (begin_ms + duration_ms) * rate - self._begin_bytes)
        return bytes(self._held[begin:end])
