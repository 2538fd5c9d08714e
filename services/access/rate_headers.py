"""OpenAI's x-ratelimit headers on every answer to a caller whose request was counted."""

import math
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.access.callers import RateLimit

KEY = "rate_limits"
"""Where `Access.caller` leaves the limits in a connection's state."""

RATE_HEADERS = tuple(
    f"x-ratelimit-{what}-{name}"
    for what in ("limit", "remaining", "reset")
    for name in ("requests", "tokens")
)


class RateHeaders:
    """Adds the headers when an answer starts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on with a state that its route can leave limits in."""
        state = scope.setdefault("state", {})

        async def with_limits(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                write_limits(MutableHeaders(scope=message), state.get(KEY, ()))
            await send(message)

        await self._app(scope, receive, with_limits)


def write_limits(headers: MutableHeaders, limits: Sequence[RateLimit]) -> None:
    """The headers of some limits."""
    for limit in limits:
        headers[f"x-ratelimit-limit-{limit.name}"] = str(limit.limit)
        headers[f"x-ratelimit-remaining-{limit.name}"] = str(limit.remaining)
        headers[f"x-ratelimit-reset-{limit.name}"] = f"{math.ceil(limit.reset_s)}s"
