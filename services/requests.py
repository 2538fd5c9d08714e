"""Every request and WebSocket: an id, the caller's trace, and how it is counted."""

import asyncio
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from services.ids import bind, bind_traceparent

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS = {"WS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
ELSEWHERE = "other"
"""The route of a request that none of ours took; its path is the client's, so it is no label."""
_FAILED, _LEFT = 500, 499
"""Nobody answered; nobody waited for an answer."""

Count = Callable[[str, str, int, float | None], None]
"""Method, route, status, seconds; none for a WebSocket."""


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", ELSEWHERE)


def _bind(headers: Headers) -> str:
    """The request's id: the client's if it is one, else a new one."""
    sent = headers.get("x-request-id", "")
    request = sent if _ID.fullmatch(sent) else f"req_{uuid.uuid4().hex}"
    bind(request=request)
    traceparent = headers.get("traceparent", "")
    known = _TRACEPARENT.fullmatch(traceparent)
    bind_traceparent(traceparent if known else None)
    if known:
        bind(trace=known[1])
    return request


class Requests:
    """Names each request, tells the client its id as `x-request-id`, and counts it."""

    def __init__(self, app: ASGIApp, count: Count) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; one that raises, or that nobody answered, counts as failed."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _bind(Headers(scope=scope))
        began_s, status = time.perf_counter(), _FAILED

        async def noting(message: Message) -> None:
            nonlocal status
            kind = message["type"]
            if kind.endswith("http.response.start"):
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and status == _FAILED:
                status = 403
            if kind.endswith("http.response.start") or kind == "websocket.accept":
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["x-request-id"] = request
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except (asyncio.CancelledError, ClientDisconnect, WebSocketDisconnect):
            status = _LEFT if status == _FAILED else status
            raise
        except Exception:
            status = _FAILED
            raise
        finally:
            is_http = scope["type"] == "http"
            method = scope["method"] if is_http else "WS"
            took_s = time.perf_counter() - began_s if is_http else None
            self._count(method if method in _METHODS else ELSEWHERE, _route(scope), status, took_s)
