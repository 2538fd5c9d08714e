"""Clients that nobody would wish for: neighbours hear nothing of them, nothing stays behind."""

import asyncio
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.services.conftest import Server, serving
from tests.services.long.seen import (
    assert_calm,
    figure,
    held,
    wait_for,
    wait_until_empty,
)
from tests.services.long.talkers import QUESTION, listening, turned_away
from tests.services.realtime.line import LONG, MANUAL, base64_of, in_loop, message

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PLACES = 16
N_BURST, N_GARBAGE = 100, 5000
UNSENT_KIB = 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clients")
    with serving(
        folder, sessions=str(PLACES), sessions_per_key="1000", requests_per_minute="1000000",
        max_unsent_kib=str(UNSENT_KIB),
    ) as running:  # fmt: skip
        yield running
        wait_until_empty(running)
        assert_calm(running)


def address(server: Server) -> str:
    return server.url.replace("http", "ws") + "/v1/realtime"


def thoughts(server: Server) -> float:
    """Rows that the language model was asked for."""
    return figure(server, "moss_engine_step_seconds_count", kind="think")


@in_loop
async def test_no_row_is_made_for_a_client_that_left_mid_answer(server: Server) -> None:
    async with listening(server.url, **MANUAL, max_output_tokens=LONG) as line:
        await line.say()
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        before = thoughts(server)
        await asyncio.sleep(1)
        assert thoughts(server) > before, "the answer is under way"
        line.leave()
    wait_until_empty(server)
    after = thoughts(server)
    await asyncio.sleep(2)
    assert thoughts(server) == after
    assert figure(server, "moss_waiting") == 0


@in_loop
async def test_client_that_does_not_read_is_sent_away_and_its_memory_returns(
    server: Server,
) -> None:
    before, slow = held(server), figure(server, "moss_slow_clients_total")
    narrow = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with connect(address(server), sock=narrow, max_queue=1, ping_interval=None) as line:
        await _hear_nothing_of_much(line)
        wait_for(
            lambda: figure(server, "moss_slow_clients_total") == slow + 1, 60, "it was noticed"
        )
    wait_until_empty(server)
    now = held(server)
    print(f"memory {before.mib:.0f} MiB before, {now.mib:.0f} MiB after")
    assert now.mib < before.mib + 30
    assert now.files <= before.files


async def _hear_nothing_of_much(line: ClientConnection) -> None:
    """Ask for more sound than fits between two programs and read none of it."""
    item = message(id="much")
    item["content"] = [{"type": "input_audio", "audio": base64_of(QUESTION)}]
    await line.send(json.dumps({"type": "conversation.item.create", "item": item}))
    asked = json.dumps({"type": "conversation.item.retrieve", "item_id": "much"})
    with suppress(ConnectionClosed):
        for _ in range(400):
            await line.send(asked)


@in_loop
async def test_flood_of_garbage_does_not_disturb_a_neighbour(server: Server) -> None:
    chance = random.Random(0)
    frames = [os.urandom(chance.randrange(200)) for _ in range(50)]
    texts = [chance.choice(['{"type":', "[]", '{"type":"x"}', "\x00", "null", "{" * 900])]
    async with listening(server.url) as line:
        await line.ask()
        flood = asyncio.create_task(_flood(server, [*frames, *texts]))
        answers = [await line.ask() for _ in range(4)]
        n_told = await flood
        assert {answer["status"] for answer in answers} <= {"completed", "incomplete"}
        played = line.playback
    print(f"{n_told} errors were told; {played.underruns} of {played.pieces} pieces came too late")
    assert n_told == N_GARBAGE
    assert played.underruns == 0


async def _flood(server: Server, frames: list[bytes | str]) -> int:
    """Send garbage as fast as it is taken; how often the server said what is wrong with it."""
    async with connect(address(server)) as line:

        async def told() -> int:
            n_errors = 0
            while n_errors < N_GARBAGE:
                n_errors += json.loads(await line.recv())["type"] == "error"
            return n_errors

        reading = asyncio.create_task(told())
        for i in range(N_GARBAGE):
            await line.send(frames[i % len(frames)])
        return await reading


@in_loop
async def test_burst_of_clients_is_let_in_or_told_to_wait_and_leaves_nothing(
    server: Server,
) -> None:
    await _burst(server)  # threads and files that are kept are there from now on
    before = held(server)
    await _burst(server)
    wait_for(lambda: held(server).files <= before.files, 20, "every file is closed")
    assert held(server).threads <= before.threads
    async with listening(server.url) as line:
        await line.ask()


async def _burst(server: Server) -> None:
    began_s = time.monotonic()
    n_in = sum(await asyncio.gather(*[_come_and_go(server) for _ in range(N_BURST)]))
    print(f"{N_BURST} came within {time.monotonic() - began_s:.1f} s, {n_in} were let in")
    assert PLACES <= n_in < N_BURST
    wait_until_empty(server)


async def _come_and_go(server: Server) -> bool:
    """Whether there was a place."""
    try:
        async with connect(address(server), open_timeout=60) as line:
            assert json.loads(await line.recv())["type"] == "session.created"
            await asyncio.sleep(0.5)
            return True
    except InvalidStatus as refusal:
        away = turned_away(refusal)
        assert (away.status, away.code) == (503, "overloaded")
        assert away.retry_after_s >= 1
        return False
