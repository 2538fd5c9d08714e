"""Admission of callers: who it is, what they may do, how much of it is left."""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import HTTPConnection

from moss_speech.catalogue.keys import SCOPES, Scope, find_key, is_usable, key_by_id
from moss_speech.catalogue.limits import Spent, spend
from moss_speech.catalogue.serving_tables import ApiKey
from moss_speech.settings import Settings
from services.access import client_secrets
from services.access.callers import ANONYMOUS, Caller, CallerLimits, RateLimit
from services.access.client_secrets import Claims, ClientSecrets
from services.access.credentials import token_of
from services.access.sessions import LiveSessions
from services.errors import ApiError
from services.transactions import Transactions

MAX_TOKEN_CHARS = 8192


class Access:
    """Keys and limits of one worker; what is counted is shared by all workers."""

    def __init__(self, chosen: Settings, transactions: Transactions) -> None:
        limits = CallerLimits(
            chosen.sessions_per_key, chosen.requests_per_minute, chosen.tokens_per_minute
        )
        self._anonymous = Caller(ANONYMOUS, ANONYMOUS, frozenset(SCOPES), limits)
        self._is_open, self._transactions = chosen.auth == "open", transactions
        self._secrets = ClientSecrets(client_secrets.signing_key(chosen))
        self._sessions = LiveSessions(transactions)

    async def caller(self, connection: HTTPConnection, scope: Scope) -> Caller:
        """Who calls, counted as one request; raises `ApiError` 401, 403 or 429."""
        caller = await self._identify(token_of(connection))
        if scope not in caller.scopes:
            held = ", ".join(sorted(caller.scopes))
            raise ApiError(
                403,
                f"this needs the scope {scope}; {caller.name} has {held}",
                code="insufficient_scope",
                kind="permission_error",
            )
        spent = await self._spend(caller, requests=1)
        connection.state.rate_limits = _rate_limits(caller, spent)
        _check(caller, spent)
        return caller

    async def _identify(self, token: str | None) -> Caller:
        if token is not None and len(token) > MAX_TOKEN_CHARS:
            raise _unknown("the key is longer than any key is")
        if token is not None and token.startswith(client_secrets.PREFIX):
            claims = self._secrets.read(token, time.time())
            caller = await self._issuer(claims)
            return replace(caller, scopes=frozenset({"realtime"}), session=claims.session)
        if self._is_open:
            return self._anonymous
        if token is None:
            reason = "no API key was sent; it belongs into the header `Authorization: Bearer KEY`"
            raise ApiError(401, reason, code="missing_api_key", kind="authentication_error")
        return _usable(await self._transactions.run(lambda session: find_key(session, token)))

    async def _issuer(self, claims: Claims) -> Caller:
        if self._is_open and claims.caller == ANONYMOUS:
            return self._anonymous
        return _usable(await self._transactions.run(lambda s: key_by_id(s, claims.caller)))

    def issue(self, caller: Caller, session: Mapping[str, Any], expires_at: int) -> str:
        """A client secret with which somebody else may speak on a caller's account."""
        return self._secrets.issue(Claims(caller.id, expires_at, session))

    def admit(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        """Hold one of the caller's live sessions; `ApiError` 429 when all are taken."""
        return self._sessions.place(caller)

    async def request(self, caller: Caller) -> None:
        """Count one more request of a caller, such as an answer in a live session.

        Raises `ApiError` 401 if the key was revoked meanwhile, 429 above a limit.
        """
        if caller.id != ANONYMOUS:
            _usable(await self._transactions.run(lambda session: key_by_id(session, caller.id)))
        _check(caller, await self._spend(caller, requests=1))

    async def spend(self, caller: Caller, tokens: int) -> None:
        """Count the tokens of an answer: rows of the grid, heard and said."""
        await self._spend(caller, tokens=tokens)

    async def remaining(self, caller: Caller) -> list[RateLimit]:
        """What is left of the caller's limits in this minute."""
        return _rate_limits(caller, await self._spend(caller))

    async def _spend(self, caller: Caller, requests: int = 0, tokens: int = 0) -> Spent:
        now = datetime.now(UTC)
        return await self._transactions.run(lambda s: spend(s, caller.id, requests, tokens, now))


def _unknown(reason: str) -> ApiError:
    return ApiError(401, reason, code="invalid_api_key", kind="authentication_error")


def _usable(row: ApiKey | None) -> Caller:
    """The holder of a key; `ApiError` 401 if there is none or it has ended."""
    if row is None:
        raise _unknown("the API key is not known here")
    if not is_usable(row, datetime.now(UTC)):
        raise _unknown("the API key was revoked or has expired")
    limits = CallerLimits(row.sessions, row.requests_per_minute, row.tokens_per_minute)
    scopes = frozenset(scope for scope in SCOPES if scope in row.scopes)
    return Caller(row.id, row.name, scopes, limits)


def _rate_limits(caller: Caller, spent: Spent) -> list[RateLimit]:
    limits = caller.limits
    left = limits.requests_per_minute - spent.requests, limits.tokens_per_minute - spent.tokens
    return [
        RateLimit("requests", limits.requests_per_minute, max(0, left[0]), spent.reset_s),
        RateLimit("tokens", limits.tokens_per_minute, max(0, left[1]), spent.reset_s),
    ]


def _check(caller: Caller, spent: Spent) -> None:
    """`ApiError` 429 if the caller is above a limit; an answer under way may overdraw tokens."""
    limits = caller.limits
    counts = (
        ("requests", spent.requests - 1, limits.requests_per_minute),
        ("tokens", spent.tokens, limits.tokens_per_minute),
    )
    for name, used, limit in counts:
        if used >= limit:
            raise ApiError(
                429,
                f"{caller.name} has used its {limit} {name} of this minute; try again later",
                code="rate_limit_exceeded",
                kind="rate_limit_error",
                retry_after_s=int(spent.reset_s) + 1,
            )
