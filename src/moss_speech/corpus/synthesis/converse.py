"""Instruction rows as spoken dialogues: every turn speakable, users in many voices, one answers."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal

from moss_speech.corpus.items import Dialogue, Turn
from moss_speech.corpus.sources.lines import Line
from moss_speech.corpus.synthesis.instructions import exchanges_of
from moss_speech.corpus.synthesis.lines import line, one_of, random_of
from moss_speech.corpus.synthesis.rewriting import Rewriter
from moss_speech.corpus.synthesis.rows import Dropped, Row
from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.params.synthesis import Instructions, LanguageModel
from moss_speech.speech.personal import personal_tag
from moss_speech.speech.text import normalise

Said = tuple[Literal["user", "assistant"], str]
_ROWS_A_THREAD = 16


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

    def plan(self, rows: Iterable[Row | Dropped]) -> Iterator[Planned | Dropped]:
        """The dialogue of each row, or why there is none; several rows are rewritten at a time."""
        parallel = self._p.rewrite.parallel if isinstance(self._p.rewrite, LanguageModel) else 1
        left = iter(rows)
        with ThreadPoolExecutor(parallel) as pool:
            while some := list(islice(left, _ROWS_A_THREAD * parallel)):
                yield from map(self._dialogue, some, pool.map(self._said, some))

    def _said(self, row: Row | Dropped) -> list[Said] | Dropped:
        """What is said in a row, turn by turn."""
        if isinstance(row, Dropped):
            return row
        exchanges = exchanges_of(row)
        if isinstance(exchanges, Dropped):
            return exchanges
        said: list[Said] = []
        try:
            for question, answer in exchanges[: self._p.max_exchanges]:
                said.append(("user", self._rewriter.rewrite("user", question)))
                said.append(("assistant", self._rewriter.rewrite("assistant", answer)))
        except UnspeakableError as error:
            return Dropped(row.where, error.reason, error.value, error.allowed)
        return said

    def _dialogue(self, row: Row | Dropped, said: list[Said] | Dropped) -> Planned | Dropped:
        if isinstance(row, Dropped):
            return row
        if isinstance(said, Dropped):
            return said
        words = tuple(normalise(text) for _, text in said)
        if (first := self._known.setdefault(words, row.where)) != row.where:
            return Dropped(row.where, "duplicate", first, "words of its own")
        return self._planned(f"{self._p.name}-{row.number:07d}", said, self._personal(row))

    def _personal(self, row: Row) -> dict[str, str]:
        """The tag for a row in whose written turns something personal is found."""
        exchanges = exchanges_of(row)
        said = [] if isinstance(exchanges, Dropped) else exchanges[: self._p.max_exchanges]
        found: dict[str, str] = {}
        for text in chain.from_iterable(said):
            found |= personal_tag(text)
        return found

    def _planned(self, id_: str, said: Sequence[Said], personal: dict[str, str]) -> Planned:
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
        lines = [replace(spoken, tags=spoken.tags | personal) for spoken in lines]
        return Planned(Dialogue(id_, "train", turns, tags | personal), tuple(lines))
