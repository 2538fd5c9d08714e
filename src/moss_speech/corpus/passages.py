"""Passages: texts in sentences, some of them spoken; `passages.jsonl` of a corpus or clean folder.

A row is `{"id", "split", "language", "source", "pieces": [{"text", "utterance"}]}`; a piece
without an utterance is typed. Folders without passages have no such file.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from moss_speech.corpus.items import Split
from moss_speech.storage import read_jsonl, write_jsonl

_FILE = "passages.jsonl"


@dataclass(frozen=True)
class Piece:
    """A sentence, and the utterance that speaks it."""

    text: str
    utterance: str | None = None


@dataclass(frozen=True)
class Passage:
    """Sentences in their order."""

    id: str
    split: Split
    language: str
    source: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """All of its words."""
        return " ".join(piece.text for piece in self.pieces)

    def without(self, gone: Container[int]) -> "Iterator[Passage]":
        """What is left of it where the pieces at some places are gone: the runs between them.

        A sentence that was rejected is not to come back as text.
        """
        run: list[Piece] = []
        runs = [run]
        for place, piece in enumerate(self.pieces):
            if place in gone:
                runs.append(run := [])
            else:
                run.append(piece)
        left = [run for run in runs if run]
        for number, pieces in enumerate(left):
            id_ = self.id if len(left) == 1 else f"{self.id}-{number}"
            yield replace(self, id=id_, pieces=tuple(pieces))

    def within(self, kept: Container[str]) -> "Iterator[Passage]":
        """What is left of it where some of its utterances are gone."""
        spoken = ((place, piece.utterance) for place, piece in enumerate(self.pieces))
        yield from self.without({place for place, id_ in spoken if id_ and id_ not in kept})

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Passage":
        """Read a row."""
        return cls(**{**row, "pieces": tuple(Piece(**piece) for piece in row["pieces"])})


def open_passages(folder: Path) -> list[Passage]:
    """All passages of a folder; none if it has no such file."""
    path = folder / _FILE
    return [Passage.from_json(row) for row in read_jsonl(path)] if path.is_file() else []


def write_passages(folder: Path, passages: Sequence[Passage]) -> None:
    """Write them, if there are any."""
    if passages:
        write_jsonl(folder / _FILE, map(asdict, passages))
