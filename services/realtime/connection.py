"""One WebSocket: reads the client, waits for the engine, writes, watches the time, and pays."""

import asyncio
import logging
import time
from contextlib import suppress

from fastapi import WebSocket, WebSocketDisconnect

from moss_speech.inference.turns import Usage
from services.access import Access, Caller
from services.errors import ApiError, failed, invalid
from services.ids import bind
from services.metrics import Metrics
from services.realtime import told
from services.realtime.asked import Asked, EventError, read_event
from services.realtime.conversation import new_id
from services.realtime.outbox import EndingError, Outbox, SlowClientError
from services.realtime.response import Response
from services.realtime.session import Session
from services.realtime.told import Event
from services.talk import Talk

_log = logging.getLogger(__name__)

WATCH_S = 0.25
CLOSE_S = 5.0
"""Time for the last words to a client that may not read."""
MAX_UNHEARD_S = 30.0
"""A client that sends sound faster than it is heard has to wait with more."""
_PAUSE_S = 0.05
_PARSED_ASIDE_CHARS = 64 * 1024
"""Longer events are read in a thread, so that the event loop never waits for one."""


class Connection:
    """A client that was let in, until one side is done."""

    def __init__(
        self,
        websocket: WebSocket,
        talk: Talk,
        caller: Caller,
        access: Access,
        metrics: Metrics,
        *,
        max_session_s: float,
        max_idle_s: float,
        max_unsent_bytes: int,
    ) -> None:
        self._websocket, self._talk = websocket, talk
        self._caller, self._access, self._metrics = caller, access, metrics
        self._max_session_s, self._max_idle_s = max_session_s, max_idle_s
        self._outbox = Outbox(max_unsent_bytes)
        self._session = Session(talk, self._tell, on_answer=self._answers, on_spent=self._spent)
        self._unpaid_tokens = 0
        self._opened_s = self._asked_s = time.monotonic()

    async def run(self) -> None:
        """Converse until the client leaves or a limit is reached; every way out pays and closes."""
        bind(session=new_id("sess"))
        ending = EndingError(1011, failed())
        try:
            await self._converse()
        except* EndingError as group:
            ending = next(e for e in group.exceptions if isinstance(e, EndingError))
        except* Exception:
            _log.exception("a live session broke")
        finally:
            self._unpaid_tokens += self._session.unpaid_tokens
            await asyncio.shield(self._pay())
        if isinstance(ending, SlowClientError):
            self._metrics.slow_client()
        await self._close(ending)

    async def _converse(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._write())
            try:
                self._session.open(self._caller.session)
            except ApiError as error:
                raise EndingError(1008, error) from error
            tasks.create_task(self._read())
            tasks.create_task(self._listen())
            tasks.create_task(self._watch())

    def _tell(self, event: Event) -> None:
        if event["type"] == "error":
            self._metrics.refused(event["error"]["code"])
        self._outbox.put(event)

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise EndingError(None)
            self._asked_s = time.monotonic()
            try:
                event = await self._parse(message.get("text"))
            except EventError as refused:
                self._tell(told.error(refused.error, refused.event_id))
                continue
            await self._session.calm.wait()
            self._session.ask(event)
            while self._talk.unheard_s > MAX_UNHEARD_S:
                await asyncio.sleep(_PAUSE_S)

    @staticmethod
    async def _parse(text: str | None) -> Asked:
        if text is None:
            reason = "a binary frame came; events are JSON in text frames, audio is base64 in them"
            raise EventError(invalid(reason, None, "invalid_json"))
        if len(text) > _PARSED_ASIDE_CHARS:
            return await asyncio.to_thread(read_event, text)
        return read_event(text)

    async def _listen(self) -> None:
        while True:
            try:
                event = await self._talk.next()
            except ApiError as error:
                raise EndingError(1011, error) from error
            self._session.happen(event)

    async def _write(self) -> None:
        while True:
            text = await self._outbox.take()
            try:
                await self._websocket.send_text(text)
            except WebSocketDisconnect:
                raise EndingError(None) from None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            now_s = time.monotonic()
            if now_s - self._opened_s > self._max_session_s:
                reason = f"the session has lasted {self._max_session_s:g} s, which is the limit"
                raise EndingError(1001, ApiError(400, reason, code="session_expired"))
            if now_s - self._asked_s > self._max_idle_s:
                reason = f"no event came for {self._max_idle_s:g} s, which is the limit"
                raise EndingError(1001, ApiError(400, reason, code="session_idle"))
            self._session.tick()
            await self._pay()

    def _answers(self, response: Response) -> None:
        self._tasks.create_task(self._admit(response))

    async def _admit(self, response: Response) -> None:
        """Count an answer while it is made already; the limits seldom forbid one."""
        try:
            await self._access.request(self._caller)
            self._tell(told.rate_limits(await self._access.remaining(self._caller)))
        except ApiError as error:
            self._session.fail(response, error)

    def _spent(self, usage: Usage) -> None:
        self._unpaid_tokens += (
            usage.prompt_text_rows + usage.prompt_audio_rows
            + usage.reply_text_rows + usage.reply_audio_rows
        )  # fmt: skip

    async def _pay(self) -> None:
        tokens, self._unpaid_tokens = self._unpaid_tokens, 0
        if tokens:
            try:
                await self._access.spend(self._caller, tokens)
            except ApiError:  # too many wait for the database: next time
                self._unpaid_tokens += tokens

    async def _close(self, ending: EndingError) -> None:
        if ending.close_code is None:
            return
        # the client may be gone, or may not read: then nobody is left to tell
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect, EndingError):
            async with asyncio.timeout(CLOSE_S):
                if ending.error is not None:
                    self._tell(told.error(ending.error, None))
                while not self._outbox.empty:
                    await self._websocket.send_text(await self._outbox.take())
                await self._websocket.close(ending.close_code)
