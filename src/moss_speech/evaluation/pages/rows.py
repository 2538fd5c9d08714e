"""Figures as pages draw them: a share with its interval, goal and chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moss_speech.evaluation.pages.saved import Evaluation
from moss_speech.evaluation.suites import QUESTION_CELLS

MAIN_CELLS = ("t2t", "s2t", "t2s", "s2s_voice", "s2s_wording", "s2s")
_QUESTION_TITLES = {cell.name: cell.title for cell in QUESTION_CELLS}
TITLES = (
    {name: _QUESTION_TITLES[name] for name in MAIN_CELLS}
    | _QUESTION_TITLES
    | {
        "resynthesis": "true answers through codes and decoder",
        "ceiling": "true answers as they are: the judges’ ceiling",
    }
)
"""Every figure that is a share of right answers, in the order of the page."""
_BESIDE = {"whisper": "Whisper", "sphinx": "Sphinx", "codes": "codes", "chance": "chance"}


@dataclass(frozen=True)
class Row:
    """A figure as the page draws it."""

    name: str
    title: str
    value: float
    low: float
    high: float
    n: int
    goal: float | None = None
    chance: float | None = None
    beside: tuple[tuple[str, float], ...] = ()

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is not None and self.value >= self.goal


def row(name: str, title: str, figure: Mapping[str, Any], goal: float | None = None) -> Row:
    """A figure of report.json as a row of the page."""
    low, high = figure["ci95"]
    beside = tuple((label, figure[key]) for key, label in _BESIDE.items() if key in figure)
    value, n, chance = figure["value"], figure["n"], figure.get("chance")
    return Row(name, title, value, low, high, n, goal, chance, beside)


def share_rows(evaluation: Evaluation) -> dict[str, Row]:
    """Every share of an evaluation; those that this project knows first, in their order."""
    goals = evaluation.report["method"]["goals"] if evaluation.is_own else {}
    found = evaluation.shares
    known = [name for name in TITLES if name in found]
    names = known + [name for name in found if name not in TITLES]
    return {n: row(n, TITLES.get(n, n), found[n], goals.get(n)) for n in names}
