"""One HTTP request's conversation with the engine: opened, heard, answered, closed.

It is closed when the answer is whole, when it fails, and when the client leaves. Shapes: S samples.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from moss_speech.audio import Samples
from moss_speech.inference.turns import (
    AudioDelta,
    Event,
    Finished,
    Heard,
    LiveEvent,
    QuestionError,
    Refused,
    Reply,
    TextDelta,
    Turn,
    Wish,
)
from services.access import Caller
from services.errors import ApiError
from services.mark import Mark, mark_of
from services.models import model_headers
from services.recording import may_record
from services.runtime import Runtime
from services.talk import Talk

T = TypeVar("T")
MAX_UNREAD_S = 30.0
"""A client that takes nothing of a stream for so long would hold its place for ever."""


class Exchange:
    """A caller's conversation, for the time of one request."""

    def __init__(self, runtime: Runtime, caller: Caller, talk: Talk) -> None:
        self.talk, self._runtime, self._caller = talk, runtime, caller
        self._heard_s, self._unpaid_rows = 0.0, 0.0
        self._opening: Samples | None = self.mark.opening(talk.engine.sample_rate_hz)
        talk.listen(talk.engine.listening_rate_hz, None)

    @property
    def mark(self) -> Mark:
        """How the answers are marked as synthetic."""
        return mark_of(self.talk.info)

    def headers(self, spoken: bool) -> dict[str, str]:
        """Headers of the response: version and lineage, and the mark if it is speech."""
        named = model_headers(self.talk.info, self.talk.engine)
        return named | self.mark.headers if spoken else named

    async def hear(self, samples_S: Samples) -> tuple[int, ...]:
        """Codes of a recording at the engine's rate; `QuestionError` if it is no question."""
        began_s = time.perf_counter()
        self.talk.hear_whole(samples_S)
        heard = await self._next()
        assert isinstance(heard, Heard)
        self._heard_s += time.perf_counter() - began_s
        return heard.codes

    async def answer(self, turns: Sequence[Turn], wish: Wish) -> AsyncIterator[Event]:
        """Events of one answer; `QuestionError` for turns that cannot be answered."""
        self.talk.respond(turns, wish)
        opening_S: Samples | None = None
        while True:
            event = await self._next()
            self._unpaid_rows += self._rows_of(event)
            if isinstance(event, AudioDelta) and self._opening is not None:
                opening_S, self._opening = self._opening, None
                event = AudioDelta(np.concatenate((opening_S, event.samples)))
            if isinstance(event, Finished):
                yield Finished(await self._account(event.reply, opening_S))
                return
            assert isinstance(event, TextDelta | AudioDelta)
            yield event

    def _rows_of(self, event: LiveEvent) -> float:
        """Rows that a piece of an answer took at least."""
        if isinstance(event, AudioDelta):
            engine = self.talk.engine
            return 1000 * event.samples.size / (engine.sample_rate_hz * engine.code_ms)
        return float(isinstance(event, TextDelta))

    def close(self) -> None:
        """End it; of an answer that its client left, what was made is counted."""
        self.talk.close()
        if tokens := math.ceil(self._unpaid_rows):
            self._unpaid_rows = 0.0
            self._runtime.spend(self._caller, tokens)

    def unread(self) -> None:
        """Count a client that did not read its answer."""
        self._runtime.metrics.slow_client()

    async def _account(self, reply: Reply, opening_S: Samples | None) -> Reply:
        rows = reply.usage
        heard = rows.prompt_text_rows + rows.prompt_audio_rows
        said = rows.reply_text_rows + rows.reply_audio_rows
        self._unpaid_rows = 0.0
        await self._runtime.access.spend(self._caller, heard + said)
        if opening_S is not None:
            reply = replace(reply, audio=np.concatenate((opening_S, reply.audio)))
        return reply.at(reply.timings.after(self._heard_s))

    async def _next(self) -> LiveEvent:
        event = await self.talk.next()
        if isinstance(event, Refused):
            raise QuestionError(event.code, event.message)
        return event


async def started(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """The same events, once the first is there: until then a refusal can have a status."""
    first = await anext(events, None)

    async def all_of_them() -> AsyncIterator[Event]:
        if first is not None:
            yield first
        async for event in events:
            yield event

    return all_of_them()


class Streamed(StreamingResponse):
    """A response that is made while it is sent; its conversation is closed however it ends.

    A client that does not read is cut off.
    """

    def __init__(
        self, exchange: Exchange, content: AsyncIterator[str | bytes], media_type: str, spoken: bool
    ) -> None:
        super().__init__(content, headers=exchange.headers(spoken), media_type=media_type)
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""

        async def sent(message: Message) -> None:
            async with asyncio.timeout(MAX_UNREAD_S):
                await send(message)

        try:
            await super().__call__(scope, receive, sent)
        except TimeoutError:
            self._exchange.unread()
        finally:
            self._exchange.close()


async def answered(
    http: Request,
    caller: Caller,
    make: Callable[[Exchange], Coroutine[Any, Any, Response]],
    store: bool | None = None,
) -> Response:
    """The response that `make` gets from a conversation; `ApiError` if there is no room for it.

    `store` False: the client does not want it recorded.
    """
    runtime: Runtime = http.app.state.runtime
    exchange = Exchange(runtime, caller, await runtime.open(caller, may_record(http, store)))
    response: Response | None = None
    try:
        response = await _unless_client_leaves(http, make(exchange))
    finally:
        if not isinstance(response, Streamed):
            exchange.close()
    return response


async def _unless_client_leaves(http: Request, work: Coroutine[Any, Any, T]) -> T:
    doing, leaving = asyncio.create_task(work), asyncio.create_task(_client_left(http.receive))
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ApiError(499, "the client left before the answer", code="client_left")
        return doing.result()
    finally:
        doing.cancel()
        leaving.cancel()


async def _client_left(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
