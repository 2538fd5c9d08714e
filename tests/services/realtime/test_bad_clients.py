"""Clients that send nonsense to a real server: a typed error each, and nobody else notices."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.services.conftest import Server
from tests.services.realtime.checked import checked
from tests.services.realtime.line import (
    LONG,
    MANUAL,
    WAIT_S,
    Line,
    base64_of,
    in_loop,
    message,
    on_the_line,
    patiently,
    question,
)

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    return server.url


@asynccontextmanager
async def raw(url: str, path: str = "/v1/realtime", **more: Any) -> AsyncIterator[ClientConnection]:
    """A plain WebSocket, its greeting read."""
    address = url.replace("http", "ws") + path

    async def enter() -> ClientConnection:
        return await connect(address, max_size=None, **more)

    async with await patiently(enter) as socket:
        assert checked(await socket.recv())["type"] == "session.created"
        assert checked(await socket.recv())["type"] == "conversation.created"
        yield socket


async def next_error(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        while (event := checked(await socket.recv()))["type"] != "error":
            pass
    body: dict[str, Any] = event["error"]
    return body


async def is_alive(socket: ClientConnection) -> bool:
    """Whether the session still answers, after whatever is on its way."""
    await socket.send('{"type": "session.update", "session": {"type": "realtime"}}')
    async with asyncio.timeout(WAIT_S):
        while checked(await socket.recv())["type"] != "session.updated":
            pass
    return True


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "cause", **fields})


CREATE = "conversation.item.create"
BAD: list[tuple[str | bytes, str]] = [
    ("", "invalid_json"),
    ("not json", "invalid_json"),
    ("[1, 2]", "invalid_json"),
    ('{"type": "session.update", "session": ', "invalid_json"),
    ("{" * 100_000, "invalid_json"),
    (b"\x00\x01", "invalid_json"),
    (b'{"type": "input_audio_buffer.clear"}', "invalid_json"),
    (event("unknown.event"), "unknown_event"),
    ("{}", "unknown_event"),
    (event("output_audio_buffer.clear"), "unsupported_event"),
    (event("input_audio_buffer.append", audio="%%%"), "invalid_value"),
    (event("input_audio_buffer.append", audio="AAAA"), "audio_odd_bytes"),
    (event("input_audio_buffer.append", audio="A" * 8_000_000), "audio_too_long"),
    (event("input_audio_buffer.commit"), "input_audio_buffer_commit_empty"),
    (event("input_audio_buffer.clear", all=True), "unknown_parameter"),
    (event("response.cancel"), "response_cancel_not_active"),
    (event("conversation.item.delete", item_id="x"), "item_delete_invalid_item_id"),
    (event(CREATE, item=message(), previous_item_id="x"), "invalid_previous_item_id"),
    (event("session.update", session={"type": "realtime", "tools": [{}]}), "invalid_value"),
    (event("session.update", session={"type": "realtime", "seed": 1}), "unknown_parameter"),
]  # fmt: skip


@in_loop
async def test_each_bad_event_gets_its_error_while_a_neighbour_talks(url: str) -> None:
    async with on_the_line(url, **MANUAL, max_output_tokens=LONG) as neighbour, raw(url) as socket:
        manual = {"type": "realtime", **MANUAL}
        await socket.send(json.dumps({"type": "session.update", "session": manual}))
        assert checked(await socket.recv())["type"] == "session.updated"
        await neighbour.say()
        await neighbour.send("response.create")
        await neighbour.until("response.output_audio.delta")
        for frame, code in BAD:
            await socket.send(frame)
            error = await next_error(socket)
            assert error["code"] == code, (str(frame)[:100], error)
            if isinstance(frame, str) and '"cause"' in frame:
                assert error["event_id"] == "cause"
            assert len(error["message"]) < 1000
        assert await is_alive(socket)
        response = await neighbour.done()
        assert response["status"] in ("completed", "incomplete")
        assert "error" not in neighbour.types()


SOUNDS = {"audio_too_short": 0.1, "no_speech": 2.0, "audio_too_long": 31.0}
"""Seconds of silence, by the code of their refusal."""


@pytest.mark.parametrize("code", SOUNDS)
@in_loop
async def test_sound_that_is_no_turn_is_refused(url: str, code: str) -> None:
    async with on_the_line(url, **MANUAL) as line:
        await line.append(bytes(int(SOUNDS[code] * 48000)), piece=480_000)
        await line.send("input_audio_buffer.commit", event_id="cause")
        error = await line.error()
        assert error["code"] == code
        if code != "audio_too_long":  # the fault of an event before
            assert error["event_id"] == "cause"
        await line.send("input_audio_buffer.clear")
        while (await line.next())["type"] != "input_audio_buffer.cleared":
            pass
        await line.say()
        assert (await line.answer())["status"] in ("completed", "incomplete")


@in_loop
async def test_two_answers_at_once_are_refused_and_the_first_goes_on(url: str) -> None:
    async with on_the_line(url, **MANUAL, max_output_tokens=LONG) as line:
        await line.say()
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        await line.send("response.create", event_id="second")
        error = await line.error()
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == "second"
        assert (await line.done())["status"] in ("completed", "incomplete")


@in_loop
async def test_frame_above_the_limit_closes_the_connection_only(url: str) -> None:
    async with on_the_line(url, **MANUAL) as neighbour:
        async with raw(url) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.send(" " * (17 * 2**20))
                await asyncio.wait_for(socket.recv(), WAIT_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await neighbour.say()
        assert (await neighbour.answer())["status"] in ("completed", "incomplete")


@in_loop
async def test_another_model_is_turned_away(url: str) -> None:
    path = "/v1/realtime?model=another"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(url.replace("http", "ws") + path)
    response = refused.value.response
    assert response.status_code == 404
    assert json.loads(response.body)["error"]["code"] == "model_not_found"
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused") as client:
        with pytest.raises(websockets.InvalidStatus):
            async with client.realtime.connect(model="another"):
                pass


@in_loop
async def test_page_is_told_why_it_is_turned_away(url: str) -> None:
    address = url.replace("http", "ws") + "/v1/realtime?model=another"
    async with connect(address, subprotocols=[websockets.Subprotocol("realtime")]) as socket:
        assert socket.subprotocol == "realtime"
        assert (await next_error(socket))["code"] == "model_not_found"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


@in_loop
async def test_foreign_page_is_refused(url: str) -> None:
    address = url.replace("http", "ws") + "/v1/realtime"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(address, origin=websockets.Origin("https://elsewhere.example"))
    assert refused.value.response.status_code == 403


@in_loop
async def test_client_secret_opens_a_session_with_its_settings(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as http:
        wish = {"session": {"type": "realtime", "instructions": "be brief"}}
        made = (await http.post("/v1/realtime/client_secrets", json=wish)).json()
        bad = {"session": {"type": "realtime", "volume": 11}}
        worse = (await http.post("/v1/realtime/client_secrets", json=bad)).json()
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=made["value"])
    async with client, client.realtime.connect(model="moss-speech") as connection:
        created = await Line(connection).until("session.created")
        assert created["session"]["instructions"] == "be brief"
    if "error" in worse:
        return
    protocols = ["realtime", f"openai-insecure-api-key.{worse['value']}"]
    names = [websockets.Subprotocol(p) for p in protocols]
    async with connect(url.replace("http", "ws") + "/v1/realtime", subprotocols=names) as socket:
        assert (await next_error(socket))["param"] == "session.volume"


def test_log_holds_no_audio_and_no_text(server: Server) -> None:
    log = server.log.read_text()
    assert "what color" not in log
    assert base64_of(question())[6000:6060] not in log
    assert "Traceback" not in log
