"""A load of live conversations: each asks, listens to the answer, pauses and asks again.

Shapes: S samples at 24 kHz.
"""

import asyncio
import time
from dataclasses import dataclass

from moss_speech.audio import Samples
from moss_speech.client.dialogue import Dialogue, Turn
from moss_speech.client.feed import Feed, feeding
from moss_speech.client.line import Line, ServiceError, Turns, connected, settings_of
from moss_speech.client.rounds import Rounds
from moss_speech.client.tally import Tally

TURN_S = 60.0
"""A turn that takes longer is given up."""
_STAGGER_S = 6.0
"""Conversations begin spread over so long, about a question with its answer and pause."""
_AGAIN_S = 1.0
"""Before another try where the service names no time."""


@dataclass(frozen=True)
class Load:
    """What is asked of a service."""

    question_S: Samples
    sessions: int = 8
    seconds: float = 300.0
    turns: Turns = "vad"
    all_at_once: bool = False
    """All ask at the same moment, every time; else they are staggered."""
    interrupt_every: int = 0
    """Speak into every n-th answer; 0 for none."""
    interrupt_after_s: float = 0.3
    """So long after its first sound."""
    pause_s: float = 1.0

    def check(self) -> None:
        """Raise `ValueError` for what cannot be asked."""
        if self.interrupt_every and self.turns == "manual":
            raise ValueError("answers are interrupted by voice, so turns must be 'vad'")
        if self.interrupt_every and self.all_at_once:
            raise ValueError("who interrupts is not at one with the others: leave one of both out")


async def put_load(url: str, key: str | None, load: Load) -> Tally:
    """Hold the conversations and count what became of them."""
    load.check()
    tally, rounds = Tally(), Rounds(load.sessions)
    end_s = time.monotonic() + load.seconds
    async with asyncio.TaskGroup() as tasks:
        for i in range(load.sessions):
            caller = _Caller(url, key, load, tally, rounds, end_s)
            delay_s = 0.0 if load.all_at_once else i * _STAGGER_S / load.sessions
            tasks.create_task(caller.run(delay_s))
    return tally


class _Caller:
    """One of them; it calls again when it is refused or cut off."""

    def __init__(
        self, url: str, key: str | None, load: Load, tally: Tally, rounds: Rounds, end_s: float
    ) -> None:
        self._url, self._key, self._load = url, key, load
        self._tally, self._rounds, self._end_s = tally, rounds, end_s
        self._n_asked = 0

    async def run(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            while time.monotonic() < self._end_s:
                await self._call()
        finally:
            self._rounds.leave()

    async def _call(self) -> None:
        settings = settings_of(self._load.turns)
        try:
            async with connected(self._url, self._key, settings) as line:
                await self._converse(line)
        except ServiceError as error:
            self._tally.error(error)
            await asyncio.sleep(error.retry_after_s or _AGAIN_S)
        except TimeoutError:
            self._tally.timed_out()

    async def _converse(self, line: Line) -> None:
        load = self._load
        feed = Feed(line, open_microphone=load.turns == "vad")
        dialogue = Dialogue(feed)
        async with feeding(feed.run()):
            while True:
                if load.all_at_once:
                    await self._rounds.next()
                if time.monotonic() >= self._end_s:
                    return
                await self._ask(line, feed, dialogue)
                silent_s = dialogue.turns[-1].playback.ends_s - time.monotonic()
                await asyncio.sleep(max(silent_s, 0) + load.pause_s)

    async def _ask(self, line: Line, feed: Feed, dialogue: Dialogue) -> None:
        """A question and its answer, or two if the second question interrupts the first answer."""
        load = self._load
        self._n_asked += 1
        interrupts = load.interrupt_every > 0 and self._n_asked % load.interrupt_every == 0
        async with asyncio.timeout(TURN_S):
            feed.say(load.question_S)
            if load.turns == "manual":
                await feed.said()
                await line.end_turn()
                dialogue.asked()
            self._tally.turn(await self._answer(line, feed, dialogue, interrupts))
        if interrupts:
            async with asyncio.timeout(TURN_S):
                self._tally.turn(await self._answer(line, feed, dialogue, False))

    async def _answer(self, line: Line, feed: Feed, dialogue: Dialogue, interrupts: bool) -> Turn:
        """The next answer; with `interrupts`, once the service has told of the interruption."""
        n_before, spoken_into = len(dialogue.turns), False
        while True:
            event = await line.next()
            dialogue.take(event, time.monotonic())
            new = dialogue.turns[n_before:]
            if interrupts and not spoken_into and new and new[0].first_s is not None:
                asyncio.get_running_loop().call_later(
                    self._load.interrupt_after_s, feed.say, self._load.question_S
                )
                spoken_into = True
            silent = new and new[0].first_s is None
            if new and new[0].over and (not interrupts or dialogue.speaking or silent):
                return new[0]
