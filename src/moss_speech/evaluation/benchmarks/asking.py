"""Questions and instructions, typed or spoken, answered in text or in speech.

Shapes: S samples.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from moss_speech.audio import LISTENING, resample, write_audio
from moss_speech.evaluation.benchmarks.answers import Answer, Bench
from moss_speech.evaluation.benchmarks.hearing import Writer
from moss_speech.evaluation.benchmarks.items import Asked, Item
from moss_speech.evaluation.suites import TYPED
from moss_speech.inference.questions import check_question
from moss_speech.inference.turns import Choices, Output, QuestionError, Reply, Turn
from moss_speech.lm.grid import SYSTEM
from moss_speech.lm.sampling import Sampling
from moss_speech.params.bundle import Generation
from moss_speech.params.suite import InstructionSuite, QaSuite
from moss_speech.speech.quality import opinion


def sampling_of(decoding: Generation) -> Sampling:
    """How rows are drawn."""
    return Sampling(**decoding.model_dump(exclude={"max_rows"}))


def output_of(cell: str) -> Output:
    """The modality in which a route answers."""
    return "audio" if cell.endswith("s") else "text"


class Asking:
    """Answers of one model to the items of one suite."""

    batch = 32

    def __init__(self, suite: QaSuite | InstructionSuite, bench: Bench) -> None:
        self._suite, self._bench = suite, bench
        self.cells: Sequence[str] = suite.routes

    @cached_property
    def _writer(self) -> Writer:
        return self._bench.writer()

    def answer(self, cell: str, items: Sequence[Item]) -> list[Answer]:
        """Answers side by side; an item that cannot be asked is a row with its reason."""
        asked: dict[str, list[Turn]] = {}
        rows: dict[str, Answer] = {}
        for item in items:
            assert isinstance(item, Asked)
            rows[item.id] = self._row(cell, item)
            try:
                asked[item.id] = self._turns(cell, item)
            except ValueError as error:
                rows[item.id] = dataclasses.replace(rows[item.id], reason=str(error))
        replies = self._replies(output_of(cell), asked)
        for id, reply in replies.items():
            if isinstance(reply, Reply):
                rows[id] = self._answered(rows[id], reply)
            else:
                rows[id] = dataclasses.replace(rows[id], reason=str(reply))
        return list(rows.values())

    def _row(self, cell: str, item: Asked) -> Answer:
        spoken = cell.startswith("s")
        readers = self._bench.readers
        expected = [check.model_dump() for check in item.checks] or item.answers
        return Answer(
            id=f"{cell}/{item.id}",
            cell=cell,
            fact=item.id,
            voice=readers.voice(item.said, item.id) if spoken else TYPED,
            question=item.said.text or "",
            expected=tuple(expected),
            question_audio=str(readers.file(item.said, item.id)) if spoken else None,
        )

    def _turns(self, cell: str, item: Asked) -> list[Turn]:
        output = output_of(cell)
        system = Turn("system", text=self._suite.system.get(output, SYSTEM[output]))
        if cell.startswith("t"):
            return [system, Turn("user", text=item.said.text)]
        engine = self._bench.subject.engine
        rate_hz = engine.listening_rate_hz
        samples_S = self._bench.readers.read(item.said, item.id, rate_hz)
        check_question(samples_S, rate_hz, engine.limits)
        return [system, Turn("user", audio=samples_S, sample_rate_hz=rate_hz)]

    def _replies(
        self, output: Output, asked: dict[str, list[Turn]]
    ) -> dict[str, Reply | QuestionError]:
        """All side by side; one by one if some conversation is refused."""
        decoding, engine = self._suite.decoding, self._bench.subject.engine
        how: Choices = {
            "sampling": sampling_of(decoding),
            "seed": self._bench.seed,
            "max_rows": decoding.max_rows,
        }
        try:
            together = engine.reply_batch(list(asked.values()), output, **how)
            return dict(zip(asked, together, strict=True))
        except QuestionError:
            found: dict[str, Reply | QuestionError] = {}
        for id, turns in asked.items():
            try:
                found[id] = engine.reply_batch([turns], output, **how)[0]
            except QuestionError as error:
                found[id] = error
        return found

    def _answered(self, row: Answer, reply: Reply) -> Answer:
        said = dataclasses.replace(row, text=reply.text, codes=reply.codes, finish=reply.finish)
        if row.cell.endswith("t"):
            return said
        if reply.audio.size == 0:
            return dataclasses.replace(said, heard="")
        digest = hashlib.sha256(np.asarray(reply.codes, np.int64).tobytes()).hexdigest()[:16]
        name = f"audio/{digest}.flac"
        write_audio(self._bench.out / name, reply.audio, reply.sample_rate_hz)
        heard = self._writer(reply.audio, reply.sample_rate_hz)
        heard_S = resample(reply.audio, reply.sample_rate_hz, LISTENING.sample_rate_hz)
        measures = {"quality": round(opinion(heard_S).overall, 6)}
        return dataclasses.replace(said, audio=name, heard=heard, measures=measures)
