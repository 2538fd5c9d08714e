"""The page of a comparison: what changed from the first run to each of the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moss_speech.evaluation.pages import about, apart
from moss_speech.evaluation.pages.examples import Example, example
from moss_speech.evaluation.pages.paired import Change, Difference, changes, differences
from moss_speech.evaluation.pages.render import render
from moss_speech.evaluation.pages.rows import TITLES, Row, row, share_rows
from moss_speech.evaluation.pages.saved import Evaluation
from moss_speech.evaluation.pages.sounds import Sounds
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.params.evaluate import PageParams

MAX_RUNS = 4
"""Runs of a comparison: more cannot be told apart in a plot."""
_MAX_PARAMS = 300
_SECTIONS = {
    "differences": "Differences",
    "changes": "Changes",
    "scores": "Scores",
    "curves": "Training",
    "params": "Params",
    "data": "Data",
    "composition": "Corpus",
    "speed": "Speed and cost",
    "decisions": "Decisions",
    "lineage": "Lineage",
}


@dataclass(frozen=True)
class Against:
    """One run against the first."""

    name: str
    differences: Sequence[Difference]
    changes: Sequence[Change]
    headline: Difference | None

    @property
    def scale(self) -> float:
        """Half of the plots' width: the farthest bound of a share, in whole tenths."""
        bounds = [max(-d.low, d.high) for d in self.differences if not d.is_error]
        return max(0.1, math.ceil(10 * max(bounds, default=1.0)) / 10)

    @property
    def n_worse(self) -> int:
        """Items whose answer became worse."""
        return sum(change.gain < 0 for change in self.changes)

    @property
    def n_better(self) -> int:
        """Items whose answer became better."""
        return len(self.changes) - self.n_worse


def check_comparable(subjects: Sequence[Subject]) -> None:
    """`ValueError` unless these are 2 to 4 different runs of one kind of evaluation."""
    if not 2 <= len(subjects) <= MAX_RUNS:
        raise ValueError(f"{len(subjects)} runs named, a comparison takes 2 to {MAX_RUNS}")
    folders = [subject.evaluation.folder.resolve() for subject in subjects]
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise ValueError(f"{subjects[place].name} is named twice: {folder}")
    kinds = {subject.evaluation.name for subject in subjects}
    if len(kinds) > 1:
        raise ValueError(f"evaluations of {', '.join(sorted(kinds))} cannot be compared")


def compare(subjects: Sequence[Subject]) -> list[Against]:
    """Every later run against the first."""
    base = subjects[0].evaluation
    return [_against(base, subject) for subject in subjects[1:]]


def _against(base: Evaluation, subject: Subject) -> Against:
    found = differences(base, subject.evaluation)
    hardest = next((d for d in found if d.name == "s2s"), found[0] if found else None)
    return Against(subject.name, found, changes(base, subject.evaluation), hardest)


def render_comparison(subjects: Sequence[Subject], p: PageParams) -> str:
    """The page of two to four evaluations."""
    check_comparable(subjects)
    against, sounds = compare(subjects), Sounds(p.max_bytes)
    context: dict[str, Any] = {
        "base": subjects[0].name,
        "names": [subject.name for subject in subjects],
        "against": against,
        "differences": any(a.differences for a in against),
        "changes": [_cards(a, p.failures, sounds) for a in against],
        "scores": _scores(subjects),
        "gaps": [_gap(subject) for subject in subjects],
        "curves": about.drawn_curves([subject.curves for subject in subjects]),
        "params": apart.params_apart(subjects)[:_MAX_PARAMS],
        "data": apart.data_apart(subjects),
        "composition": apart.composition(subjects),
        "speed": apart.speed_and_cost(subjects),
        "lineage": apart.origins(subjects),
        "decisions": [
            (s.name, s.lineage.decisions) for s in subjects if s.lineage and s.lineage.decisions
        ],
        "confidence": subjects[0].evaluation.sampling.confidence,
    }
    context["n_unread"] = len(sounds.unread)
    context["sections"] = [(id, title) for id, title in _SECTIONS.items() if context[id]]
    return render("comparison.html", context)


def _scores(subjects: Sequence[Subject]) -> list[tuple[str, str, list[Row | None]]]:
    """Every figure with its row of each run."""
    tables = [share_rows(subject.evaluation) for subject in subjects]
    names = dict.fromkeys(name for table in tables for name in table)
    return [(name, TITLES.get(name, name), [table.get(name) for table in tables]) for name in names]


def _gap(subject: Subject) -> Row | None:
    gap = subject.evaluation.report.get("speech_gap")
    return row("speech_gap", "", gap) if gap else None


def _cards(against: Against, most: int, sounds: Sounds) -> dict[str, Any]:
    """Cards of changed items: those that became worse first, half of the room for the others."""
    worse = [change for change in against.changes if change.gain < 0][:most]
    better = [change for change in against.changes if change.gain > 0][: max(1, most // 2)]
    return {
        "name": against.name,
        "worse": [_card(change, sounds) for change in worse],
        "better": [_card(change, sounds) for change in better],
        "n_worse": against.n_worse,
        "n_better": against.n_better,
    }


def _card(change: Change, sounds: Sounds) -> tuple[Example, Example]:
    title = TITLES.get(change.base.cell, change.base.cell)
    return example(change.base, title, sounds), example(change.other, title, sounds)
