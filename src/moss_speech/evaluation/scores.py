"""From answered items to figures: a pure function, so a saved run is rescored without a model."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import jiwer

from moss_speech.evaluation.statistics import Estimate, Sampling, mean, ratio
from moss_speech.evaluation.suites import HARDEST, REPEAT_TITLES, Item

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Record:
    """An item with what the model answered and what was heard of it."""

    item: Item
    text: str = ""
    """The answer in text, normalised; empty for a spoken one."""
    codes: tuple[int, ...] = ()
    audio: str | None = None
    """What was judged, relative to the report's folder."""
    question_audio: str | None = None
    """The spoken question, relative to the report's folder; in reports of format 1 to the root."""
    whisper: str | None = None
    sphinx: str | None = None
    nearest: str | None = None
    """The known answer whose codes are closest."""
    nearest_edits: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The row of items.jsonl."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "item"}
        return asdict(self.item) | row | {"codes": list(self.codes)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Record":
        """Read a row of items.jsonl."""
        item = Item(**{f.name: row[f.name] for f in fields(Item)})
        own = {f.name: row[f.name] for f in fields(cls) if f.name != "item"}
        return cls(item, **(own | {"codes": tuple(own["codes"])}))


@dataclass(frozen=True)
class Verdict:
    """Who finds an answer right; `value` is what the figure averages."""

    value: float
    whisper: bool | None = None
    sphinx: bool | None = None
    codes: bool | None = None


def answer_words(answers: Sequence[str]) -> dict[str, str]:
    """For each answer the words that tell it from the others.

    The longest opening that it shares with another answer ("it is" of "it is green") is left
    out; where nothing would remain the last word does.
    """
    own = {}
    for answer in answers:
        words = answer.split()
        shared = max(
            (_shared_opening(words, other.split()) for other in answers if other != answer),
            default=0,
        )
        own[answer] = " ".join(words[min(shared, len(words) - 1) :])
    return own


def _shared_opening(a: Sequence[str], b: Sequence[str]) -> int:
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def contains(heard: str, words: str) -> bool:
    """Whether `words` stand side by side in what was heard, as whole words."""
    return f" {words} " in f" {heard} "


class Scorer:
    """Verdicts over one closed list of answers."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._words = answer_words(answers)

    def verdict(self, record: Record) -> Verdict:
        """Text must be the whole answer; speech is judged twice, and the mean counts."""
        expected = record.item.expected
        if record.item.reply == "text":
            return Verdict(float(record.text == expected))
        whisper = contains(record.whisper or "", self._words[expected])
        sphinx = record.sphinx == expected
        codes = None if record.nearest is None else record.nearest == expected
        return Verdict((whisper + sphinx) / 2, whisper, sphinx, codes)

    def accuracy(self, records: Sequence[Record], how: Sampling) -> dict[str, Any]:
        """One cell's figure, each judge apart, the code metric and chance beside it."""
        verdicts = [self.verdict(r) for r in records]
        figure = _mean(records, [v.value for v in verdicts], how).to_json()
        apart: dict[str, list[Any]] = {
            "whisper": [v.whisper for v in verdicts],
            "sphinx": [v.sphinx for v in verdicts],
            "codes": [v.codes for v in verdicts],
            "chance": [r.item.chance for r in records],
        }
        return figure | {name: _share(found) for name, found in apart.items() if None not in found}


def word_errors(expected: str, heard: str) -> int:
    """Substitutions, deletions and insertions that turn `expected` into `heard`."""
    out = jiwer.process_words(expected, heard)
    return int(out.substitutions + out.deletions + out.insertions)


def word_error(pairs: Sequence[tuple[str, str]], items: Sequence[Item], how: Sampling) -> Estimate:
    """Word errors over words of (expected, heard), clustered as `items` are."""
    errors = [word_errors(expected, heard) for expected, heard in pairs]
    words = [len(expected.split()) for expected, _ in pairs]
    return ratio(errors, words, _clusters(items), how)


def repeat_error(records: Sequence[Record], how: Sampling) -> dict[str, Any]:
    """Word error of a repeat cell; of speech as each judge hears it, and their mean."""
    items = [r.item for r in records]
    if records[0].item.reply == "text":
        return word_error([(r.item.expected, r.text) for r in records], items, how).to_json()
    heard = {
        "whisper": [(r.item.expected, r.whisper or "") for r in records],
        "sphinx": [(r.item.expected, r.sphinx or "") for r in records],
    }
    both = word_error(heard["whisper"] + heard["sphinx"], items + items, how).to_json()
    apart = {name: word_error(pairs, items, how) for name, pairs in heard.items()}
    return both | {"n": len(records)} | {name: round(e.value, 4) for name, e in apart.items()}


def by_cell(things: Iterable[T], cell_of: Callable[[T], K]) -> dict[K, list[T]]:
    """Things grouped by their cell, in the order of their first appearance."""
    cells: dict[K, list[T]] = {}
    for thing in things:
        cells.setdefault(cell_of(thing), []).append(thing)
    return cells


def figures(records: Sequence[Record], answers: Sequence[str], how: Sampling) -> dict[str, Any]:
    """All figures of a run: `accuracy`, `word_error` by cell, and the gap that speech costs."""
    scorer, cells = Scorer(answers), by_cell(records, lambda r: r.item.cell)
    out: dict[str, Any] = {
        "accuracy": {
            n: scorer.accuracy(r, how) for n, r in cells.items() if n not in REPEAT_TITLES
        },
        "word_error": {n: repeat_error(r, how) for n, r in cells.items() if n in REPEAT_TITLES},
    }
    text, speech = ({r.item.utterance: r for r in cells.get(name, [])} for name in HARDEST)
    if shared := [key for key in text if key in speech]:
        lost = [
            scorer.verdict(text[key]).value - scorer.verdict(speech[key]).value for key in shared
        ]
        out["speech_gap"] = _mean([speech[key] for key in shared], lost, how).to_json()
    return out


def retention(
    before: Sequence[Record], after: Sequence[Record], answers: Sequence[str], how: Sampling
) -> dict[str, Any]:
    """Text questions before and after speech was learnt, and how many got worse."""
    scorer = Scorer(answers)
    values = [
        (scorer.verdict(b).value, scorer.verdict(a).value)
        for b, a in zip(before, after, strict=True)
    ]
    return {
        "before": _mean(before, [b for b, _ in values], how).to_json(),
        "after": _mean(after, [a for _, a in values], how).to_json(),
        "items_below": sum(a < b for b, a in values),
        "items_above": sum(a > b for b, a in values),
    }


def _clusters(items: Sequence[Item]) -> list[list[str]]:
    return [[item.fact for item in items], [item.voice for item in items]]


def _mean(records: Sequence[Record], values: Sequence[float], how: Sampling) -> Estimate:
    return mean(values, _clusters([r.item for r in records]), how)


def _share(values: Sequence[Any]) -> float:
    return round(sum(map(float, values)) / len(values), 4)
