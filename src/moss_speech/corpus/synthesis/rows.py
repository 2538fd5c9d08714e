"""Rows of a file of texts or instructions; one that cannot be used is dropped with its reason."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_ROW_BYTES = 1_000_000
MAX_FILE_BYTES = 2**30
"""Of a .json or .txt file, which is read whole; .jsonl is read row by row."""
ENDINGS = (".txt", ".jsonl", ".json")


@dataclass(frozen=True)
class Dropped:
    """A row, sentence or dialogue that is left out; the rest goes on."""

    item: str
    """File and row, or the id."""
    reason: str
    value: str
    allowed: str


@dataclass(frozen=True)
class Row:
    """One row of a file: text, or a JSON value; `number` counts lines, paragraphs or entries."""

    where: str
    number: int
    value: Any


def read_rows(path: Path, root: Path) -> Iterator[Row | Dropped]:
    """All rows in order; `ValueError` for a file that is missing, too large or of another sort."""
    try:
        is_inside = path.resolve().is_relative_to(root.resolve())
    except RuntimeError:
        raise ValueError(f"{path} is a loop of links, must lead to a file") from None
    if not is_inside:
        raise ValueError(f"{path} is outside the project root {root}, must be below it")
    if path.suffix not in ENDINGS or not path.is_file():
        what = "no file of texts" if path.exists() else "missing"
        raise ValueError(f"{path} is {what}, must be a file that ends in {', '.join(ENDINGS)}")
    if path.suffix == ".jsonl":
        yield from _jsonl(path)
        return
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise ValueError(f"{path} has {size} bytes, must be at most {MAX_FILE_BYTES}: use .jsonl")
    yield from _json(path) if path.suffix == ".json" else _paragraphs(path)


def _jsonl(path: Path) -> Iterator[Row | Dropped]:
    number = 0
    with path.open("rb") as stream:
        while line := stream.readline(MAX_ROW_BYTES + 1):
            number += 1
            where = f"{path.name} line {number}"
            if len(line) > MAX_ROW_BYTES:
                yield _too_long(where)
                while line and not line.endswith(b"\n"):
                    line = stream.readline(MAX_ROW_BYTES)
            elif line.strip():
                yield _parsed(line, where, number)


def _parsed(line: bytes, where: str, number: int) -> Row | Dropped:
    text = _decoded(line, where)
    if isinstance(text, Dropped):
        return text
    try:
        return Row(where, number, json.loads(text))
    except (json.JSONDecodeError, RecursionError) as error:
        return Dropped(where, "json", str(error), "a JSON value")


def _json(path: Path) -> Iterator[Row | Dropped]:
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(values, list):
        raise ValueError(f"{path} holds a {type(values).__name__}, must hold a list of rows")
    for number, value in enumerate(values, 1):
        yield Row(f"{path.name} entry {number}", number, value)


def _paragraphs(path: Path) -> Iterator[Row | Dropped]:
    blocks = path.read_bytes().replace(b"\r\n", b"\n").split(b"\n\n")
    for number, block in enumerate((b for b in blocks if b.strip()), 1):
        where = f"{path.name} paragraph {number}"
        text = _too_long(where) if len(block) > MAX_ROW_BYTES else _decoded(block, where)
        yield text if isinstance(text, Dropped) else Row(where, number, " ".join(text.split()))


def _decoded(content: bytes, where: str) -> str | Dropped:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Dropped(where, "encoding", f"byte {content[error.start]:#04x}", "UTF-8")


def _too_long(where: str) -> Dropped:
    return Dropped(where, "row size", f"> {MAX_ROW_BYTES} bytes", f"<= {MAX_ROW_BYTES} bytes")
