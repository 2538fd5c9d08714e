"""Which pages may use the service: its own and those of a list.

Browsers name the page that a request comes from; a program sends no origin and passes. Without this
check any page that somebody visits could use a server on that machine, and listen to the answers.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from services.errors import ApiError, answer_api_error

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def _is_local(host: str) -> bool:
    """Whether a host is an address or localhost, which no page of others can be served under."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


class OriginCheck:
    """Refuses WebSockets, and requests that change or compute something, from foreign pages.

    A page is the service's own if it was loaded from the host that it talks to. An open service
    does not trust a name for that: a foreign page may point its own name at this machine.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str], is_open: bool) -> None:
        self._app, self._allowed, self._is_open = app, frozenset(allowed), is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a connection through, or answer 403 in its place."""
        if scope["type"] == "websocket" or (
            scope["type"] == "http" and scope["method"] not in _READING
        ):
            connection = HTTPConnection(scope)
            origin = connection.headers.get("origin")
            if origin is not None and not self._may(origin, connection.headers.get("host", "")):
                refusal = await answer_api_error(connection, _foreign())
                return await refusal(scope, receive, send)
        await self._app(scope, receive, send)
        return None

    def _may(self, origin: str, host: str) -> bool:
        try:
            own = urlsplit(origin).netloc == host and (_is_local(host) or not self._is_open)
        except ValueError:  # no address: no browser writes that
            return False
        return own or origin in self._allowed


def _foreign() -> ApiError:
    return ApiError(
        403,
        "pages of this origin may not use the service; MOSS_ORIGINS lists those that may",
        code="origin_not_allowed",
        kind="permission_error",
    )
