"""Transactions on the catalogue outside the event loop, by few threads, for a bounded queue."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from moss_speech.catalogue.database import UnreachableError, Work, open_catalogue, transact
from services.errors import overloaded

T = TypeVar("T")
_THREADS = 2
MAX_WAITING = 200
RETRY_S = 2
_LOG = logging.getLogger(__name__)


class Transactions:
    """The catalogue at an address, for the event loop of one worker."""

    def __init__(self, url: str) -> None:
        open_catalogue(url)
        self._url, self._waiting = url, 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="catalogue")

    async def run(self, work: Work[T]) -> T:
        """The result of one transaction.

        A 503 `ApiError` when too many wait for theirs, or while the database cannot be asked.
        """
        if self._waiting >= MAX_WAITING:
            reason = f"{self._waiting} requests wait for the database, which is the limit"
            raise overloaded(reason, 1)
        self._waiting += 1
        job = asyncio.get_running_loop().run_in_executor(self._threads, transact, self._url, work)
        job.add_done_callback(self._leave)
        try:
            return await job
        except UnreachableError as error:
            _LOG.warning("%s", error)
            reason = "the service's database cannot be asked; try again later"
            raise overloaded(reason, RETRY_S, code="database_unavailable") from error

    def _leave(self, job: "asyncio.Future[T]") -> None:
        self._waiting -= 1

    def close(self) -> None:
        """End the threads once what was begun is done."""
        self._threads.shutdown(wait=True)
