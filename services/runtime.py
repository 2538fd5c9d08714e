"""The engine behind a bounded queue: one thread computes, the event loop only waits."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from moss_speech.inference.engine import Engine
from moss_speech.inference.turns import Event, Finished
from moss_speech.settings import Settings
from services.access import Access
from services.answers import Answers
from services.errors import ApiError
from services.metrics import Metrics
from services.transactions import Transactions

EventSource = Callable[[], Iterator[Event]]


@dataclass(frozen=True)
class ModelInfo:
    """Which model answers: its name and version in the registry and the digest it has there.

    A plain folder has the digest of its card.
    """

    name: str
    version: str
    digest: str


class Answering:
    """One answer under way; events come from the engine's thread and are read in the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        self._cancelled = threading.Event()

    def run(self, source: EventSource) -> None:
        """Compute in this thread until the answer ends, fails or is cancelled."""
        if self._cancelled.is_set():
            return
        try:
            with closing(source()) as events:  # type: ignore[type-var]
                for event in events:
                    self._put(event)
                    if self._cancelled.is_set():
                        return
        except BaseException as error:
            self._put(error)

    def _put(self, item: Event | BaseException) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server stops
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    def cancel(self) -> None:
        """Stop computing at the next event."""
        self._cancelled.set()

    async def events(self) -> AsyncIterator[Event]:
        """Events until the answer is whole; leaving early cancels it, errors are raised here."""
        try:
            while True:
                item = await self._queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            self.cancel()


class Runtime:
    """What the routes share: engine, model, stored answers, metrics, admission."""

    def __init__(self, engine: Engine, model: ModelInfo, metrics: Metrics, chosen: Settings):
        self.engine, self.model, self.metrics = engine, model, metrics
        self._transactions = Transactions(chosen.catalogue_url)
        self.answers = Answers(self._transactions)
        self.access = Access(chosen, self._transactions)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._max_waiting, self._admitted = chosen.max_waiting, 0

    def answer(self, source: EventSource, output: str) -> Answering:
        """Queue an answer for the engine; a 503 `ApiError` if the queue is full."""
        if self._admitted > self._max_waiting:
            raise ApiError(
                503,
                f"{self._admitted} answers are under way or waiting, at most "
                f"{self._max_waiting + 1} may be; try again later",
                code="overloaded",
                kind="overloaded_error",
                retry_after_s=1,
            )
        answering = Answering()
        self._admitted += 1
        self.metrics.admitted.set(self._admitted)
        job = self._thread.submit(answering.run, lambda: self._measured(source, output))
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: self._call(loop, self._leave))
        return answering

    def _measured(self, source: EventSource, output: str) -> Iterator[Event]:
        for event in source():
            if isinstance(event, Finished):
                self.metrics.answered(event.reply, output)
            yield event

    def _leave(self) -> None:
        self._admitted -= 1
        self.metrics.admitted.set(self._admitted)

    @staticmethod
    def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server stops
            loop.call_soon_threadsafe(what)

    def close(self) -> None:
        """Drop what waits and end the engine's thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._transactions.close()
