"""What a benchmark reports: figures with goals, printed as a table and kept as JSON."""

import os
from dataclasses import asdict, dataclass
from statistics import median

from moss_speech.settings import settings
from moss_speech.storage import write_json


@dataclass(frozen=True)
class Figure:
    """One measured value with its upper goal; `goal` is None where there is none."""

    name: str
    value: float
    unit: str
    goal: float | None
    met: bool
    min: float
    median: float
    max: float


def figure(name: str, values: list[float], unit: str, goal: float | None = None) -> Figure:
    """The median of some values against an upper goal."""
    middle = round(median(values), 3)
    met = goal is None or middle <= goal
    low, high = round(min(values), 3), round(max(values), 3)
    return Figure(name, middle, unit, goal, met, low, middle, high)


def report(benchmark: str, figures: list[Figure]) -> None:
    """Print the table and write benchmarks/NAME.json of the project root."""
    print(f"{benchmark:42}{'min':>9}{'median':>9}{'max':>9}  goal   ({os.cpu_count()} cores)")
    for f in figures:
        goal = "" if f.goal is None else f"≤ {f.goal:g} {'met' if f.met else 'MISSED'}"
        name = f"{f.name} ({f.unit})" if f.unit else f.name
        print(f"{name:42}{f.min:9.3f}{f.median:9.3f}{f.max:9.3f}  {goal}")
    write_json(settings().root / "benchmarks" / f"{benchmark}.json", [asdict(f) for f in figures])
