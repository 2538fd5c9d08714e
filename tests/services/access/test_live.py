"""Live sessions on a real server that asks for keys and records: pages, places, recordings."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from moss_speech.audio import read_audio
from tests.services.access.guarded import CHAT, LISTED, SECRETS, command, post
from tests.services.conftest import Server
from tests.services.realtime.line import MANUAL, RATE_HZ, Line, in_loop, message, question

pytestmark = pytest.mark.timeout(400)


@asynccontextmanager
async def on_the_line(server: Server, key: str, **query: str) -> AsyncIterator[Line]:
    """A session of the unchanged client with a key or a secret."""
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)
    connecting = client.realtime.connect(model="moss-speech", extra_query=query)
    async with client, connecting as connection:
        yield Line(connection)


def page(server: Server, token: str, origin: str) -> connect:
    """A WebSocket as a page opens it: the token in a subprotocol, the origin named."""
    url = server.url.replace("http", "ws") + "/v1/realtime?model=moss-speech"
    offered: list[Any] = ["realtime", f"openai-insecure-api-key.{token}"]
    return connect(url, subprotocols=offered, origin=origin)  # type: ignore[arg-type]


async def first(socket: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 60))
    return event


def secret_of(server: Server, key: str) -> str:
    session = {"type": "realtime", "instructions": "be brief", "output_modalities": ["text"]}
    value: str = post(server, SECRETS, key, json={"session": session}).json()["value"]
    return value


@in_loop
async def test_page_talks_with_a_secret_and_its_settings(guarded: Server, key: str) -> None:
    secret = secret_of(guarded, key)
    for _ in range(4):  # both workers
        async with page(guarded, secret, LISTED) as socket:
            assert socket.subprotocol == "realtime"
            made = await first(socket)
            assert made["type"] == "session.created"
            assert made["session"]["instructions"] == "be brief"
            assert made["session"]["output_modalities"] == ["text"]
    async with on_the_line(guarded, secret) as line:
        assert (await line.until("session.created"))["session"]["instructions"] == "be brief"


@in_loop
async def test_foreign_page_and_wrong_secret_are_turned_away(guarded: Server, key: str) -> None:
    secret = secret_of(guarded, key)
    with pytest.raises(InvalidStatus) as foreign:
        async with page(guarded, secret, "https://evil.example"):
            pass
    assert foreign.value.response.status_code == 403
    async with page(guarded, secret[:-3], LISTED) as socket:
        refused = await first(socket)
        assert refused["type"] == "error"
        assert refused["error"]["code"] == "invalid_client_secret"
    with pytest.raises(InvalidStatus) as unknown:
        async with on_the_line(guarded, "ms-wrong"):
            pass
    assert unknown.value.response.status_code == 401


@in_loop
async def test_places_of_a_key_are_counted_over_both_workers(guarded: Server) -> None:
    narrow = command(guarded, "add", "one-session", "--sessions", "1")
    async with on_the_line(guarded, narrow) as line:
        await line.until("session.created")
        for _ in range(4):
            with pytest.raises(InvalidStatus) as full:
                async with on_the_line(guarded, narrow):
                    pass
            assert full.value.response.status_code == 429
            assert full.value.response.headers["retry-after"] == "1"
    await asyncio.sleep(2)  # the place is free once the server has seen the end
    async with on_the_line(guarded, narrow) as line:
        await line.until("session.created")


@in_loop
async def test_revoked_key_ends_the_answers_of_its_live_sessions(guarded: Server) -> None:
    lost = command(guarded, "add", "lost-live")
    async with on_the_line(guarded, lost) as line:
        await line.until("session.created")
        await line.update(**MANUAL)
        await line.send("conversation.item.create", item=message())
        assert (await line.answer())["status"] in ("completed", "incomplete")
        command(guarded, "revoke", "lost-live")
        failed = await line.answer(max_output_tokens=400)
        assert failed["status"] == "failed"
        assert failed["status_details"]["error"]["code"] == "invalid_api_key"


def recorded(server: Server) -> dict[str, Path]:
    """Recorded turns by the time of their end."""
    lines = (server.state.parent / "recordings").glob("*/[!.]*/turn.json")  # the whole ones
    return {json.loads(path.read_text())["ended_at"]: path.parent for path in lines}


def new_turn(server: Server, before: dict[str, Path]) -> Path:
    deadline = time.monotonic() + 30
    while not (new := recorded(server).keys() - before.keys()):
        assert time.monotonic() < deadline, "no turn was recorded"
        time.sleep(0.1)
    (ended_at,) = new
    return recorded(server)[ended_at]


@in_loop
async def test_live_turn_is_recorded_as_it_was_heard_and_said(guarded: Server) -> None:
    own = command(guarded, "add", "recorded")
    before, asked = recorded(guarded), question()
    async with on_the_line(guarded, own) as line:
        await line.until("session.created")
        await line.update(**MANUAL)
        await line.say(asked)
        response = await line.answer(max_output_tokens=20)
        folder = new_turn(guarded, before)
    facts = json.loads((folder / "turn.json").read_text())
    assert facts["caller"]["name"] == "recorded"
    assert facts["ids"]["response"] == response["id"]
    heard = read_audio(folder / "heard.flac", RATE_HZ)
    sent = np.frombuffer(asked, "<i2").astype(np.float32) / 32767
    assert 0 <= sent.size - heard.size <= 2 * RATE_HZ // 1000  # begin and length are whole ms
    assert np.abs(heard - sent[: heard.size]).max() < 1e-3
    said = read_audio(folder / "said.flac", RATE_HZ)
    got = np.frombuffer(line.sound(response["output"][0]["id"]), "<i2").astype(np.float32) / 32767
    assert said.size >= got.size > 0
    assert np.abs(said[: got.size] - got).max() < 1e-3


@in_loop
async def test_client_refuses_to_be_recorded(guarded: Server, key: str) -> None:
    before = recorded(guarded)
    body = {"model": "moss-speech", "messages": [{"role": "user", "content": "hello"}]}
    post(guarded, CHAT, key, json=body | {"store": False}).raise_for_status()
    post(guarded, f"{CHAT}?store=false", key, json=body).raise_for_status()
    async with on_the_line(guarded, key, store="false") as line:
        await line.until("session.created")
        await line.update(**MANUAL)
        await line.send("conversation.item.create", item=message())
        await line.answer(output_modalities=["text"])
    post(guarded, CHAT, key, json=body | {"store": True}).raise_for_status()
    folder = new_turn(guarded, before)  # the last one only, which was written after the others
    assert json.loads((folder / "turn.json").read_text())["heard"] == {"text": "hello"}
    assert (folder / "turn.json").stat().st_mode & 0o077 == 0


@in_loop
async def test_log_holds_no_sound_and_no_words_of_a_live_session(guarded: Server, key: str) -> None:
    word, asked = "zanzibar", question()
    async with on_the_line(guarded, key) as line:
        await line.until("session.created")
        await line.update(**MANUAL, instructions=f"say {word}")
        await line.say(asked)
        response = await line.answer(max_output_tokens=20)
        await line.send("conversation.item.create", item=message(word))
        await line.send("input_audio_buffer.append", audio=f"@@{word}")
        await line.error()
    log = guarded.log.read_text()
    assert response["id"] in log  # it is the log of this session
    assert word not in log.lower()
    for data in (asked, line.sound(response["output"][0]["id"])):
        encoded = base64.b64encode(data).decode()
        pieces = {encoded[i : i + 24] for i in range(8000, len(encoded) - 24, 24)}
        assert pieces
        assert not any(piece in log for piece in pieces)
