"""Clients of a live session that listen as people do: on a clock that plays what arrives."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import openai
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.services.realtime.line import RATE_HZ, Line, on_the_line, question

BYTES_PER_S = 2 * RATE_HZ
RESERVE_S = 0.4
"""What a player holds back before it begins: one piece of the tiny model's answers."""
QUESTION = question(silence_s=1.0)


@dataclass
class Playback:
    """Plays one answer at a time; `late_s` is by how much the worst piece came too late."""

    late_s: float = 0.0
    underruns: int = 0
    pieces: int = 0
    _end_s: dict[str, float] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        """Listen to an event if it is sound."""
        if event["type"] != "response.output_audio.delta":
            return
        now_s, answer = time.monotonic(), event["response_id"]
        end_s = self._end_s.setdefault(answer, now_s + RESERVE_S)
        self.pieces += 1
        if now_s > end_s:
            self.underruns += 1
            self.late_s = max(self.late_s, now_s - end_s)
        self._end_s[answer] = max(end_s, now_s) + len(_bytes_of(event)) / BYTES_PER_S

    def add(self, other: "Playback") -> None:
        """Count what another player heard as well."""
        self.late_s = max(self.late_s, other.late_s)
        self.underruns += other.underruns
        self.pieces += other.pieces


def _bytes_of(event: dict[str, Any]) -> bytes:
    return base64.b64decode(event["delta"])


class Listener(Line):
    """A client that plays what it hears."""

    def __init__(self, line: Line) -> None:
        super().__init__(line.connection)
        self.playback = Playback()

    async def next(self) -> dict[str, Any]:
        event = await super().next()
        self.playback.take(event)
        return event

    async def ask(self) -> dict[str, Any]:
        """A spoken question that the server's voice activity finds, and the answer's end."""
        await self.append(QUESTION)
        return await self.done()

    async def interrupt(self) -> dict[str, Any]:
        """Speak into an answer, tell how much of it was heard, and hear the next one."""
        await self.append(QUESTION)
        await self.until("response.output_audio.delta")
        await self.append(QUESTION)
        cancelled = await self.done()
        if cancelled["status"] == "cancelled":  # else it had ended before
            [item] = cancelled["output"]
            fields = {"item_id": item["id"], "content_index": 0, "audio_end_ms": 80}
            await self.send("conversation.item.truncate", **fields)
        return await self.done()

    def leave(self) -> None:
        """Vanish without a word, as a client does whose network went away."""
        self.connection._connection.transport.abort()


@asynccontextmanager
async def listening(url: str, **session: Any) -> AsyncIterator[Listener]:
    """A live session with a player, as soon as there is room."""
    async with on_the_line(url, **session) as line:
        yield Listener(line)


@asynccontextmanager
async def coming_in(url: str) -> AsyncIterator[Listener]:
    """The same, or `InvalidStatus` at once if there is no room."""
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client,
        client.realtime.connect(model="moss-speech") as connection,
    ):
        listener = Listener(Line(connection))
        await listener.until("session.created")
        yield listener


@dataclass(frozen=True)
class TurnedAway:
    """A handshake that was refused: HTTP status, the error's code, when to try again."""

    status: int
    code: str
    retry_after_s: float


def turned_away(refusal: InvalidStatus) -> TurnedAway:
    """What a refused handshake tells."""
    response = refusal.response
    assert response.body is not None
    error = json.loads(response.body)["error"]
    return TurnedAway(response.status_code, error["code"], float(response.headers["retry-after"]))


async def closing(line: Line, limit_s: float = 15) -> ConnectionClosed:
    """How the server ended a session; fails if it is not ended in time."""
    async with asyncio.timeout(limit_s):
        while True:
            try:
                await line.next()
            except ConnectionClosed as closed:
                return closed
