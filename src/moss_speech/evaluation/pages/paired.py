"""Two evaluations item by item: differences on the same items with intervals, and what changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from moss_speech.evaluation.pages.examples import hardness, shown_items
from moss_speech.evaluation.pages.rows import TITLES
from moss_speech.evaluation.pages.saved import Evaluation, Judged
from moss_speech.evaluation.statistics import ratio
from moss_speech.evaluation.suites import REPEAT_TITLES


@dataclass(frozen=True)
class Difference:
    """One figure of two runs on the items that both answered."""

    name: str
    title: str
    base: float
    other: float
    value: float
    """Other minus base."""
    low: float
    high: float
    n: int
    n_apart: int
    """Items that only one of them has, or that ask something else."""
    is_error: bool
    """Less is better."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval leaves 0 out, else `unclear`."""
        if self.low <= 0 <= self.high:
            return "unclear"
        return "better" if (self.value > 0) != self.is_error else "worse"


@dataclass(frozen=True)
class Change:
    """One item that the two answered differently well."""

    base: Judged
    other: Judged

    @property
    def gain(self) -> float:
        """How much better the other run's answer is."""
        return self.other.part - self.base.part


Pair = tuple[Judged, Judged]


def differences(base: Evaluation, other: Evaluation) -> list[Difference]:
    """Every figure of which both have items in common, in the order of pages."""
    ours, theirs = _cells(base.items), _cells(other.items)
    order = [*TITLES, *REPEAT_TITLES]
    known = [name for name in order if name in ours and name in theirs]
    wanted = known if base.is_own else [name for name in ours if name in theirs]
    found = (_difference(name, ours[name], theirs[name], base) for name in wanted)
    return [difference for difference in found if difference is not None]


def changes(base: Evaluation, other: Evaluation) -> list[Change]:
    """Items whose answer became worse, worst first, then those that became better."""
    pairs = _pairs(shown_items(base), shown_items(other))
    found = [Change(a, b) for a, b in pairs if a.part != b.part]
    return sorted(found, key=lambda c: (c.gain > 0, c.gain, hardness(c.base)))


def _cells(items: Sequence[Judged]) -> dict[str, list[Judged]]:
    cells: dict[str, list[Judged]] = {}
    for item in items:
        cells.setdefault(item.cell, []).append(item)
    return cells


def _pairs(ours: Sequence[Judged], theirs: Sequence[Judged]) -> list[Pair]:
    by_question = {item.asked: item for item in theirs}
    return [(item, by_question[item.asked]) for item in ours if item.asked in by_question]


def _difference(
    name: str, ours: Sequence[Judged], theirs: Sequence[Judged], base: Evaluation
) -> Difference | None:
    pairs = _pairs(ours, theirs)
    wholes = [a.whole for a, _ in pairs]
    if not sum(wholes):
        return None
    clusters = [[a.fact for a, _ in pairs], [a.voice for a, _ in pairs]]
    gains = [b.part - a.part for a, b in pairs]
    estimate = ratio(gains, wholes, clusters, base.sampling)
    return Difference(
        name=name,
        title=TITLES.get(name) or REPEAT_TITLES.get(name) or name,
        base=sum(a.part for a, _ in pairs) / sum(wholes),
        other=sum(b.part for _, b in pairs) / sum(wholes),
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        n_apart=len(ours) + len(theirs) - 2 * len(pairs),
        is_error=name in REPEAT_TITLES,
    )
