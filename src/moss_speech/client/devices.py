"""The machine's microphone and loudspeaker, by PortAudio.

Shapes: S samples at 24 kHz.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from moss_speech.audio import Samples
from moss_speech.client.dialogue import PCM_BYTES
from moss_speech.client.feed import PIECE_S, samples_of
from moss_speech.client.line import RATE_HZ


class Devices:
    """What a conversation hears and plays; PortAudio's threads call `_hear` and `_fill`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._lock, self._to_play = threading.Lock(), bytearray()

    async def pieces(self) -> AsyncIterator[Samples]:
        """What the microphone hears, in pieces of a few hundredths of a second."""
        while True:
            yield samples_of(await self._heard.get())

    def play(self, data: bytes) -> None:
        """Play PCM16 after what is playing."""
        with self._lock:
            self._to_play += data

    def hush(self) -> float:
        """Forget what was not played; its seconds."""
        with self._lock:
            n_bytes = len(self._to_play)
            self._to_play.clear()
        return n_bytes / PCM_BYTES / RATE_HZ

    def _hear(self, data: Any, frames: int, time: Any, status: Any) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, bytes(data))

    def _fill(self, data: Any, frames: int, time: Any, status: Any) -> None:
        n_bytes = len(data)
        with self._lock:
            piece = bytes(self._to_play[:n_bytes])
            del self._to_play[:n_bytes]
        data[:] = piece.ljust(n_bytes, b"\0")


@contextmanager
def open_devices() -> Iterator[Devices]:
    """The default microphone and loudspeaker; `RuntimeError` says what is missing."""
    try:
        import sounddevice
    except ImportError:
        reason = "the microphone needs the package sounddevice: install moss-speech[talk]"
        raise RuntimeError(f"{reason}, or ask with --file") from None
    except OSError as error:
        reason = f"the microphone cannot be used ({error}): install PortAudio (libportaudio2)"
        raise RuntimeError(f"{reason}, or ask with --file") from None
    devices = Devices()
    how = {"samplerate": RATE_HZ, "channels": 1, "dtype": "int16"}
    how["blocksize"] = int(PIECE_S * RATE_HZ)
    try:
        microphone = sounddevice.RawInputStream(callback=devices._hear, **how)
        loudspeaker = sounddevice.RawOutputStream(callback=devices._fill, **how)
    except sounddevice.PortAudioError as error:
        reason = f"there is no microphone or no loudspeaker that can be used ({error})"
        raise RuntimeError(f"{reason}; ask with --file") from None
    with microphone, loudspeaker:
        yield devices
