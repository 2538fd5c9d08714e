"""Four times as many clients as there are places, all of whom keep trying."""

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.services.conftest import Server, serving
from tests.services.long.seen import assert_calm, figure, minutes, wait_until_empty
from tests.services.long.talkers import Playback, TurnedAway, coming_in, listening, turned_away
from tests.services.realtime.line import in_loop

MINUTES = minutes("MOSS_OVERLOAD_MINUTES", 1)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 * MINUTES + 300)]
PLACES, CLIENTS = 4, 16
QUESTIONS = 2
"""What a client asks before it makes room."""


@dataclass
class Told:
    """What happened to all clients."""

    playback: Playback = field(default_factory=Playback)
    answers: Counter[str] = field(default_factory=Counter)
    away: list[TurnedAway] = field(default_factory=list)
    most_in: int = 0
    n_in: int = 0


async def keep_trying(server: Server, told: Told, until_s: float, chance: random.Random) -> int:
    """Come in, ask, leave, again and again; how often there was a place."""
    n_visits = 0
    while time.monotonic() < until_s:
        try:
            async with coming_in(server.url) as line:
                n_visits += 1
                told.n_in += 1
                told.most_in = max(told.most_in, told.n_in)
                for _ in range(QUESTIONS):
                    told.answers[(await line.ask())["status"]] += 1
                told.playback.add(line.playback)
                told.n_in -= 1
        except InvalidStatus as refusal:
            told.away.append(turned_away(refusal))
            await asyncio.sleep(told.away[-1].retry_after_s * chance.uniform(1, 1.5))
    return n_visits


async def ask_by_http(server: Server, told: Told, until_s: float) -> Counter[int]:
    """Somebody without a live session asks as well; HTTP status of each answer."""
    statuses: Counter[int] = Counter()
    body = {"model": "moss-speech", "messages": [{"role": "user", "content": "hello"}]}
    async with httpx.AsyncClient(timeout=60) as client:
        while time.monotonic() < until_s:
            answer = await client.post(f"{server.url}/v1/chat/completions", json=body)
            statuses[answer.status_code] += 1
            if answer.status_code == 503:
                code, wait_s = answer.json()["error"]["code"], answer.headers["retry-after"]
                told.away.append(TurnedAway(503, code, float(wait_s)))
            await asyncio.sleep(1)
    return statuses


@in_loop
async def test_those_inside_keep_real_time_and_the_others_are_told_when_to_come(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, sessions=str(PLACES), sessions_per_key="1000") as server:
        told, until_s = Told(), time.monotonic() + 60 * MINUTES
        clients = [keep_trying(server, told, until_s, random.Random(i)) for i in range(CLIENTS)]
        by_http = asyncio.create_task(ask_by_http(server, told, until_s))
        visits, statuses = await asyncio.gather(*clients), await by_http
        played = told.playback
        print(
            f"{CLIENTS} clients for {PLACES} places, {MINUTES:g} min: {sum(visits)} visits "
            f"({min(visits)} to {max(visits)} a client), at most {told.most_in} at once; "
            f"{len(told.away)} refusals; answers {dict(told.answers)}; by HTTP {dict(statuses)}; "
            f"{played.underruns} of {played.pieces} pieces came too late "
            f"(worst {played.late_s:.2f} s), by the server's count "
            f"{figure(server, 'moss_underruns_total'):g}"
        )
        assert told.most_in <= PLACES
        assert len(told.away) > CLIENTS
        assert {(away.status, away.code) for away in told.away} == {(503, "overloaded")}
        assert all(1 <= away.retry_after_s <= 10 for away in told.away)
        assert statuses.keys() <= {200, 503}
        assert told.answers.keys() <= {"completed", "incomplete"}
        assert sum(told.answers.values()) == QUESTIONS * sum(visits)
        assert played.underruns == 0
        await assert_recovered(server)


async def assert_recovered(server: Server) -> None:
    """All places are free, and all can be taken at once."""
    wait_until_empty(server)
    async with AsyncExitStack() as lines:
        for _ in range(PLACES):
            await lines.enter_async_context(listening(server.url))
        assert figure(server, "moss_sessions") == PLACES
    wait_until_empty(server)
    assert_calm(server)
