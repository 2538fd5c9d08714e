"""Recordings through codec and decoder alone, in the voice of their prompt.

Shapes: S samples.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import cached_property

from moss_speech.audio import LISTENING, SPEAKING, Samples, resample, write_audio
from moss_speech.evaluation.benchmarks.answers import Answer, Bench
from moss_speech.evaluation.benchmarks.hearing import Writer
from moss_speech.evaluation.benchmarks.items import Item, Passage
from moss_speech.params.suite import CodecSuite
from moss_speech.speech.ge2e import ge2e
from moss_speech.speech.quality import opinion
from moss_speech.speech.speaker import similarity

TRUTH, WHOLE = "truth", "resynthesis"
_PROMPT_S = 30


class Coding:
    """What codec and decoder of one model make of the recordings of one suite."""

    batch = 8
    cells = (TRUTH, WHOLE)

    def __init__(self, suite: CodecSuite, bench: Bench) -> None:
        self._suite, self._bench = suite, bench

    @cached_property
    def _writer(self) -> Writer:
        return self._bench.writer()

    def answer(self, cell: str, items: Sequence[Item]) -> list[Answer]:
        """Measured sounds; a recording that cannot be used is a row with its reason."""
        return [self._measured(cell, item) for item in items if isinstance(item, Passage)]

    def _measured(self, cell: str, item: Passage) -> Answer:
        row = Answer(
            id=f"{cell}/{item.id}",
            cell=cell,
            fact=item.id,
            voice=self._bench.readers.voice(item.said, item.id),
            question=item.text,
            expected=(item.text,),
            question_audio=str(self._bench.readers.file(item.said, item.id)),
        )
        try:
            sound_S, rate_hz, codes = self._sound(cell, item)
            prompt_S = self._prompt(item)
            measures = _measures(sound_S, rate_hz, prompt_S)
        except ValueError as error:
            return dataclasses.replace(row, reason=str(error))
        name = f"audio/{hashlib.sha256(row.id.encode()).hexdigest()[:16]}.flac"
        write_audio(self._bench.out / name, sound_S, rate_hz)
        heard = self._writer(sound_S, rate_hz)
        return dataclasses.replace(row, codes=codes, audio=name, heard=heard, measures=measures)

    def _sound(self, cell: str, item: Passage) -> tuple[Samples, int, tuple[int, ...]]:
        readers, rate_hz = self._bench.readers, SPEAKING.sample_rate_hz
        if cell == TRUTH:
            return readers.read(item.said, item.id, rate_hz), rate_hz, ()
        parts = self._bench.subject.parts
        listening_hz = parts.codec.config.audio_format.sample_rate_hz
        heard_S = readers.read(item.said, item.id, listening_hz)
        codes = tuple(parts.codec.encode([heard_S])[0].tolist())
        sound_S = parts.decoder.decode(codes, self._bench.subject.voice_of(self._prompt(item)))
        return sound_S, parts.decoder.format.sample_rate_hz, codes

    def _prompt(self, item: Passage) -> Samples:
        rate_hz = SPEAKING.sample_rate_hz
        return self._bench.readers.read(item.prompt, item.id, rate_hz)[: _PROMPT_S * rate_hz]


def _measures(sound_S: Samples, rate_hz: int, prompt_S: Samples) -> dict[str, float]:
    """Likeness to the prompt's voice, -1..1, and opinion score, 1..5."""
    spoken_S = resample(sound_S, rate_hz, SPEAKING.sample_rate_hz)
    quality = opinion(resample(sound_S, rate_hz, LISTENING.sample_rate_hz)).overall
    return {
        "similarity": round(similarity(ge2e()(spoken_S), ge2e()(prompt_S)), 6),
        "quality": round(quality, 6),
    }
