"""One conversation of a client with an engine, as the event loop sees it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from moss_speech.audio import Samples
from moss_speech.inference.engine import Engine
from moss_speech.inference.session import Session
from moss_speech.inference.turns import (
    Detection,
    Failed,
    LiveEvent,
    Output,
    Turn,
    Wish,
)
from services.errors import ApiError
from services.served import ModelInfo, Served
from services.taping import Taping
from services.voices import own_voice
from services.watch import Watch


class Talk:
    """Calls take effect in order and return at once; their results are read with `next`."""

    def __init__(
        self, served: Served, watch: Watch, on_close: Callable[[], None], taping: Taping | None
    ) -> None:
        self._served, self._watch, self._on_close = served, watch, on_close
        self._taping = taping
        self._loop, self._closed = asyncio.get_running_loop(), False
        self._events: asyncio.Queue[LiveEvent] = asyncio.Queue()
        self._line = served.open(self._sink)

    @property
    def engine(self) -> Engine:
        """What is known of the model."""
        return self._served.engine

    @property
    def info(self) -> ModelInfo:
        """Which model answers, from the first word to the last."""
        return self._served.info

    def wish(
        self,
        output: Output,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        max_rows: int | None = None,
        voice: str | None = None,
        live: bool = True,
        drop_oldest: bool = False,
    ) -> Wish:
        """A wish for an answer; what is left out follows the model.

        `QuestionError` for a voice that there is not.
        """
        usual = self.engine.sampling
        sampling = replace(
            usual,
            temperature=usual.temperature if temperature is None else temperature,
            top_p=usual.top_p if top_p is None else top_p,
        )
        voice = None if voice is None else own_voice(voice, self.engine.voices)
        wish = self.engine.wish(
            output, sampling=sampling, seed=seed, max_rows=max_rows, voice=voice
        )
        return replace(wish, live=live, drop_oldest=drop_oldest)

    def listen(self, rate_hz: int, detection: Detection | None) -> None:
        """Set the rate of the sound that follows, and who finds the turns: the client for None."""
        if self._taping is not None:
            self._taping.listen(rate_hz)
        self._line.call(Session.listen, rate_hz, detection)

    def hear(self, samples_S: Samples) -> None:
        """Take sound, float32 mono."""
        self._take(samples_S)
        self._line.call(Session.hear, samples_S)

    @property
    def unheard_s(self) -> float:
        """Sound that waits to be heard; who sends more while it is much, fills the memory."""
        return self._line.unheard_s

    def hear_whole(self, samples_S: Samples) -> None:
        """Take a whole turn of the user and end it: `Heard` or `Refused` follows."""
        self._take(samples_S)
        self._line.call(Session.hear_whole, samples_S)

    def _take(self, samples_S: Samples) -> None:
        self._watch.hearing()
        if self._taping is not None:
            self._taping.hear(samples_S)

    def commit(self) -> None:
        """End the user's turn: `Heard` or `Refused` follows."""
        self._line.call(Session.commit)

    def clear(self) -> None:
        """Forget the turn that is being heard."""
        self._line.call(Session.clear)

    def remember(self, turns: Sequence[Turn], output: Output) -> None:
        """What was said so far, to be read before the answer is asked for."""
        self._line.call(Session.remember, tuple(turns), output)

    def respond(self, turns: Sequence[Turn], wish: Wish) -> None:
        """Ask for an answer, one at a time: pieces and `Finished`, or `Refused`, follow."""
        self._watch.asked(wish.output)
        if self._taping is not None:
            self._taping.asked(tuple(turns))
        self._line.call(Session.respond, tuple(turns), wish)

    def cancel(self) -> None:
        """End the answer under way: `Finished` follows, or nothing if there is none."""
        self._line.call(Session.cancel)

    async def next(self) -> LiveEvent:
        """The next event, in order; a 500 `ApiError` once the engine has failed."""
        event = await self._events.get()
        self._watch.saw(event)
        if self._taping is not None:
            self._taping.saw(event)
        if isinstance(event, Failed):
            raise ApiError(500, event.reason, code="engine_failed", kind="server_error")
        return event

    def close(self) -> None:
        """Free the place; a second time changes nothing."""
        if not self._closed:
            self._closed = True
            self._watch.closed()
            self._served.leave(self._line)
            self._on_close()

    def _sink(self, event: LiveEvent) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server stops
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
