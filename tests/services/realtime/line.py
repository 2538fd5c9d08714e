"""The unchanged OpenAI client on a live session, every event and their order checked."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import openai
import websockets
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from moss_speech.audio import Samples
from tests.services.realtime.checked import checked
from tests.services.realtime.grammar import Grammar
from tests.tiny_bundle import spoken

P = ParamSpec("P")
T = TypeVar("T")
RATE_HZ = 24000
WAIT_S = 60.0
MANUAL: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}
LONG = 600
"""Rows; a tiny model with random weights seldom ends before, and makes them in real time."""


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def pcm(samples_S: Samples) -> bytes:
    return (np.clip(samples_S, -1, 1) * 32767).astype("<i2").tobytes()


def question(silence_s: float = 0.0) -> bytes:
    """A spoken question at 24 kHz, after 0.3 s of silence and before some."""
    before, after = (np.zeros(int(s * RATE_HZ), np.float32) for s in (0.3, silence_s))
    return pcm(np.concatenate([before, spoken(rate_hz=RATE_HZ), after]))


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def message(text: str = "what color is the grass", **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **more}


class Line:
    """One session."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.grammar = Grammar()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send({"type": kind, **fields})  # type: ignore[misc, arg-type]

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            event = checked(await self.connection.recv_bytes())
        self.grammar.read(event)
        self.events.append(event)
        return event

    async def until(self, *kinds: str) -> dict[str, Any]:
        """The next event of one of these types; an unexpected error ends the test."""
        while True:
            event = await self.next()
            if event["type"] in kinds:
                return event
            assert event["type"] != "error", event

    async def error(self) -> dict[str, Any]:
        """The next error's body."""
        while (event := await self.next())["type"] != "error":
            pass
        body: dict[str, Any] = event["error"]
        return body

    async def update(self, **session: Any) -> dict[str, Any]:
        """The settings after an update."""
        await self.send("session.update", session={"type": "realtime", **session})
        settings: dict[str, Any] = (await self.until("session.updated"))["session"]
        return settings

    async def append(self, data: bytes, piece: int = 9600) -> None:
        """Audio in pieces of 200 ms, as fast as the socket takes it."""
        for start in range(0, len(data), piece):
            await self.send(
                "input_audio_buffer.append", audio=base64_of(data[start : start + piece])
            )

    async def say(self, data: bytes | None = None) -> str:
        """A manual turn; the id of its item."""
        await self.append(question() if data is None else data)
        await self.send("input_audio_buffer.commit")
        return str((await self.until("input_audio_buffer.committed"))["item_id"])

    async def answer(self, **response: Any) -> dict[str, Any]:
        """Ask for an answer and wait for its end."""
        await self.send("response.create", response=response)
        return await self.done()

    async def done(self) -> dict[str, Any]:
        """The answer, when it has ended."""
        response: dict[str, Any] = (await self.until("response.done"))["response"]
        return response

    def sound(self, item_id: str) -> bytes:
        """All sound of an item that came so far."""
        deltas = [e for e in self.events if e["type"] == "response.output_audio.delta"]
        return b"".join(base64.b64decode(e["delta"]) for e in deltas if e["item_id"] == item_id)

    def types(self) -> list[str]:
        """Types of all events so far."""
        return [event["type"] for event in self.events]


def is_overload(error: websockets.InvalidStatus) -> bool:
    """Whether a server has no room just now, which a busy machine may cause at any time."""
    response = error.response
    return response.status_code == 503 and "retry-after" in response.headers


async def patiently(enter: Callable[[], Awaitable[T]]) -> T:
    """A connection, tried for as long as there is no room for it."""
    for _ in range(int(WAIT_S)):
        try:
            return await enter()
        except websockets.InvalidStatus as error:
            if not is_overload(error):
                raise
            await asyncio.sleep(1)
    raise TimeoutError(f"the server had no room for {WAIT_S} s")


@asynccontextmanager
async def on_the_line(url: str, **session: Any) -> AsyncIterator[Line]:
    """A session with a server, its greeting read, its settings made."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        connection = await patiently(client.realtime.connect(model="moss-speech").enter)
        try:
            line = Line(connection)
            await line.until("session.created")
            if session:
                await line.update(**session)
            yield line
        finally:
            await connection.close()
