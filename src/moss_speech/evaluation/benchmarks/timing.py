"""How soon and how fast spoken answers come on this machine, asked one by one."""

import dataclasses
from collections.abc import Sequence

from moss_speech.evaluation.benchmarks.answers import Answer, Bench
from moss_speech.evaluation.benchmarks.asking import sampling_of
from moss_speech.evaluation.benchmarks.items import Asked, Item
from moss_speech.inference.turns import Reply, Turn
from moss_speech.params.suite import LatencySuite


class Timing:
    """Single answers of one model, streamed as a service streams them."""

    batch = 32
    cells = ("s2s",)

    def __init__(self, suite: LatencySuite, bench: Bench) -> None:
        self._suite, self._bench = suite, bench

    def answer(self, cell: str, items: Sequence[Item]) -> list[Answer]:
        """Timed answers after one that warms up; what is no question is a row with its reason."""
        asked = [item for item in items if isinstance(item, Asked)]
        self._timed(cell, asked[0])
        return [self._timed(cell, item) for item in asked]

    def _timed(self, cell: str, item: Asked) -> Answer:
        readers = self._bench.readers
        row = Answer(
            id=f"{cell}/{item.id}",
            cell=cell,
            fact=item.id,
            voice=readers.voice(item.said, item.id),
            question=item.said.text or "",
            question_audio=str(readers.file(item.said, item.id)),
        )
        try:
            reply = self._reply(item)
        except ValueError as error:
            return dataclasses.replace(row, reason=str(error))
        if reply.audio.size == 0:
            return dataclasses.replace(row, reason="the answer holds no sound")
        return dataclasses.replace(
            row,
            codes=reply.codes,
            finish=reply.finish,
            measures={
                "first_audio_s": round(reply.timings.first_s, 4),
                "real_time_factor": round(reply.timings.total_s / reply.audio_s, 4),
            },
        )

    def _reply(self, item: Asked) -> Reply:
        decoding, engine = self._suite.decoding, self._bench.subject.engine
        rate_hz = engine.listening_rate_hz
        samples_S = self._bench.readers.read(item.said, item.id, rate_hz)
        return engine.reply(
            [Turn("user", audio=samples_S, sample_rate_hz=rate_hz)],
            "audio",
            sampling=sampling_of(decoding),
            seed=self._bench.seed,
            max_rows=decoding.max_rows,
        )
