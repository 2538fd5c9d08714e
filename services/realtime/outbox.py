"""What is on its way to one client: bounded, so that a client that does not read costs nothing."""

import asyncio
import json

from services.errors import ApiError
from services.realtime.conversation import new_id
from services.realtime.told import Event


class EndingError(Exception):
    """The connection is over: its close code, and what the client is told before."""

    def __init__(self, close_code: int | None, error: ApiError | None = None) -> None:
        super().__init__(str(error or "the client left"))
        self.close_code, self.error = close_code, error
        """No close code: the client is gone."""


class SlowClientError(EndingError):
    """The client does not read what it is told."""


class Outbox:
    """Events as JSON, in order, each with an id of its own."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._n_bytes = max_bytes, 0
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    def put(self, event: Event) -> None:
        """Add an event; `SlowClientError` if the client reads too slowly."""
        whole = {"event_id": new_id("event"), **event}
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
        self._n_bytes += len(text)
        self._queue.put_nowait(text)
        if self._n_bytes > self._max_bytes:
            reason = f"{self._n_bytes} bytes wait to be read, at most {self._max_bytes} may"
            self._queue, self._n_bytes = asyncio.Queue(), 0
            raise SlowClientError(1008, ApiError(400, reason, code="slow_client"))

    @property
    def empty(self) -> bool:
        """Whether everything was taken."""
        return self._queue.empty()

    async def take(self) -> str:
        """The next event, when there is one."""
        text = await self._queue.get()
        self._n_bytes -= len(text)
        return text
