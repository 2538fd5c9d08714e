"""One conversation: what was said so far, as text and codes, and the answer under way.

A session belongs to one thread at a time and shares nothing but the model with its neighbours.
Shapes: T grid rows, C channels.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from moss_speech.audio import Samples
from moss_speech.bundle import Bundle
from moss_speech.decoder.voice import Voice
from moss_speech.inference.turns import (
    AudioDelta,
    Event,
    Finished,
    Output,
    QuestionError,
    Reply,
    TextDelta,
    Timings,
    Usage,
)
from moss_speech.lm import grid
from moss_speech.lm.batch import Generated
from moss_speech.lm.grid import Rows, prompt_rows
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.stream import Room
from moss_speech.lm.stream import Session as RowStream


@dataclass(frozen=True)
class Wish:
    """How an answer is wanted."""

    output: Output
    sampling: Sampling
    seed: int
    max_rows: int
    voice: Voice


@dataclass
class Clock:
    """Seconds since the question was whole."""

    started: float = field(default_factory=time.perf_counter)
    heard_s: float = 0.0
    first_s: float | None = None

    def elapsed_s(self) -> float:
        """Seconds until now."""
        return time.perf_counter() - self.started

    def first(self) -> None:
        """Note when the first piece of the answer is out; later calls change nothing."""
        if self.first_s is None:
            self.first_s = self.elapsed_s()

    def timings(self) -> Timings:
        """The figures of an answer that is whole now."""
        total_s = self.elapsed_s()
        return Timings(self.heard_s, total_s if self.first_s is None else self.first_s, total_s)


def prompt_of(bundle: Bundle, turns: Sequence[grid.Turn], output: Output) -> Rows:
    """Rows of a conversation, [T, 2]; `QuestionError` if it does not fit the model."""
    try:
        return prompt_rows(turns, output, bundle.tokenizer, bundle.lm.config)
    except ValueError as error:
        raise QuestionError("conversation_too_long", str(error)) from error


def rows_left(bundle: Bundle, wish: Wish, prompt_TC: Rows) -> int:
    """Rows that an answer may have: the wish, the model's positions."""
    return min(wish.max_rows, bundle.lm.config.max_position_embeddings - len(prompt_TC))


def usage_of(bundle: Bundle, prompt_TC: Rows, generated: Generated) -> Usage:
    """Rows of question and answer by channel."""
    pad = bundle.lm.config.ids.modality_pad
    asked, said = (int((rows[:, 0] == pad).sum()) for rows in (prompt_TC, generated.rows_TC))
    return Usage(len(prompt_TC) - asked, asked, len(generated.rows_TC) - said, said)


def reply_of(
    bundle: Bundle, wish: Wish, prompt_TC: Rows, generated: Generated, audio: Samples
) -> Reply:
    """A whole answer, without its timings."""
    spoken = wish.output == "audio"
    text = grid.reply_text(generated.rows_TC, bundle.tokenizer, bundle.lm.config)
    return Reply(
        text="" if spoken else text,
        codes=tuple(generated.codes) if spoken else (),
        audio=audio,
        sample_rate_hz=bundle.decoder.format.sample_rate_hz,
        finish="stop" if generated.stopped else "length",
        usage=usage_of(bundle, prompt_TC, generated),
        timings=Timings(0.0, 0.0, 0.0),
    )


class Session:
    """A conversation with one model; each answer becomes part of it."""

    def __init__(self, bundle: Bundle, room: Room, turns: Sequence[grid.Turn] = ()) -> None:
        self._bundle, self._room, self.turns = bundle, room, list(turns)

    def answer(self, wish: Wish, clock: Clock) -> Iterator[Event]:
        """Answer the turns so far, piece by piece; the last event is `Finished`.

        The answer joins the conversation when it is whole; closing the iterator drops it.
        """
        prompt_TC = prompt_of(self._bundle, self.turns, wish.output)
        n_rows = rows_left(self._bundle, wish, prompt_TC)
        pieces: list[Samples] = []
        make = self._speech if wish.output == "audio" else self._text
        with closing(self._room.reply(prompt_TC, wish.sampling, wish.seed, n_rows)) as rows:
            for event in make(rows, wish):
                clock.first()
                if isinstance(event, AudioDelta):
                    pieces.append(event.samples)
                yield event
        audio = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        reply = reply_of(self._bundle, wish, prompt_TC, rows.finish(), audio)
        self._keep(reply, wish.output)
        yield Finished(reply.at(clock.timings()))

    def _keep(self, reply: Reply, output: Output) -> None:
        if output == "audio" and reply.codes:
            self.turns.append(grid.Turn("assistant", codes=reply.codes))
        elif output == "text" and reply.text:
            self.turns.append(grid.Turn("assistant", text=reply.text))

    def _speech(self, rows: RowStream, wish: Wish) -> Iterator[AudioDelta]:
        """Sound of the first speech segment, as soon as the decoder has settled it."""
        voice = self._bundle.decoder.stream(wish.voice)
        speaking = True
        for row in rows:
            speaking = speaking and row.is_code
            if speaking and (piece := voice.push([row.audio])).size:
                yield AudioDelta(piece)
        if (rest := voice.finish()).size:
            yield AudioDelta(rest)

    def _text(self, rows: RowStream, wish: Wish) -> Iterator[TextDelta]:
        """Text as far as its bytes are whole characters."""
        ids: list[int] = []
        said = ""
        for row in rows:
            if row.text == self._bundle.lm.config.ids.modality_pad:
                continue
            ids.append(row.text)
            text = self._bundle.tokenizer.decode(ids)
            if text != said and (row.last or not text.endswith("\ufffd")):
                yield TextDelta(text[len(said) :])
                said = text
