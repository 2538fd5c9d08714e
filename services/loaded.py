"""The models of this process: one for new conversations, older ones until theirs have ended."""

import asyncio
import math

from moss_speech.inference.engine import Engine
from moss_speech.inference.scheduler import Space
from services.errors import ApiError, overloaded
from services.metrics import Metrics
from services.served import ModelInfo, Served

SWAP_WAIT_S = 5
"""How long a new conversation waits for the model that it will get; many clients give a handshake
up after 10 s and would never be told why."""


class Loaded:
    """Belongs to the event loop."""

    def __init__(self, engine: Engine, info: ModelInfo, space: Space, metrics: Metrics) -> None:
        self._space, self._metrics = space, metrics
        self._current: Served | None
        self.info: ModelInfo
        """Which model new conversations get, or got before it was let go."""
        self._give(Served(engine, info, space, metrics))
        self._old: set[Served] = set()
        self._may_open, self._changed = asyncio.Event(), asyncio.Event()
        self._may_open.set()

    @property
    def current(self) -> Served:
        """The model of new conversations; a 503 `ApiError` while there is none."""
        if self._current is None:
            raise _swapping()
        return self._current

    @property
    def works(self) -> bool:
        """Whether no engine has given up."""
        return all(served.works for served in self._all())

    def _all(self) -> list[Served]:
        return [*self._old, *([] if self._current is None else [self._current])]

    async def place(self) -> Served:
        """The model for one conversation more; a 503 `ApiError` if there is no room."""
        try:
            async with asyncio.timeout(SWAP_WAIT_S):
                await self._may_open.wait()
        except TimeoutError:
            raise _swapping() from None
        served = self.current
        if served.retry_after_s:
            full = served.n_open >= served.n_places
            reason = (
                f"all {served.n_places} conversations are taken"
                if full
                else f"one conversation beside {served.n_open} would not hold real time now"
            )
            raise overloaded(f"{reason}; try again later", math.ceil(served.retry_after_s))
        return served

    def _give(self, served: Served) -> None:
        self._current, self.info = served, served.info
        self._metrics.serving(self.info.version, self.info.digest, served.session_bytes)

    async def left(self, served: Served) -> None:
        """A conversation with this model has ended."""
        self._changed.set()
        if served in self._old and not served.n_open:
            self._old.discard(served)
            await asyncio.to_thread(served.stop)

    async def replace(self, engine: Engine, info: ModelInfo) -> None:
        """Give another model to new conversations; those under way end with theirs.

        If there is no memory for its conversations, nothing changes.
        """
        new = await asyncio.to_thread(Served, engine, info, self._space, self._metrics)
        old = self._current
        self._metrics.retired(self.info.version, self.info.digest)
        self._give(new)
        self._may_open.set()
        if old is not None:
            self._old.add(old)
            await self.left(old)

    async def drain(self) -> None:
        """Let nobody in, wait until all conversations have ended, and let the model go."""
        self._may_open.clear()
        while self.current.n_open:
            self._changed.clear()
            await self._changed.wait()
        await asyncio.to_thread(self.current.stop)
        self._current = None

    def stop(self) -> None:
        """End all threads."""
        for served in self._all():
            served.stop()


def _swapping() -> ApiError:
    reason = "the model is being replaced once old conversations end; try again later"
    return overloaded(reason, SWAP_WAIT_S, code="model_swap")
