"""Data sets of Hugging Face on disk: an audio folder with metadata, or Parquet or Arrow files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moss_speech.corpus.items import Split
from moss_speech.corpus.sources.files import split_of_file, walk
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.metadata import TEXT, read_metadata
from moss_speech.corpus.sources.tables import Row
from moss_speech.corpus.sources.tar_members import LARGEST_BYTES
from moss_speech.corpus.sources.tar_shards import LANGUAGE, SPEAKER
from moss_speech.params.sources import HuggingFace

AUDIO = ("audio", "file", "path", "file_name")
ROWS = 16
"""Held in memory at a time; a row may hold minutes of audio."""


def open_hugging_face(source: HuggingFace, intake: Intake) -> Opened:
    """The tables of a data set, else its audio folder; `ValueError` if it is neither."""
    path = intake.path
    every = [path] if path.is_file() else [p / name for p, names in walk(path) for name in names]
    tables = [p for p in every if p.suffix in (".parquet", ".arrow") and "cache-" not in p.name]
    if tables:
        return Opened(found for table in tables for found in _of_table(source, intake, table))
    folders = sorted({p.parent for p in every if p.stem == "metadata"})
    if not folders:
        raise ValueError(f"{path} holds no .parquet, .arrow, metadata.csv or metadata.jsonl file")
    rows = [(folder, read_metadata(folder)) for folder in folders]
    return Opened(found for f, r in rows for found in _of_folder(source, intake, f, r))


def _facts(
    source: HuggingFace, intake: Intake, name: str, own: Split | None, row: Row
) -> Facts | Quarantined:
    named = _value(row, SPEAKER, source.speaker_column)
    speaker = source.speaker if named is None else intake.speaker(named)
    if speaker is None:
        allowed = f"one of the columns {', '.join(SPEAKER)}, or `speaker`"
        return Quarantined(name, "speaker", "none", allowed)
    split = intake.split(speaker, own)
    language = intake.language(_value(row, LANGUAGE, None))
    return Facts(name, _value(row, TEXT, source.text_column), speaker, split, split, language)


def _value(row: Row, names: tuple[str, ...], wanted: str | None) -> str | None:
    """The first of the columns that is there, or the wanted one, which must be."""
    if wanted is not None and wanted not in row.values:
        raise ValueError(f"{row.where} has no column {wanted!r}; has {', '.join(row.values)}")
    names = names if wanted is None else (wanted,)
    value = next((row.values[n] for n in names if row.values.get(n) not in (None, "")), None)
    return None if value is None else str(value)


def _of_folder(
    source: HuggingFace, intake: Intake, folder: Path, rows: dict[str, Row]
) -> Iterator[Item | Quarantined]:
    for name, row in rows.items():
        file = folder / name
        own = file.relative_to(intake.path).with_suffix("").as_posix()
        facts = _facts(source, intake, own, split_of_file(file, intake.path), row)
        yield facts if isinstance(facts, Quarantined) else intake.file(facts, file)


def _of_table(source: HuggingFace, intake: Intake, table: Path) -> Iterator[Item | Quarantined]:
    split, number = split_of_file(table, intake.path), 0
    own = table.stem if table == intake.path else table.relative_to(intake.path).as_posix()
    for found in _rows(table, own):
        if isinstance(found, Quarantined):
            yield found
            continue
        number += 1
        row = Row(f"{table} row {number}", table, found)
        facts = _facts(source, intake, f"{own.rpartition('.')[0] or own}-{number:06d}", split, row)
        if isinstance(facts, Quarantined):
            yield facts
        else:
            yield _take(facts, _audio(row, source), intake, table)


def _audio(row: Row, source: HuggingFace) -> Any:
    names = AUDIO if source.audio_column is None else (source.audio_column,)
    name = next((n for n in names if n in row.values), None)
    if name is None:
        raise ValueError(
            f"{row.where} has {', '.join(row.values)}; audio must be in one of {', '.join(names)}"
        )
    return row.values[name]


def _take(facts: Facts, audio: Any, intake: Intake, table: Path) -> Item | Quarantined:
    """Audio as bytes is copied; as a path, inside the data set or absolute, it stays there."""
    parts = audio if isinstance(audio, dict) else {"path": audio}
    content, path = parts.get("bytes"), parts.get("path")
    if isinstance(content, bytes):
        if len(content) > LARGEST_BYTES:
            allowed = f"at most {LARGEST_BYTES} bytes"
            return Quarantined(facts.name, "size", f"{len(content)} bytes", allowed)
        return intake.content(facts, content, str(path or "").rpartition(".")[2].lower())
    if not isinstance(path, str) or not path or ".." in Path(path).parts:
        value = f"{type(audio).__name__} {path!r:.80}"
        return Quarantined(facts.name, "audio", value, "bytes, or a path inside the data set")
    places = [parent / path for parent in (table.parent, intake.path)]
    return intake.file(facts, next((p for p in places if p.is_file()), places[0]))


def _rows(table: Path, own: str) -> Iterator[dict[str, Any] | Quarantined]:
    """Rows of a Parquet or Arrow file, a few at a time; damage ends the file."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(f"{table} needs the package pyarrow: install it") from None
    try:
        if table.suffix == ".parquet":
            batches = pyarrow.parquet.ParquetFile(table).iter_batches(batch_size=ROWS)
        else:
            batches = _arrow_batches(arrow, table)
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                yield from batch.slice(start, ROWS).to_pylist()
    except (arrow.ArrowException, OSError) as error:
        yield Quarantined(own, "damaged", str(error)[:200], "a whole Parquet or Arrow file")


def _arrow_batches(arrow: Any, table: Path) -> Iterator[Any]:
    """`datasets` writes streams; other programs write files."""
    with arrow.memory_map(str(table)) as content:
        is_file = content.read(6) == b"ARROW1"
        content.seek(0)
        if is_file:
            reader = arrow.ipc.open_file(content)
            yield from (reader.get_batch(n) for n in range(reader.num_record_batches))
        else:
            yield from arrow.ipc.open_stream(content)
