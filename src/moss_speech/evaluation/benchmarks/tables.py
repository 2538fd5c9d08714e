"""Rows of a suite's table, and templates that make an item's fields of them.

Every complaint names file and line, so that a table of thousands can be mended.
"""

import ast
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from moss_speech.params.suite import Table

MAX_TABLE_BYTES = 256_000_000
MAX_CELL_CHARS = 20_000
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".lst": "|"}
_COLUMN = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    place: str
    """File and line, for complaints."""
    values: dict[str, Any]

    def fill(self, template: str) -> Any:
        """A template with this row's columns; one column alone keeps its type.

        Raises `ValueError` for a column that there is not, or that is empty.
        """
        if whole := _COLUMN.fullmatch(template):
            return self._column(whole[1])
        return _COLUMN.sub(lambda found: str(self._column(found[1])), template)

    def text(self, template: str) -> str:
        """The filled template as text without spaces around it, which may not be empty."""
        value = self.fill(template)
        if isinstance(value, list | dict | bool):
            raise ValueError(f"{self.place}: {template} is {value!r}, must be text or a number")
        if not (text := str(value).strip()):
            raise ValueError(f"{self.place}: {template} is empty")
        return text

    def listed(self, template: str) -> list[Any]:
        """The filled template as a list, also where a cell holds one as text."""
        value = self.fill(template)
        if isinstance(value, str):
            value = _list_in_text(value)
        if not isinstance(value, list):
            raise ValueError(f"{self.place}: {template} is {value!r}, must be a list")
        return value

    def _column(self, name: str) -> Any:
        """A column, or a part of one that holds objects: `answer.aliases`."""
        value: Any = self.values
        for part in [name] if name in self.values else name.split("."):
            if not isinstance(value, dict) or part not in value:
                there = ", ".join(map(str, self.values))
                raise ValueError(f"{self.place} has no column {name!r}; it has {there}")
            value = value[part]
        if value is None or value == "":
            raise ValueError(f"{self.place}: column {name!r} is empty")
        if isinstance(value, str) and len(value) > MAX_CELL_CHARS:
            raise ValueError(
                f"{self.place}: column {name!r} has {len(value)} characters, "
                f"must have at most {MAX_CELL_CHARS}"
            )
        return value


def _list_in_text(value: str) -> Any:
    """JSON, or a Python literal as some published CSV files hold; the text itself if neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def inside(folder: Path, name: str, place: str) -> Path:
    """A path below a folder; `ValueError` for one that leads out of it."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"{place}: {name!r} leads out of the suite, must be a path below it")
    return folder / path


def read_rows(folder: Path, table: Table) -> list[Row]:
    """All rows of a suite's table; `ValueError` names file, line and what is wrong."""
    inside(folder, table.file, f"{folder.name}: table.file")
    paths = sorted(path for path in folder.glob(table.file) if path.is_file())
    if not paths:
        raise ValueError(f"{folder / table.file} does not exist")
    rows = [row for path in paths for row in _rows(path, path.relative_to(folder), table)]
    if not rows:
        raise ValueError(f"{folder / table.file} holds 0 items, must hold at least 1")
    return rows


def _rows(path: Path, name: Path, table: Table) -> Iterator[Row]:
    if (size := path.stat().st_size) > MAX_TABLE_BYTES:
        raise ValueError(f"{name} has {size} bytes, must have at most {MAX_TABLE_BYTES}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8: {error}") from error
    match path.suffix:
        case ".jsonl":
            found = enumerate(text.split("\n"), 1)
            yield from (_row(f"{name} line {n}", _json(x, name, n)) for n, x in found if x.strip())
        case ".json":
            values = _json(text, name, 1)
            if not isinstance(values, list):
                raise ValueError(f"{name} holds a {type(values).__name__}, must hold a list")
            yield from (_row(f"{name} item {n}", value) for n, value in enumerate(values, 1))
        case ending if ending in _SEPARATORS:
            yield from _lines(text, name, table, table.separator or _SEPARATORS[ending])
        case _:
            raise ValueError(f"{name} must end in .jsonl, .json, {', '.join(_SEPARATORS)}")


def _json(text: str, name: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} line {line} is not JSON: {error}") from error


def _row(place: str, values: Any) -> Row:
    if not isinstance(values, dict):
        raise ValueError(f"{place} holds a {type(values).__name__}, must hold an object")
    return Row(place, values)


def _lines(text: str, name: Path, table: Table, separator: str) -> Iterator[Row]:
    """Rows of columns; in .lst files quotes mean nothing."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_NONE if name.suffix == ".lst" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header = table.header
    try:
        for cells in reader:
            place = f"{name} line {reader.line_num}"
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(set(header)) < len(header):
                    raise ValueError(f"{place} names a column twice: {', '.join(header)}")
            elif len(cells) != len(header):
                raise ValueError(f"{place} has {len(cells)} columns, must have {len(header)}")
            else:
                yield Row(place, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise ValueError(f"{name} line {reader.line_num} cannot be read: {error}") from error
