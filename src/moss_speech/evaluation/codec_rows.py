"""The table of codec and decoder: figures of report.json as lines that people read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moss_speech.evaluation.codec_scores import GROUPS, MEASURES
from moss_speech.evaluation.passages import KINDS


@dataclass(frozen=True)
class Cell:
    """One figure with its interval, as text."""

    value: str
    interval: str


@dataclass(frozen=True)
class CodecRow:
    """One kind of sound of one group in one voice; a heading opens each group."""

    heading: str
    title: str
    cells: tuple[Cell | None, ...]
    """Word error, then `MEASURES`; None where a measure does not apply."""
    n: int


def codec_rows(codec: Mapping[str, Any]) -> list[CodecRow]:
    """Lines of the table, group by group, voice by voice."""
    return list(_rows(codec["heard"]))


def table_lines(codec: Mapping[str, Any], speed: Mapping[str, float]) -> list[str]:
    """The table for a terminal, with rates and the seconds of work for a second of sound."""
    rates = codec["rates"]
    lines = [" " * 24 + "".join(name.rjust(18) for name in ("word error", *MEASURES))]
    for row in codec_rows(codec):
        lines += [row.heading] if row.heading else []
        cells = (f"{c.value} ({c.interval})" if c else "" for c in row.cells)
        lines.append(row.title.ljust(24) + "".join(cell.rjust(18) for cell in cells))
    lines.append(f"{rates['bits_per_s']} bit/s, {rates['bits_per_s_used']} by the codes' use")
    factors = ", ".join(f"{work} {factor:.3f}" for work, factor in speed.items())
    return [*lines, f"seconds of work a second: {factors}"] if speed else lines


def _rows(heard: Mapping[str, Any]) -> Iterator[CodecRow]:
    for group, title in GROUPS.items():
        for voice, kinds in heard.get(group, {}).items():
            for kind, label in KINDS.items():
                found = kinds[kind]
                cells = tuple(_cell(found.get(name)) for name in ("word_error", *MEASURES))
                heading = f"{title}; spoken by {voice}" if kind == "truth" else ""
                yield CodecRow(heading, label, cells, found["word_error"]["n"])


def _cell(figure: Mapping[str, Any] | None) -> Cell | None:
    if figure is None:
        return None
    low, high = figure["ci95"]
    return Cell(f"{figure['value']:.2f}", f"{low:.2f}\N{EN DASH}{high:.2f}")
