"""metadata.csv or metadata.jsonl beside recordings: their words and, perhaps, who speaks."""

from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.sources.tables import Row, inside, read_objects, read_table

NAMES = ("metadata.csv", "metadata.jsonl")
FILE, TEXT = ("file", "file_name"), ("text", "transcription", "sentence", "transcript")
"""Columns by what they hold, the first that is there."""


def first_of(names: tuple[str, ...], row: Row) -> str:
    """Which of the names a row has; `ValueError` if none."""
    found = next((name for name in names if name in row.values), None)
    if found is None:
        raise ValueError(
            f"{row.where} has {', '.join(row.values) or 'nothing'}; must have {' or '.join(names)}"
        )
    return found


def _rows(folder: Path) -> Iterator[Row]:
    csv, jsonl = (folder / name for name in NAMES)
    if csv.is_file():
        yield from read_table(csv, ())
    if jsonl.is_file():
        yield from read_objects(jsonl)


def read_metadata(folder: Path) -> dict[str, Row]:
    """Rows by file, a path inside the folder; none without such a table.

    Raises `ValueError` naming file and line for a row without file or text, of a file that is not
    there or came before.
    """
    rows: dict[str, Row] = {}
    for row in _rows(folder):
        name = row.need(first_of(FILE, row))
        words_of(row)
        if not inside(folder, name, row.where).is_file():
            raise ValueError(f"{row.where} names {name!r}, which is not in the folder")
        name = Path(name).as_posix()
        if name in rows:
            raise ValueError(f"{row.where} names {name!r} again, must name a file once")
        rows[name] = row
    return rows


def words_of(row: Row) -> str | None:
    """The words that a row gives; `ValueError` if it has none, or they are no text."""
    return row.text(first_of(TEXT, row))
