"""Limits of a connection over real sockets, with the test in the engine's place."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import websockets
from fastapi import FastAPI, WebSocket
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect

from moss_speech.inference.turns import Heard, LiveEvent
from services.access import Caller, CallerLimits, RateLimit
from services.errors import ApiError
from services.metrics import Metrics
from services.realtime.connection import MAX_UNHEARD_S, Connection
from tests.services.realtime.checked import checked
from tests.services.realtime.line import in_loop
from tests.services.realtime.scripted import ScriptedTalk, finished, sound

ANYBODY = Caller("anybody", "anybody", frozenset({"realtime"}), CallerLimits(1, 1, 1))


class Engine(ScriptedTalk):
    """A talk whose events the test puts in."""

    def __init__(self) -> None:
        super().__init__()
        self.events: asyncio.Queue[LiveEvent | Exception] = asyncio.Queue()

    async def next(self) -> LiveEvent:
        event = await self.events.get()
        if isinstance(event, Exception):
            raise event
        return event


class Purse:
    """Limits of a caller, as the test wants them."""

    def __init__(self) -> None:
        self.spent: list[int] = []
        self.refusal: ApiError | None = None

    async def request(self, caller: Caller) -> None:
        if self.refusal is not None:
            raise self.refusal

    async def remaining(self, caller: Caller) -> list[RateLimit]:
        return [RateLimit("requests", 60, 59, 1.5), RateLimit("tokens", 1000, 900, 1.5)]

    async def spend(self, caller: Caller, tokens: int) -> None:
        self.spent.append(tokens)


class House:
    """A server of one connection."""

    def __init__(self, **limits: float) -> None:
        self.engine, self.purse = Engine(), Purse()
        self.registry = CollectorRegistry()
        self.limits: Any = {
            "max_session_s": 60, "max_idle_s": 60, "max_unsent_bytes": 2**20, **limits,
        }  # fmt: skip
        self.over = asyncio.Event()
        self.url = ""

    async def serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        connection = Connection(
            websocket,
            self.engine,  # type: ignore[arg-type]
            ANYBODY,
            self.purse,  # type: ignore[arg-type]
            Metrics(self.registry),
            **self.limits,
        )
        await connection.run()
        self.over.set()

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0


@asynccontextmanager
async def house(**limits: float) -> AsyncIterator[House]:
    built = House(**limits)
    app = FastAPI()
    app.add_api_websocket_route("/", built.serve)
    with sockets.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        built.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        while not server.started:
            await asyncio.sleep(0.01)
        yield built
        server.should_exit = True
        await asyncio.wait_for(task, 30)


async def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while (event := checked(await asyncio.wait_for(socket.recv(), 20)))["type"] != kind:
        pass
    return event


async def last_words(socket: ClientConnection) -> tuple[str, int]:
    """The code of the error and of the close."""
    error = (await until(socket, "error"))["error"]
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await asyncio.wait_for(socket.recv(), 20)
    assert closed.value.rcvd is not None
    return error["code"], closed.value.rcvd.code


CREATE = json.dumps({"type": "response.create"})


@in_loop
async def test_session_that_is_too_long_ends_with_its_reason() -> None:
    async with house(max_session_s=0.5) as built, connect(built.url) as socket:
        assert await last_words(socket) == ("session_expired", 1001)


@in_loop
async def test_client_that_sends_nothing_is_sent_away() -> None:
    async with house(max_idle_s=0.6) as built, connect(built.url) as socket:
        for _ in range(5):
            await asyncio.sleep(0.2)
            await socket.send('{"type": "input_audio_buffer.clear"}')
        assert await last_words(socket) == ("session_idle", 1001)


@in_loop
async def test_engine_that_fails_ends_the_session_and_says_so() -> None:
    async with house() as built, connect(built.url) as socket:
        failure = ApiError(500, "broken", code="engine_failed", kind="server_error")
        built.engine.events.put_nowait(failure)
        assert await last_words(socket) == ("engine_failed", 1011)


@in_loop
async def test_fault_of_our_own_ends_the_session_without_its_details() -> None:
    async with house() as built, connect(built.url) as socket:
        built.engine.events.put_nowait(KeyError("secret"))
        assert await last_words(socket) == ("server_failed", 1011)


@in_loop
async def test_client_that_does_not_read_is_disconnected_and_counted() -> None:
    async with house(max_unsent_bytes=300_000) as built:
        host, port = built.url.removeprefix("ws://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        payload = CREATE.encode()
        writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        while "respond" not in built.engine.calls:
            await asyncio.sleep(0.01)
        for _ in range(2000):  # 2.6 MB of base64 a second of engine time
            if built.count("moss_slow_clients_total"):
                break
            built.engine.events.put_nowait(sound(5))
            await asyncio.sleep(0.001)
        assert built.count("moss_slow_clients_total") == 1
        assert built.count("moss_refused_total", code="slow_client") == 1
        await asyncio.wait_for(built.over.wait(), 20)
        writer.transport.abort()


@in_loop
async def test_answer_is_paid_and_limits_are_told() -> None:
    async with house() as built, connect(built.url) as socket:
        await socket.send(CREATE)
        await until(socket, "response.created")
        limits = (await until(socket, "rate_limits.updated"))["rate_limits"]
        assert limits[1] == {
            "name": "tokens", "limit": 1000, "remaining": 900, "reset_seconds": 1.5,
        }  # fmt: skip
        built.engine.events.put_nowait(sound(3))
        built.engine.events.put_nowait(finished(3))
        await until(socket, "response.done")
        await asyncio.sleep(0.5)
        assert built.purse.spent == [11 + 7 + 3]


@in_loop
async def test_answer_that_a_client_leaves_is_paid_as_far_as_it_was_heard() -> None:
    async with house() as built:
        async with connect(built.url) as socket:
            await socket.send(CREATE)
            await until(socket, "response.created")
            built.engine.events.put_nowait(sound(3))
            await until(socket, "response.output_audio.delta")
        await asyncio.wait_for(built.over.wait(), 20)
        assert built.purse.spent == [3]


@in_loop
async def test_answer_above_the_callers_limits_fails_and_the_session_goes_on() -> None:
    async with house() as built, connect(built.url) as socket:
        built.purse.refusal = ApiError(
            429, "no more", code="rate_limit_exceeded", kind="rate_limit_error"
        )
        await socket.send(CREATE)
        while "cancel" not in built.engine.calls:
            await asyncio.sleep(0.01)
        built.engine.events.put_nowait(finished(0, finish="cancelled"))
        done = (await until(socket, "response.done"))["response"]
        assert done["status_details"]["error"]["code"] == "rate_limit_exceeded"
        built.purse.refusal = None
        await socket.send(CREATE)
        await until(socket, "rate_limits.updated")


@in_loop
async def test_events_wait_while_a_turn_is_on_its_way() -> None:
    async with house() as built, connect(built.url) as socket:
        for kind in ("input_audio_buffer.commit", "response.create"):
            await socket.send(json.dumps({"type": kind}))
        await asyncio.sleep(0.3)
        assert built.engine.calls == ["commit"]
        built.engine.events.put_nowait(Heard((1, 2), 0, 160))
        await until(socket, "response.created")
        [(turns, _)] = built.engine.asked
        assert turns[-1].codes == (1, 2)


@in_loop
async def test_client_waits_while_much_sound_is_not_heard_yet() -> None:
    async with house() as built, connect(built.url) as socket:
        built.engine.unheard_s = MAX_UNHEARD_S + 1
        audio = {"type": "input_audio_buffer.append", "audio": "AAAAAAAA" * 500}
        for _ in range(3):
            await socket.send(json.dumps(audio))
        await asyncio.sleep(0.3)
        assert len(built.engine.heard) == 1
        built.engine.unheard_s = 0.0
        await socket.send(CREATE)
        await until(socket, "response.created")
        assert len(built.engine.heard) == 3
