"""What a model made of one item: the row that is filed, judged, and judged again."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from moss_speech.evaluation.benchmarks.hearing import Writer
from moss_speech.evaluation.benchmarks.items import Item
from moss_speech.evaluation.benchmarks.speaking import Readers
from moss_speech.evaluation.benchmarks.subject import Subject


@dataclass(frozen=True)
class Answer:
    """One item in one cell; what does not apply to a kind of suite is empty."""

    id: str
    cell: str
    """The route, or the kind of sound of a codec suite."""
    fact: str
    """The item: what is asked in several cells is paired by it."""
    voice: str
    """Who asked; `typed` where nobody spoke."""
    question: str = ""
    expected: tuple[Any, ...] = ()
    """Answers that count, checks, or the right option."""
    question_audio: str | None = None
    text: str = ""
    """The answer in text, as the model wrote it."""
    codes: tuple[int, ...] = ()
    audio: str | None = None
    """The spoken answer below the run's folder."""
    heard: str | None = None
    """What the recogniser wrote down of it."""
    finish: str | None = None
    log_probs: tuple[float, ...] = ()
    n_rows: tuple[int, ...] = ()
    """Rows of each option."""
    right: int | None = None
    measures: dict[str, float] | None = None
    reason: str | None = None
    """Why the item could not be asked; it counts in no figure."""
    value: float | None = None
    """What figures average."""

    def to_json(self) -> dict[str, Any]:
        """A row of items.jsonl."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Answer":
        """Read a row; `ValueError` for one of another shape."""
        names = {f.name for f in fields(cls)}
        if set(row) != names:
            wrong = ", ".join(sorted(set(row) ^ names))
            raise ValueError(f"a row of items has other fields than it must: {wrong}")
        lists = ("expected", "codes", "log_probs", "n_rows")
        return cls(**row | {name: tuple(row[name]) for name in lists})


@dataclass(frozen=True)
class Bench:
    """What every kind of suite is answered with."""

    subject: Subject
    readers: Readers
    writer: Callable[[], Writer]
    """Opens the suite's recogniser; not called where nobody speaks."""
    seed: int
    out: Path
    """The run's folder; sounds go to audio/ below it."""


class Kind(Protocol):
    """Answers the items of one kind of suite."""

    batch: int
    """Items that are answered together; a run that was cut off goes on after the last batch."""

    @property
    def cells(self) -> Sequence[str]:
        """Ways in which every item is answered."""

    def answer(self, cell: str, items: Sequence[Item]) -> list[Answer]:
        """Answers in the order of the items; equal batches give equal answers."""
