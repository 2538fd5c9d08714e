"""Instruction rows as spoken dialogues: every turn speakable, users in many voices, one answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from moss_speech.corpus.items import Dialogue, Turn
from moss_speech.corpus.sources.lines import Line
from moss_speech.corpus.synthesis.instructions import Exchanges, exchanges_of
from moss_speech.corpus.synthesis.lines import line, one_of, random_of
from moss_speech.corpus.synthesis.rewriting import Rewriter
from moss_speech.corpus.synthesis.rows import Dropped, Row
from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.params.synthesis import Instructions
from moss_speech.speech.text import normalise


@dataclass(frozen=True)
class Planned:
    """A dialogue and the lines of all of its turns."""

    dialogue: Dialogue
    lines: tuple[Line, ...]


class Conversations:
    """Rows of one source as dialogues; the same words twice are one dialogue."""

    def __init__(self, p: Instructions, rewriter: Rewriter, seed: int) -> None:
        self._p, self._rewriter, self._seed = p, rewriter, seed
        self._known: dict[tuple[str, ...], str] = {}

    def plan(self, row: Row) -> Planned | Dropped:
        """The dialogue of a row, or why there is none."""
        exchanges = exchanges_of(row)
        if isinstance(exchanges, Dropped):
            return exchanges
        try:
            said = list(self._said(exchanges[: self._p.max_exchanges]))
        except UnspeakableError as error:
            return Dropped(row.where, error.reason, error.value, error.allowed)
        words = tuple(normalise(text) for _, text in said)
        if (first := self._known.setdefault(words, row.where)) != row.where:
            return Dropped(row.where, "duplicate", first, "words of its own")
        return self._planned(f"{self._p.name}-{row.number:07d}", said)

    def _said(self, exchanges: Exchanges) -> Iterator[tuple[Literal["user", "assistant"], str]]:
        for question, answer in exchanges:
            yield "user", self._rewriter.rewrite("user", question)
            yield "assistant", self._rewriter.rewrite("assistant", answer)

    def _planned(self, id_: str, said: list[tuple[Literal["user", "assistant"], str]]) -> Planned:
        random = random_of(self._seed, id_)
        user, assistant = one_of(self._p.voices, random), one_of([self._p.assistant], random)
        lines = [
            line(f"{id_}-{n:02d}", text, user, "question", self._p, random)
            if role == "user"
            else line(f"{id_}-{n:02d}", text, assistant, "answer", self._p, random)
            for n, (role, text) in enumerate(said)
        ]
        turns = tuple(
            Turn(role, normalise(text) if self._p.normalise_text else text, (spoken.id,))
            for (role, text), spoken in zip(said, lines, strict=True)
        )
        tags = {
            "fact": id_, "wording": "0", "category": self._p.name, "taught": "speech",
            "source": self._p.name, "language": self._p.language,
        }  # fmt: skip
        return Planned(Dialogue(id_, "train", turns, tags), tuple(lines))
