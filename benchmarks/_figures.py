"""What a benchmark reports: figures with goals, printed as a table and kept as JSON."""

import os
from dataclasses import asdict, dataclass
from statistics import median

from moss_speech.settings import settings
from moss_speech.storage import write_json


@dataclass(frozen=True)
class Figure:
    """One measured value with its goal; `goal` is None where there is none."""

    name: str
    value: float
    unit: str
    goal: float | None
    met: bool
    min: float
    median: float
    max: float


def figure(
    name: str,
    values: list[float],
    unit: str,
    goal: float | None = None,
    at_least: float | None = None,
) -> Figure:
    """The median of some values against an upper goal, or a lower one."""
    middle = round(median(values), 3)
    met = (goal is None or middle <= goal) and (at_least is None or middle >= at_least)
    low, high = round(min(values), 3), round(max(values), 3)
    limit = goal if at_least is None else at_least
    return Figure(name, middle, unit, limit, met, low, middle, high)


def report(benchmark: str, figures: list[Figure], keep: bool = True) -> None:
    """Print the table and, to keep it, write benchmarks/NAME.json of the project root."""
    print(f"{benchmark:58}{'min':>10}{'median':>10}{'max':>10}  goal   ({os.cpu_count()} cores)")
    for f in figures:
        goal = "" if f.goal is None else f"{f.goal:g} {'met' if f.met else 'MISSED'}"
        name = f"{f.name} ({f.unit})" if f.unit else f.name
        print(f"{name:58}{f.min:10.3f}{f.median:10.3f}{f.max:10.3f}  {goal}")
    if keep:
        values = [asdict(f) for f in figures]
        write_json(settings().root / "benchmarks" / f"{benchmark}.json", values)
