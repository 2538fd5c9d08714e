"""Live sessions, counted over all workers: a place is held while its worker says so."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from moss_speech.catalogue.limits import LEASE_S, free_place, see_places, take_place
from services.access.callers import Caller
from services.errors import ApiError
from services.transactions import Transactions

_log = logging.getLogger(__name__)
BEAT_S = LEASE_S / 3


class LiveSessions:
    """The places that the sessions of this worker hold."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._held: set[str] = set()
        self._beating: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def place(self, caller: Caller) -> AsyncIterator[None]:
        """Hold one of the caller's places; `ApiError` 429 when all are taken."""
        n_places, now = caller.limits.sessions, datetime.now(UTC)
        lease = await self._transactions.run(lambda s: take_place(s, caller.id, n_places, now))
        if lease is None:
            raise ApiError(
                429,
                f"{caller.name} has {n_places} live sessions, which is the limit; end one",
                code="rate_limit_exceeded",
                kind="rate_limit_error",
                retry_after_s=1,
            )
        self._held.add(lease)
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            self._held.remove(lease)
            # a session that is cancelled still gives its place back
            await asyncio.shield(self._transactions.run(lambda s: free_place(s, lease)))

    async def _beat(self) -> None:
        """Keep what is held from looking abandoned, until nothing is."""
        while self._held:
            await asyncio.sleep(BEAT_S)
            held, now = list(self._held), datetime.now(UTC)
            try:
                await self._transactions.run(lambda s, h=held, t=now: see_places(s, h, t))  # type: ignore[misc]
            except Exception:
                _log.warning("live sessions could not be renewed", exc_info=True)
