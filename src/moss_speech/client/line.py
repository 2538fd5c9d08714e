"""A connection to WS /v1/realtime: events out, events in, refusals as errors for people."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response

Event = dict[str, Any]
Turns = Literal["vad", "manual"]
"""Who ends a turn of the user: the service by voice activity, or the client."""

RATE_HZ = 24000
"""Of the sound in both directions: the protocol's PCM16."""
ROUTE = "/v1/realtime"
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_MAX_EVENT_BYTES = 2**24


class ServiceError(RuntimeError):
    """What the service says no to, in its words; with seconds if it says when to try again."""

    def __init__(self, message: str, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code, self.retry_after_s = code, retry_after_s


def realtime_address(url: str) -> str:
    """Where a service that was named by any of its addresses holds conversations."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.netloc:
        raise ValueError(f"the address is {url!r}, must be http(s)://HOST or ws(s)://HOST")
    path = parts.path.rstrip("/").removesuffix(ROUTE).removesuffix("/v1") + ROUTE
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def settings_of(turns: Turns, voice: str | None = None, **answers: Any) -> Event:
    """Settings of a session: who ends turns, and how answers are wanted."""
    found = None if turns == "manual" else {"type": "server_vad"}
    sound = {} if voice is None else {"output": {"voice": voice}}
    return {"audio": {"input": {"turn_detection": found}, **sound}, **answers}


class Line:
    """One conversation."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event; `ServiceError` once the conversation is over."""
        try:
            await self._socket.send(json.dumps({"type": kind, **fields}))
        except ConnectionClosed as closed:
            raise _ended(closed) from None

    async def next(self) -> Event:
        """The next event; `ServiceError` if it is an error, or the conversation is over."""
        try:
            event: Event = json.loads(await self._socket.recv())
        except ConnectionClosed as closed:
            raise _ended(closed) from None
        if event["type"] == "error":
            raise ServiceError(event["error"]["message"], event["error"]["code"])
        return event

    async def end_turn(self) -> None:
        """End the user's turn and ask for an answer."""
        await self.send("input_audio_buffer.commit")
        await self.send("response.create")

    async def until(self, kind: str) -> Event:
        """The next event of a type; others are passed over."""
        while (event := await self.next())["type"] != kind:
            pass
        return event


@asynccontextmanager
async def connected(url: str, key: str | None, settings: Event) -> AsyncIterator[Line]:
    """A conversation with these settings; `ServiceError` says why there is none."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    address = realtime_address(url)
    try:
        socket = await connect(
            address, additional_headers=headers, max_size=_MAX_EVENT_BYTES, compression=None
        )
    except InvalidStatus as refused:
        raise _refused(refused.response) from None
    except (OSError, InvalidHandshake) as error:
        reason = str(error) or type(error).__name__
        message = f"no service answers at {address} ({reason}); `moss-speech serve` starts one"
        raise ServiceError(message, "no_server") from None
    async with socket:
        line = Line(socket)
        await line.send("session.update", session={"type": "realtime", **settings})
        await line.until("session.updated")
        yield line


def _refused(response: Response) -> ServiceError:
    retry = response.headers.get("retry-after")
    retry_s = float(retry) if retry is not None and retry.isdecimal() else None
    try:
        error = json.loads(response.body or b"")["error"]
        message, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):  # a proxy's page, or no such route
        message, code = f"HTTP status {response.status_code}", "refused"
    hint = {401: "; set MOSS_API_KEY to a key of the service"}.get(response.status_code, "")
    when = "" if retry_s is None else f"; try again in {retry_s:g} s"
    return ServiceError(f"the service refuses: {message}{hint}{when}", code, retry_s)


def _ended(closed: ConnectionClosed) -> ServiceError:
    why = closed.rcvd.reason if closed.rcvd and closed.rcvd.reason else str(closed)
    return ServiceError(f"the service ended the conversation: {why}", "closed")
