"""Admission of callers: who it is, what they may do, how much of it is left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

from starlette.requests import HTTPConnection

from moss_speech.settings import Settings
from services.access.callers import ANONYMOUS, Caller, CallerLimits, RateLimit, Scope


class Access:
    """Keys and limits of one worker; what is counted is shared by all workers."""

    def __init__(self, chosen: Settings) -> None:
        limits = CallerLimits(64, 6000, 1_000_000)
        self._anonymous = Caller(ANONYMOUS, ANONYMOUS, frozenset(get_args(Scope)), limits)

    async def caller(self, connection: HTTPConnection, scope: Scope) -> Caller:
        """Who calls, counted as one request; raises `ApiError` 401, 403 or 429."""
        return self._anonymous

    @asynccontextmanager
    async def admit(self, caller: Caller) -> AsyncIterator[None]:
        """Hold one of the caller's live sessions; `ApiError` 429 when all are taken."""
        yield

    async def request(self, caller: Caller) -> None:
        """Count one more request of a caller, such as an answer in a live session.

        Raises `ApiError` 401 if the key was revoked meanwhile, 429 above a limit.
        """

    async def spend(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer: rows of the grid, heard and said."""

    async def remaining(self, caller: Caller) -> list[RateLimit]:
        """What is left of the caller's limits in this minute."""
        return []
