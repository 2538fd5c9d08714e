"""One conversation: what it hears, what was said so far, the answer under way.

Everything here runs in the engine's thread. Results go to the conversation's sink, in order.
Shapes: T grid rows, C channels.
"""

from collections.abc import Callable, Sequence

import numpy as np

from moss_speech.audio import Samples
from moss_speech.bundle import Bundle
from moss_speech.inference.answer import Answer
from moss_speech.inference.ear import Ear
from moss_speech.inference.mouths import Mouths
from moss_speech.inference.observer import Observer
from moss_speech.inference.prompts import fitting_prompt, opening_rows, prompt_of, read_turn
from moss_speech.inference.questions import Limits
from moss_speech.inference.turns import (
    Asked,
    Detection,
    Finish,
    Heard,
    LiveEvent,
    Output,
    QuestionError,
    Refused,
    Turn,
    Wish,
)
from moss_speech.lm.batch import Batch, NewRow
from moss_speech.lm.grid import GridWriter, Rows

Sink = Callable[[LiveEvent], None]

_READ_ROWS = 4
"""Rows of a turn that is still being said are read so many at a time."""


class Session:
    """A conversation's state, all of it; `close` gives everything back."""

    def __init__(
        self,
        bundle: Bundle,
        limits: Limits,
        batch: Batch,
        mouths: Mouths,
        observer: Observer,
        sink: Sink,
    ) -> None:
        self._bundle, self._batch, self._mouths = bundle, batch, mouths
        self._observer, self.sink = observer, sink
        self.ear = Ear(bundle.codec, limits)
        self.answer: Answer | None = None
        self._seat = batch.take()
        self._writer = GridWriter(bundle.tokenizer, bundle.lm.config)
        self._said: tuple[Sequence[Turn], Output] | None = None
        self._opening_TC: Rows | None = None
        self._listening, self._n_read = False, 0
        self.closed = False

    def listen(self, rate_hz: int, detection: Detection | None) -> None:
        """Set the rate of the sound that follows and who finds the turns."""
        self.ear.listen(rate_hz, detection)

    def hear(self, samples_S: Samples) -> None:
        """Take sound; what is too much is refused."""
        self._or_refuse("hear", lambda: self.ear.hear(samples_S))

    def hear_whole(self, samples_S: Samples) -> None:
        """Take a whole turn of the user and end it."""
        self._or_refuse("hear", lambda: self.ear.hear_whole(samples_S))

    def commit(self) -> None:
        """End the user's turn after what was heard until now."""
        self.ear.commit()

    def clear(self) -> None:
        """Forget the turn that is being heard."""
        self.ear.clear()

    def remember(self, turns: Sequence[Turn], output: Output) -> None:
        """What was said so far, to be read while the user speaks; a hint, never an error."""
        self._said = (turns, output)
        self._open(listening=bool(self.ear.codes))

    def respond(self, turns: Sequence[Turn], wish: Wish) -> None:
        """Begin to answer; one answer at a time."""
        assert self.answer is None, "an answer is under way"
        self._or_refuse("respond", lambda: self._begin(turns, wish))

    def cancel(self) -> None:
        """End the answer under way, if there is one."""
        if self.answer is not None:
            self._batch.cancel(self.answer.request)
            self._finish("cancelled")

    def close(self) -> None:
        """Give the seat and the mouth back; nothing is said any more."""
        if not self.closed:
            self.sink = lambda event: None
            self.cancel()
            self.closed = True
            self._batch.give(self._seat)

    def listened(self) -> None:
        """Hear the next piece that waits."""
        for event in self.ear.work():
            if isinstance(event, Heard):
                self._said = None  # what was read of the turn stays until the client goes on
            self.sink(event)

    def read_ahead(self) -> bool:
        """Read what was said so far and what is being said; False if there is nothing new."""
        if self.answer is not None or self._said is None:
            return False
        codes = self.ear.codes
        if self._listening != bool(codes):
            self._open(listening=bool(codes))
        if self._opening_TC is None:
            return False
        n_rows = len(self._opening_TC) + len(codes)
        is_new = not self._n_read or n_rows - self._n_read >= _READ_ROWS
        if not is_new or n_rows >= self._batch.capacity:
            return False
        rows_TC = np.concatenate((self._opening_TC, self._writer.spoken(codes)))
        if self._batch.prepare(self._seat, rows_TC):
            self._n_read = n_rows
        return True

    def take(self, row: NewRow) -> None:
        """A new row of the answer."""
        assert self.answer is not None
        if (event := self.answer.take(row)) is not None:
            self.sink(event)
        self._finish_if_spoken()

    def say(self, samples_S: Samples) -> bool:
        """New sound of the answer; whether it came too late for who listens."""
        assert self.answer is not None
        late_s = self.answer.late_s
        if (event := self.answer.say(samples_S)) is not None:
            self.sink(event)
        self._finish_if_spoken()
        return event is not None and late_s > 0

    def _open(self, listening: bool) -> None:
        assert self._said is not None
        self._listening, self._n_read = listening, 0
        try:
            self._opening_TC = opening_rows(self._bundle, *self._said, listening)
        except ValueError:
            self._opening_TC = None

    def _begin(self, turns: Sequence[Turn], wish: Wish) -> None:
        bundle, capacity = self._bundle, self._batch.capacity
        if wish.voice not in bundle.voices:
            allowed = ", ".join(bundle.voices)
            reason = f"voice is {wish.voice!r}, must be one of {allowed}"
            raise QuestionError("unknown_voice", reason)
        said = [read_turn(bundle, turn) for turn in turns]
        if wish.drop_oldest:
            prompt_TC = fitting_prompt(bundle, said, wish.output, capacity, wish.max_rows)
        else:
            prompt_TC = prompt_of(bundle, said, wish.output, capacity)
        n_rows = min(wish.max_rows, capacity - len(prompt_TC))
        request = self._batch.join(prompt_TC, wish.sampling, wish.seed, n_rows, self._seat)
        spoken = wish.output == "audio"
        try:
            mouth = self._mouths.join(bundle.voices[wish.voice]) if spoken else None
        except BaseException:  # such as no memory for one more room
            self._batch.cancel(request)
            raise
        self.answer = Answer(bundle, self._observer, wish, request, mouth)

    def _finish_if_spoken(self) -> None:
        if self.answer is not None and self.answer.is_spoken:
            self._finish()

    def _finish(self, how: Finish | None = None) -> None:
        assert self.answer is not None
        answer, self.answer = self.answer, None
        if answer.mouth is not None:
            self._mouths.leave(answer.mouth)
        self._said = None  # more was said: the client tells what of it was heard
        self.sink(answer.finished(how))

    def _or_refuse(self, what: Asked, do: Callable[[], None]) -> None:
        try:
            do()
        except QuestionError as error:
            self.sink(Refused(what, error.code, str(error)))
        except ValueError as error:  # such as the codes of another model
            self.sink(Refused(what, "invalid_turn", str(error)))
