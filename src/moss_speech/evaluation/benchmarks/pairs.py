"""Rows of a table that belong together two by two, as minimal pairs are published."""

from collections.abc import Iterable
from typing import Any

from moss_speech.evaluation.benchmarks.tables import Row
from moss_speech.params.suite import Pairing

_SIDES = {"1": "right", "0": "wrong"}


def paired(rows: Iterable[Row], how: Pairing) -> list[Row]:
    """One row a pair, in the order of their first rows.

    Raises `ValueError` naming the line for a pair that is not one right and one wrong row.
    """
    groups: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        key = tuple(row.text(f"{{{column}}}") for column in how.by)
        mark = row.text(f"{{{how.correct}}}")
        if mark not in _SIDES:
            raise ValueError(f"{row.place}: {how.correct} is {mark!r}, must be 0 or 1")
        sides = groups.setdefault(key, {})
        if (side := _SIDES[mark]) in sides:
            raise ValueError(
                f"{row.place}: {', '.join(key)} has a second {side} row, must have one of each"
            )
        sides[side] = row
    return [_joined(key, sides, how) for key, sides in groups.items()]


def _joined(key: tuple[str, ...], sides: dict[str, Row], how: Pairing) -> Row:
    place = next(iter(sides.values())).place
    if len(sides) < len(_SIDES):
        raise ValueError(f"{place}: {', '.join(key)} has one row, must have a right and a wrong")
    values: dict[str, Any] = dict(zip(how.by, key, strict=True))
    for side, row in sides.items():
        values |= {f"{side}.{name}": value for name, value in row.values.items()}
    return Row(place, values)
