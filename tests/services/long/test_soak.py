"""Hours of ordinary life: joins, leaves, interruptions, and nothing that grows."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.services.conftest import Server, serving
from tests.services.long.seen import (
    Held,
    assert_calm,
    figure,
    held,
    minutes,
    slope,
    wait_for,
    wait_until_empty,
)
from tests.services.long.talkers import Playback, listening
from tests.services.realtime.line import LONG, MANUAL, in_loop, message

MINUTES = minutes("MOSS_SOAK_MINUTES", 2)
WARM_UP = 0.25
"""Share of the time in which pools and caches may still grow."""
CLIENTS = 5
EVERY_S = 2.0
MAX_SLOPE = 1.0
"""MiB a minute."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 * MINUTES + 400)]


async def converse(server: Server) -> Playback:
    async with listening(server.url) as line:
        for _ in range(2):
            await line.ask()
        return line.playback


async def interrupt(server: Server) -> Playback:
    async with listening(server.url, max_output_tokens=LONG // 4) as line:
        await line.interrupt()
        return line.playback


async def type_instead(server: Server) -> Playback:
    async with listening(server.url, output_modalities=["text"]) as line:
        await line.send("conversation.item.create", item=message())
        await line.answer()
        return line.playback


async def cancel(server: Server) -> Playback:
    async with listening(server.url, **MANUAL, max_output_tokens=LONG) as line:
        await line.say()
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        await line.send("response.cancel")
        assert (await line.done())["status"] == "cancelled"
        return line.playback


async def leave_mid_answer(server: Server) -> Playback:
    async with listening(server.url, **MANUAL, max_output_tokens=LONG) as line:
        await line.say()
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        line.leave()
        return line.playback


async def leave_mid_question(server: Server) -> Playback:
    async with listening(server.url) as line:
        await line.append(bytes(48000))
        line.leave()
        return line.playback


async def err(server: Server) -> Playback:
    """Mistakes of a client, each of which the session outlives."""
    async with listening(server.url, **MANUAL) as line:
        await line.send("input_audio_buffer.commit")
        assert (await line.error())["code"] == "input_audio_buffer_commit_empty"
        await line.send("conversation.item.delete", item_id="nothing")
        await line.error()
        await line.say()
        await line.answer()
        return line.playback


async def ask_by_http(server: Server) -> Playback:
    """A whole answer, and a streamed one that nobody reads to its end."""
    sound = {"modalities": ["text", "audio"], "audio": {"voice": "assistant", "format": "pcm16"}}
    body = {"model": "moss-speech", "messages": [{"role": "user", "content": "hello"}], **sound}
    post = f"{server.url}/v1/chat/completions"
    async with httpx.AsyncClient(timeout=60) as client:
        assert_served(await client.post(post, json=body))
        async with client.stream("POST", post, json=body | {"stream": True}) as answer:
            assert_served(answer)
            await anext(answer.aiter_lines())
    return Playback()


def assert_served(answer: httpx.Response) -> None:
    """Answered, or told to come again, as a busy machine has no room at times."""
    retry = answer.status_code == 503 and "retry-after" in answer.headers
    assert answer.status_code == 200 or retry, answer.status_code


HABITS: list[Callable[[Server], Awaitable[Playback]]] = [
    converse, interrupt, type_instead, cancel, leave_mid_answer, leave_mid_question, err,
    ask_by_http,
]  # fmt: skip


class Crowd:
    """Clients that come and go for a time, and one that stays."""

    def __init__(self, server: Server) -> None:
        self._server, self._until_s = server, 0.0
        self.done: Counter[str] = Counter()
        self.playback = Playback()

    async def _visitor(self, chance: random.Random) -> None:
        while time.monotonic() < self._until_s:
            habit = chance.choice(HABITS)
            self.playback.add(await habit(self._server))
            self.done[habit.__name__] += 1
            await asyncio.sleep(chance.uniform(0, 0.5))

    async def _resident(self) -> None:
        async with listening(self._server.url) as line:
            while time.monotonic() < self._until_s:
                await line.ask()
                line.events.clear()
                self.done["stay"] += 1
                await asyncio.sleep(1)
            self.playback.add(line.playback)

    async def live(self, for_min: float) -> list[tuple[float, Held]]:
        """What the server held meanwhile: minutes since the begin, and how much."""
        self._until_s = time.monotonic() + 60 * for_min
        async with asyncio.TaskGroup() as clients:
            clients.create_task(self._resident())
            for i in range(CLIENTS):
                clients.create_task(self._visitor(random.Random(i)))
            watching = clients.create_task(watch(self._server, self._until_s))
        return watching.result()


async def watch(server: Server, until_s: float) -> list[tuple[float, Held]]:
    """What the server holds: minutes since the begin, and how much."""
    began_s, seen = time.monotonic(), []
    while time.monotonic() < until_s:
        seen.append(((time.monotonic() - began_s) / 60, held(server)))
        await asyncio.sleep(EVERY_S)
    return seen


async def settled(server: Server) -> Held:
    """What is held when nobody is there."""
    wait_until_empty(server)
    await asyncio.sleep(2)
    return held(server)


@in_loop
async def test_nothing_grows_while_clients_come_and_go(tmp_path: Path) -> None:
    with serving(
        tmp_path, sessions_per_key="1000", requests_per_minute="1000000",
        tokens_per_minute="100000000", session_s="100000",
    ) as server:  # fmt: skip
        crowd = Crowd(server)
        await crowd.live(WARM_UP * MINUTES)
        before = await settled(server)
        seen = await crowd.live((1 - WARM_UP) * MINUTES)
        after = await settled(server)
        mib_per_min = slope([(at, now.mib) for at, now in seen])
        played = crowd.playback
        print(
            f"{MINUTES:g} min, {sum(crowd.done.values())} visits {dict(crowd.done)}\n"
            f"memory {mib_per_min:+.2f} MiB/min after {WARM_UP * MINUTES:.1f} min, "
            f"{before.mib:.0f} MiB to {after.mib:.0f} when nobody was there\n"
            f"files {before.files} to {after.files}, threads {before.threads} to {after.threads}\n"
            f"{played.underruns} of {played.pieces} pieces came too late "
            f"(worst {played.late_s:.2f} s), by the server's count "
            f"{figure(server, 'moss_underruns_total'):g}"
        )
        assert set(crowd.done) >= {"stay", "converse", "leave_mid_answer"}
        assert mib_per_min <= MAX_SLOPE
        assert after.files <= before.files
        assert after.threads <= before.threads
        assert figure(server, "moss_failed_total") == 0
        wait_for(lambda: figure(server, "moss_waiting") == 0, 5, "no answer waits")
        assert_calm(server)
