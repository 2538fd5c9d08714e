"""A conversation with a service: recordings are asked in turn, or a microphone stays open.

Shapes: S samples at 24 kHz.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from moss_speech.audio import Samples
from moss_speech.client.dialogue import Dialogue, Turn
from moss_speech.client.feed import Feed, feeding
from moss_speech.client.line import Event, Line, ServiceError, Turns

Told = Callable[[Turn], None]
"""Called with every turn whose answer has ended."""

_LOOK_S = 0.25
_PATIENCE_S = 10.0
"""Without a word from the service after a recording, nobody speaks in it."""


async def ask_recordings(
    line: Line, recordings: Iterable[Samples], turns: Turns, fast: bool, told: Told
) -> None:
    """Say recordings one after another, each once the answer to the one before is over.

    Raises `ServiceError` if one is refused, or if nobody speaks in it.
    """
    feed = Feed(line, open_microphone=turns == "vad", fast=fast)
    dialogue = Dialogue(feed)
    async with feeding(feed.run()):
        for samples_S in recordings:
            feed.say(samples_S)
            if turns == "manual":
                await feed.said()
                await line.end_turn()
                dialogue.asked()
            await _answered(line, feed, dialogue, told)


async def _answered(line: Line, feed: Feed, dialogue: Dialogue, told: Told) -> None:
    n_before, quiet_since_s = len(dialogue.turns), time.monotonic()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                event = await line.next()
            quiet_since_s = time.monotonic()
            dialogue.take(event, quiet_since_s)
            _tell(event, dialogue, told)
        if feed.saying or not dialogue.quiet:
            continue
        if len(dialogue.turns) > n_before:
            return
        if time.monotonic() - max(quiet_since_s, feed.loud_s) > _PATIENCE_S:
            raise ServiceError("nobody was heard to speak in the recording", "no_speech")


def _tell(event: Event, dialogue: Dialogue, told: Told) -> None:
    if event["type"] != "response.done":
        return
    if event["response"]["status"] == "failed":
        error = event["response"]["status_details"]["error"]
        raise ServiceError(error["message"], error["code"])
    told(dialogue.turns[-1])


class Sound(Protocol):
    """A microphone and a loudspeaker, or what takes their place."""

    def pieces(self) -> AsyncIterator[Samples]:
        """What the microphone hears, [S] each, without end."""

    def play(self, data: bytes) -> None:
        """Play PCM16 after what is playing."""

    def hush(self) -> float:
        """Be silent at once; the seconds of sound that were not played."""


class Microphone:
    """A conversation by microphone: hands-free, or by the press of a key."""

    def __init__(self, line: Line, sound: Sound, turns: Turns, told: Told) -> None:
        self._line, self._sound, self._told = line, sound, told
        self._feed = Feed(line, open_microphone=False)
        self._dialogue = Dialogue(self._feed)
        self.sending = turns == "vad"
        """Whether what the microphone hears goes out."""

    async def run(self, on_error: Callable[[ServiceError], Any]) -> None:
        """Talk until the conversation is over, which raises `ServiceError`."""
        async with feeding(self._listen()):
            while True:
                try:
                    event = await self._line.next()
                    await self._take(event)
                except ServiceError as error:
                    if error.code == "closed":
                        raise
                    on_error(error)

    async def press(self) -> None:
        """Begin to speak, into an answer as well; or, the second time, have it answered."""
        if self.sending:
            self.sending = False
            self._dialogue.asked()
            await self._line.end_turn()
            return
        if any(not turn.over for turn in self._dialogue.turns[-1:]):
            await self._line.send("response.cancel")
        await self._interrupt()
        self.sending = True

    async def _listen(self) -> None:
        async for piece_S in self._sound.pieces():
            if self.sending:
                await self._feed.send(piece_S)

    async def _take(self, event: Event) -> None:
        if data := self._dialogue.take(event, time.monotonic()):
            self._sound.play(data)
        if event["type"] == "input_audio_buffer.speech_started":
            await self._interrupt()
        _tell(event, self._dialogue, self._told)

    async def _interrupt(self) -> None:
        """Be silent, and have the service forget what was not heard of its answer."""
        unheard_s = self._sound.hush()
        for turn in self._dialogue.turns[-1:]:
            if unheard_s > 0 and turn.item_id is not None:
                await self._line.send(
                    "conversation.item.truncate",
                    item_id=turn.item_id,
                    content_index=0,
                    audio_end_ms=max(0, int(1000 * (turn.audio_s - unheard_s))),
                )
