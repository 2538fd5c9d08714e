"""The benchmark's loads: one listener, an interrupted one, and as many as hold real time."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import numpy as np
from _figures import Figure, figure
from _serve_server import Server, busy_s, grown, quantile_s

from moss_speech.audio import Samples
from moss_speech.client.feed import Feed, feeding
from moss_speech.client.line import Line, ServiceError, connected, settings_of
from moss_speech.client.load import Load, put_load
from moss_speech.client.tally import Tally

SESSIONS = (8, 12)
SESSIONS_GOAL = 8
FIRST_GOALS_S = (0.3, 0.6)
REAL_TIME_GOAL = 0.5
LAG_GOAL_S = 0.02
SILENCE_GOAL_S = 0.2
REST_S = 6.0
"""After a load: the service lets nobody in for 5 s after sound came too late."""


def put(server: Server, load: Load) -> Tally:
    """Hold conversations and print what became of them."""
    time.sleep(REST_S)
    tally = asyncio.run(put_load(server.url, None, load))
    how = "all at once" if load.all_at_once else "staggered"
    print(f"-- {load.sessions} sessions, {load.turns}, {how}, {load.seconds:g} s", flush=True)
    print("\n".join(tally.lines()), flush=True)
    return tally


def p95(seconds: Sequence[float]) -> float:
    """All but one of twenty are below."""
    return float(np.quantile(seconds, 0.95))


def one_session(server: Server, load: Load) -> list[Figure]:
    """First audio of one session whose client, and whose service, ends the turns; its work."""
    alone = replace(load, sessions=1)
    before = server.metrics()
    manual = put(server, replace(alone, turns="manual"))
    after = server.metrics()
    spoken_s = grown(before, after, "moss_spoken_seconds_total")
    found = put(server, alone)
    figures = [
        *_first("last committed sample", manual.from_turn_end_s),
        *_first("speech_stopped", found.from_turn_end_s),
        figure("speech_stopped until it is played, 0.1 s reserve, p50", found.to_playing_s, "s"),
        figure("acoustic end, silence window in it, p50", found.from_speech_end_s, "s"),
        figure("acoustic end, silence window in it, p95", [p95(found.from_speech_end_s)], "s"),
    ]
    busy = busy_s(before, after)
    parts = [
        figure(f"engine's {kind} a second of answer", [seconds / spoken_s], "s")
        for kind, seconds in sorted(busy.items())
    ]
    whole = sum(busy.values()) / spoken_s
    return [*figures, figure("real-time factor, engine", [whole], "", REAL_TIME_GOAL), *parts]


def _first(since: str, seconds: list[float]) -> list[Figure]:
    p50_goal, p95_goal = FIRST_GOALS_S
    return [
        figure(f"first audio from {since}, p50", seconds, "s", p50_goal),
        figure(f"first audio from {since}, p95", [p95(seconds)], "s", p95_goal),
    ]


def interrupted(server: Server, load: Load) -> list[Figure]:
    """How soon an answer falls silent that is spoken into."""
    tally = put(server, replace(load, sessions=2, interrupt_every=1))
    return [
        figure("interruption to silence, p50", tally.to_silence_s, "s"),
        figure("interruption to silence, p95", [p95(tally.to_silence_s)], "s", SILENCE_GOAL_S),
    ]


def sessions_held(
    server: Server, load: Load, probe_s: float, sessions: Sequence[int] = SESSIONS
) -> list[Figure]:
    """The most sessions that hold real time: short probes upwards, then the whole time."""
    how = "all at once" if load.all_at_once else "staggered"
    held = []
    for n in sessions:
        if not put(server, replace(load, sessions=n, seconds=probe_s)).holds_real_time:
            break
        held.append(n)
    lags, firsts = [float("nan")], [float("nan")]
    for n in reversed(held or sessions[:1]):
        before = server.metrics()
        tally = put(server, replace(load, sessions=n))
        firsts = tally.to_playing_s or firsts
        lags = [quantile_s(before, server.metrics(), "moss_event_loop_lag_seconds", 0.99)]
        if tally.holds_real_time:
            break
        held = held[:-1]
    n_held = held[-1] if held else 0
    return [
        figure(f"sessions that hold real time, {how}", [n_held], "", at_least=SESSIONS_GOAL),
        figure(f"first audio played of these, {how}, p95", [p95(firsts)], "s", 1.0),
        figure(f"event loop's lag with these, {how}, p99 by buckets", lags, "s"),
    ]


def lag(server: Server, load: Load) -> Figure:
    """How late the event loop is with eight sessions; a histogram's estimate."""
    before = server.metrics()
    put(server, replace(load, sessions=SESSIONS_GOAL))
    value = quantile_s(before, server.metrics(), "moss_event_loop_lag_seconds", 0.99)
    return figure("event loop's lag, 8 sessions, p99 by buckets", [value], "s", LAG_GOAL_S)


def memory(server: Server, load: Load) -> Figure:
    """Memory of a session that has had a turn, on a server that was hardly used before."""
    before_mb = asyncio.run(_held_mb(server, load.question_S, 1, hold=False))
    after_mb = asyncio.run(_held_mb(server, load.question_S, SESSIONS_GOAL, hold=True))
    each_mb = (after_mb - before_mb) / SESSIONS_GOAL
    return figure("memory of a session, of 8", [each_mb], "MB")


async def _held_mb(server: Server, question_S: Samples, n: int, *, hold: bool) -> float:
    """The server's memory with `n` conversations open that had a turn, or after they closed."""
    async with AsyncExitStack() as opened:
        for _ in range(n):
            line = await _let_in(server, opened)
            feed = Feed(line, open_microphone=False, fast=True)
            async with feeding(feed.run()):
                feed.say(question_S)
                await feed.said()
                await line.end_turn()
                await line.until("response.done")
        if hold:
            return server.memory_mb()
    await asyncio.sleep(1)
    return server.memory_mb()


async def _let_in(server: Server, opened: AsyncExitStack) -> Line:
    """A conversation, as soon as the server has time for one more."""
    while True:
        try:
            return await opened.enter_async_context(
                connected(server.url, None, settings_of("manual"))
            )
        except ServiceError as error:
            if error.retry_after_s is None:
                raise
            await asyncio.sleep(error.retry_after_s)
