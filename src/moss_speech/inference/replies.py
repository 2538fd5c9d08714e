"""Whole answers and their figures. Shapes: T grid rows, C channels."""

import time
from dataclasses import dataclass, field

from moss_speech.audio import Samples
from moss_speech.bundle import Bundle
from moss_speech.inference.turns import Finish, Output, Reply, Timings, Usage
from moss_speech.lm import grid
from moss_speech.lm.batch import Generated
from moss_speech.lm.grid import Rows


@dataclass
class Clock:
    """Seconds since the question was whole."""

    started: float = field(default_factory=time.monotonic)
    heard_s: float = 0.0
    read_s: float | None = None
    first_s: float | None = None

    def elapsed_s(self) -> float:
        """Seconds until now."""
        return time.monotonic() - self.started

    def read(self) -> None:
        """Note when the first row of the answer is drawn; later calls change nothing."""
        if self.read_s is None:
            self.read_s = self.elapsed_s()

    def first(self) -> None:
        """Note when the first piece of the answer is out; later calls change nothing."""
        if self.first_s is None:
            self.first_s = self.elapsed_s()

    def timings(self) -> Timings:
        """The figures of an answer that is whole now."""
        total_s = self.elapsed_s()
        read_s, first_s = (
            total_s if seconds is None else seconds for seconds in (self.read_s, self.first_s)
        )
        return Timings(self.heard_s, read_s, first_s, total_s)


def usage_of(bundle: Bundle, prompt_TC: Rows, generated: Generated) -> Usage:
    """Rows of question and answer by channel."""
    pad = bundle.lm.config.ids.modality_pad
    asked, said = (int((rows[:, 0] == pad).sum()) for rows in (prompt_TC, generated.rows_TC))
    return Usage(len(prompt_TC) - asked, asked, len(generated.rows_TC) - said, said)


def reply_of(
    bundle: Bundle,
    output: Output,
    prompt_TC: Rows,
    generated: Generated,
    audio: Samples,
    timings: Timings,
    finish: Finish | None = None,
) -> Reply:
    """A whole answer; how it ended follows from its rows unless it is given."""
    spoken = output == "audio"
    text = grid.reply_text(generated.rows_TC, bundle.tokenizer, bundle.lm.config)
    return Reply(
        text="" if spoken else text,
        codes=tuple(generated.codes) if spoken else (),
        audio=audio,
        sample_rate_hz=bundle.decoder.format.sample_rate_hz,
        finish=finish or ("stop" if generated.stopped else "length"),
        usage=usage_of(bundle, prompt_TC, generated),
        timings=timings,
    )
