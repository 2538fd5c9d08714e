"""Which of some continuations a model finds most likely, in text or in speech.

The options of one item are judged in one pass and never with those of another, so that a figure
does not depend on what else is asked. What ends a text or a speech is not judged.
Shapes: T grid rows, C channels.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from moss_speech.codec.model import Codes
from moss_speech.evaluation.benchmarks.answers import Answer, Bench
from moss_speech.evaluation.benchmarks.items import Choice, Item, Said, item_texts
from moss_speech.evaluation.suites import TYPED
from moss_speech.lm import grid
from moss_speech.lm.grid import GridWriter, Rows
from moss_speech.lm.likelihood import Continuation, likelihoods
from moss_speech.params.suite import ChoiceSuite
from moss_speech.speech.text import normalise


class Choosing:
    """Log-probabilities that one model gives the options of one suite."""

    batch = 32

    def __init__(self, suite: ChoiceSuite, bench: Bench) -> None:
        self._suite, self._bench = suite, bench
        self.cells: Sequence[str] = suite.routes
        subject = bench.subject
        self._writer = GridWriter(subject.tokenizer, subject.lm.config)
        self._ids = subject.lm.config.ids

    def answer(self, cell: str, items: Sequence[Item]) -> list[Answer]:
        """Judgements of the options; an item that cannot be judged is a row with its reason."""
        return [self._judged(cell, item) for item in items if isinstance(item, Choice)]

    def _judged(self, cell: str, item: Choice) -> Answer:
        texts, spoken = item_texts(item), "s" in cell
        heard = item.context if cell.startswith("s") and item.context else item.options[0]
        row = Answer(
            id=f"{cell}/{item.id}",
            cell=cell,
            fact=item.id,
            voice=self._bench.readers.voice(heard, item.id) if spoken else TYPED,
            question=texts["question"],
            expected=tuple(texts["expected"]),
            right=item.right,
        )
        try:
            found = likelihoods(self._bench.subject.lm, self.continuations(cell, item))
        except ValueError as error:
            return dataclasses.replace(row, reason=str(error))
        return dataclasses.replace(
            row,
            log_probs=tuple(round(f.log_prob, 6) for f in found),
            n_rows=tuple(f.n_rows for f in found),
        )

    def continuations(self, cell: str, item: Choice) -> list[Continuation]:
        """Each option after its context, as rows of the grid."""
        asked, said = cell[0], cell[2]
        options = (
            [self._codes(option, item.id) for option in item.options]
            if said == "s"
            else [self._plain(option.text) for option in item.options]
        )
        if self._suite.form == "chat":
            context_TC = self._chat(item, asked, "audio" if said == "s" else "text")
            return [self._after(context_TC, option) for option in options]
        if asked == "t" and said == "t":
            context = self._context_text(item)
            return [self._text_pair(context, str(option)) for option in options]
        context_TC = self._opening(item, asked, said)
        return [self._after(context_TC, option) for option in options]

    def _after(self, context_TC: Rows, option: str | Codes) -> Continuation:
        rows_TC = (
            self._writer.words(option)
            if isinstance(option, str)
            else self._writer.spoken(option.tolist())
        )
        return Continuation(context_TC, rows_TC)

    def _text_pair(self, context: str, option: str) -> Continuation:
        """Text after text: what the whole's ids have beyond those it shares with the context's."""
        encode = self._bench.subject.tokenizer.encode
        given = encode(context) if context else []
        whole = encode(f"{context}{self._suite.joint}{option}" if context else option)
        shared = 0
        while shared < min(len(given), len(whole) - 1) and given[shared] == whole[shared]:
            shared += 1
        rows_TC = self._writer.text([self._ids.im_start, *whole])
        return Continuation(rows_TC[: shared + 1], rows_TC[shared + 1 :])

    def _opening(self, item: Choice, asked: str, said: str) -> Rows:
        """The context as pre-training writes it, open for what is said next."""
        pieces = [self._writer.text([self._ids.im_start])]
        speech = self._writer.text([self._ids.sosp])
        if item.context is None:
            return np.concatenate([*pieces, speech] if said == "s" else pieces)
        if asked == "t":
            return np.concatenate([*pieces, self._writer.words(self._context_text(item)), speech])
        codes = self._codes(item.context, item.id).tolist()
        goes_on = self._writer.spoken(codes) if said == "s" else self._writer.codes(codes)
        return np.concatenate([*pieces, speech, goes_on])

    def _chat(self, item: Choice, asked: str, output: grid.Output) -> Rows:
        assert item.context is not None
        system = self._suite.system.get(output, grid.SYSTEM[output])
        turn = (
            grid.Turn("user", text=self._context_text(item))
            if asked == "t"
            else grid.Turn("user", codes=self._codes(item.context, item.id).tolist())
        )
        turns = [grid.Turn("system", text=system), turn]
        subject = self._bench.subject
        return grid.prompt_rows(turns, output, subject.tokenizer, subject.lm.config)

    def _context_text(self, item: Choice) -> str:
        if item.context is None:
            return self._plain(self._suite.preamble)
        return self._plain(f"{self._suite.preamble}{item.context.text}")

    def _plain(self, text: str | None) -> str:
        return normalise(text or "") if self._bench.subject.normalise_text else text or ""

    def _codes(self, said: Said, id: str) -> Codes:
        codec = self._bench.subject.parts.codec
        rate_hz = codec.config.audio_format.sample_rate_hz
        return codec.encode([self._bench.readers.read(said, id, rate_hz)])[0]
