"""What a window says of each figure: part of the reference, compared with it, or too little."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from moss_speech.monitoring.canary import Asked
from moss_speech.monitoring.drift import Limits, Shift, shift_of_categories, shift_of_numbers
from moss_speech.monitoring.measures import FIGURES, Value
from moss_speech.params.monitor import Monitor

Role = Literal["reference", "compared", "few", "canary"]
RIGHT, FIRST_S = "canary_right", "canary_first_s"


@dataclass(frozen=True)
class Finding:
    """One figure of one window; the fields are those of the catalogue's table."""

    figure: str
    version: str
    """Of the model that answered; empty for figures of questions."""
    role: Role
    n: int
    value: float | None
    """Median, or the share of the category that is most frequent in the reference."""
    values: Sequence[Value] = ()
    """Sorted values, of a reference alone."""
    begins_reference: bool = False
    reference: float | None = None
    """The same as `value` of the reference; of canaries the floor."""
    distance: float | None = None
    p: float | None = None
    drifted: bool = False

    def __str__(self) -> str:
        of = f" of version {self.version}" if self.version else ""
        if self.role == "canary":
            return f"{self.figure}{of} is {self.value:.3f}, must be at least {self.reference:.3f}"
        return (
            f"{self.figure}{of} went from {self.reference:.3f} to {self.value:.3f} "
            f"(n {self.n}, distance {self.distance:.2f}, p {self.p:.1g})"
        )


def find(
    key: tuple[str, str], now: Sequence[Value], then: Sequence[Value], p: Monitor, anew: bool
) -> Finding:
    """Compare the values of a figure, of a version, with its reference as far as there is one.

    `anew` begins the reference with these.
    """
    figure, version = key
    n, value = len(now), _middle(now, then)
    if anew or len(then) < p.reference_turns:
        ordered: list[Value] = [*sorted(_numbers(now)), *sorted(_names(now))]
        return Finding(figure, version, "reference", n, value, ordered, anew)
    if n < p.min_turns:
        return Finding(figure, version, "few", n, value)
    shift = _shift(then, now)
    return Finding(
        figure,
        version,
        "compared",
        n,
        value,
        reference=_middle(then, then),
        distance=shift.distance,
        p=shift.p,
        drifted=shift.drifted(Limits(p.false_alarms / len(FIGURES), p.min_shift)),
    )


def find_canaries(asked: Sequence[Asked], p: Monitor) -> list[Finding]:
    """The share of canary questions that were answered rightly, and the median wait for sound."""
    version = next((a.version for a in asked if a.version), "")
    right = sum(a.right for a in asked) / len(asked)
    waits = [a.first_s for a in asked if a.first_s is not None]
    wait = median(waits) if waits else None
    return [
        Finding(
            RIGHT,
            version,
            "canary",
            len(asked),
            right,
            reference=p.canary_floor,
            drifted=right < p.canary_floor,
        ),
        Finding(FIRST_S, version, "canary", len(waits), wait),
    ]


def _numbers(values: Sequence[Value]) -> list[float]:
    return [value for value in values if not isinstance(value, str)]


def _names(values: Sequence[Value]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _shift(then: Sequence[Value], now: Sequence[Value]) -> Shift:
    if names := _names(now):
        return shift_of_categories(_names(then), names)
    return shift_of_numbers(_numbers(then), _numbers(now))


def _middle(values: Sequence[Value], then: Sequence[Value]) -> float | None:
    if numbers := _numbers(values):
        return median(numbers)
    if not (names := _names(values)):
        return None
    ((usual, _),) = Counter(_names(then) or names).most_common(1)
    return names.count(usual) / len(names)
