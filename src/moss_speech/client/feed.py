"""Sound on its way to the service, as a microphone sends it, and when which of it went out.

Shapes: S samples at 24 kHz.
"""

import asyncio
import base64
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np

from moss_speech.audio import Samples
from moss_speech.client.line import RATE_HZ, Line, ServiceError

PIECE_S = 0.04
"""Sound that goes out at a time, at the moment when its last sample is there."""
_PIECE_SAMPLES = int(PIECE_S * RATE_HZ)
_LOUD = 0.01
"""Peaks above it are speech: -40 dBFS."""
_APART_S = 0.3
"""Speech after so much quiet is a new onset."""


def pcm16(samples_S: Samples) -> bytes:
    """Samples as little-endian 16-bit values; clipped to -1..1."""
    return (np.clip(samples_S, -1, 1) * 32767).astype("<i2").tobytes()


def samples_of(data: bytes | bytearray) -> Samples:
    """What `pcm16` wrote."""
    return np.asarray(np.frombuffer(data, "<i2") / 2**15, np.float32)


class Feed:
    """Sends pieces and notes moments, in seconds of the monotonic clock."""

    def __init__(self, line: Line, *, open_microphone: bool, fast: bool = False) -> None:
        """`open_microphone`: silence goes out where nobody speaks. `fast`: speech does not wait."""
        self._line, self._open, self._fast = line, open_microphone, fast
        self._pieces: deque[Samples] = deque()
        self._sent = asyncio.Event()
        self._sent.set()
        self.onset_s = self.loud_s = self.last_s = 0.0
        """The first and the last loud sample of what was said last, and the last sample."""
        self.n_sent = 0

    def say(self, samples_S: Samples) -> None:
        """Have speech sent after what waits."""
        self._pieces += [
            samples_S[i : i + _PIECE_SAMPLES] for i in range(0, samples_S.size, _PIECE_SAMPLES)
        ]
        self._sent.clear()

    @property
    def saying(self) -> bool:
        """Whether speech waits to be sent."""
        return not self._sent.is_set()

    async def said(self) -> None:
        """Wait until all speech is sent."""
        await self._sent.wait()

    async def run(self) -> None:
        """Send what is said, in its time, until cancelled; `ServiceError` once the line is over."""
        try:
            await self._run()
        finally:
            self._sent.set()  # nobody waits for what will never be sent

    async def _run(self) -> None:
        silence_S = np.zeros(_PIECE_SAMPLES, np.float32)
        due_s = time.monotonic()
        while True:
            speech_S = self._pieces.popleft() if self._pieces else None
            if speech_S is None or not self._fast:
                due_s = max(due_s + PIECE_S, time.monotonic() - PIECE_S)
                await asyncio.sleep(due_s - time.monotonic())
            if speech_S is not None:
                await self.send(speech_S)
            elif self._open:
                await self.send(silence_S)
            if not self._pieces:
                self._sent.set()

    async def send(self, piece_S: Samples) -> None:
        """Send one piece now."""
        now_s = time.monotonic()
        loud = np.flatnonzero(np.abs(piece_S) > _LOUD)
        if loud.size:
            begin_s = now_s - piece_S.size / RATE_HZ
            first_s = begin_s + int(loud[0]) / RATE_HZ
            if first_s - self.loud_s > _APART_S:
                self.onset_s = first_s
            self.loud_s = begin_s + int(loud[-1]) / RATE_HZ
        self.last_s = now_s
        self.n_sent += piece_S.size
        audio = base64.b64encode(pcm16(piece_S)).decode()
        await self._line.send("input_audio_buffer.append", audio=audio)


@asynccontextmanager
async def feeding(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Send sound meanwhile; a line that broke is noticed by whoever reads it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ServiceError):
            await task
