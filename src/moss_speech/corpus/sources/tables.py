"""Text files of sources, line by line in little memory; whatever is wrong is named by its line."""

import csv
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

LONGEST_LINE_BYTES = 4_000_000
"""A longer line is no row of a table; it must not fill the memory."""
LONGEST_FILE_BYTES = 4 * 10_000
"""Of a transcript in a file of its own."""


@dataclass(frozen=True)
class Row:
    """A row of a table; `where` names file and line."""

    where: str
    file: Path
    values: dict[str, Any]

    def text(self, name: str) -> str | None:
        """A value that may be missing; `ValueError` if it is no text."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise ValueError(f"{self.where}: {name} is {value!r:.80}, must be text")

    def need(self, name: str) -> str:
        """A value that must be there; `ValueError` if it is not, or empty."""
        value = self.text(name)
        if not value or not value.strip():
            raise ValueError(f"{self.where}: {name} is {value!r}, must not be empty")
        return value.strip()


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where and what each line of a UTF-8 file is, without its end; `.gz` is unpacked."""
    if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
        raise ValueError(f"{path} is no regular file, must be one")
    number = 0
    try:
        with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
            while raw := stream.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                yield f"{path} line {number}", _decoded(raw, f"{path} line {number}")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} line {number + 1} cannot be read: {error}") from error


def _decoded(raw: bytes, where: str) -> str:
    if len(raw) > LONGEST_LINE_BYTES:
        raise ValueError(f"{where} is above {LONGEST_LINE_BYTES} bytes, must be at most that")
    try:
        line = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8: byte {raw[error.start]:#04x} at {error.start}; convert the file"
        ) from None
    return line.rstrip("\r\n")


def read_objects(path: Path) -> Iterator[Row]:
    """JSON objects, one a line; empty lines are passed over."""
    for where, line in read_lines(path):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{where} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{where} is a {type(values).__name__}, must be a JSON object")
        yield Row(where, path, values)


def read_table(
    path: Path, wanted: Iterable[str], delimiter: str = ",", quote: str | None = '"'
) -> Iterator[Row]:
    """Rows below a header that has at least the columns `wanted`."""
    lines = (f"{line}\n" for _, line in read_lines(path))
    table = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)
    names: list[str] | None = None
    try:
        for values in table:
            if names is None:
                names = _header(path, values, wanted)
            elif len(values) not in (0, len(names)):
                raise ValueError(
                    f"{path} line {table.line_num} has {len(values)} fields, must have {len(names)}"
                )
            elif values:
                row = dict(zip(names, values, strict=True))
                yield Row(f"{path} line {table.line_num}", path, row)
    except csv.Error as error:
        raise ValueError(f"{path} line {table.line_num}: {error}") from error
    if names is None:
        raise ValueError(f"{path} is empty, must begin with the columns {', '.join(wanted)}")


def _header(path: Path, names: list[str], wanted: Iterable[str]) -> list[str]:
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(
            f"{path} has the columns {', '.join(names)}; must have {', '.join(wanted)} "
            f"({', '.join(missing)} is missing)"
        )
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise ValueError(f"{path} has the column {twice!r} {names.count(twice)} times, must once")
    return names


def read_text(path: Path) -> str:
    """A small UTF-8 file; `ValueError` names it, and what is wrong with it."""
    if (size := path.stat().st_size) > LONGEST_FILE_BYTES:
        raise ValueError(f"{path} has {size} bytes, must have at most {LONGEST_FILE_BYTES}")
    return " ".join(line for _, line in read_lines(path))


def inside(folder: Path, name: str, where: str) -> Path:
    """The file that a table names; `ValueError` if it does not lie in the folder.

    Absolute paths and `..` are refused whatever they lead to, links that lead out of it too.
    """
    parts = Path(name).parts
    is_plain = parts and "\0" not in name and not Path(name).is_absolute() and ".." not in parts
    if not is_plain or leads_out(folder / name, folder):
        raise ValueError(f"{where} names {name!r:.200}, must be a path inside {folder}")
    return folder / name


def leads_out(path: Path, folder: Path) -> bool:
    """Whether links take a path out of a folder that it names a place in."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
