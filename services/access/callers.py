"""Who calls: identity, what is allowed, and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from moss_speech.catalogue.keys import Scope

ANONYMOUS = "anonymous"
"""The caller's id and name where no key is asked for."""


@dataclass(frozen=True)
class CallerLimits:
    """How much one caller gets of all workers together; tokens are rows of the grid, 80 ms each."""

    sessions: int
    requests_per_minute: int
    tokens_per_minute: int


@dataclass(frozen=True)
class Caller:
    """A key's holder, or everybody; `session` holds the settings bound to a client secret."""

    id: str
    name: str
    scopes: frozenset[Scope]
    limits: CallerLimits
    session: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RateLimit:
    """What is left of a limit until it is whole again in `reset_s` seconds."""

    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_s: float
