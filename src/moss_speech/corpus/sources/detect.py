"""What kind of source lies at a path: found by looking at names, and at first lines."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from moss_speech.corpus.sources.files import walk
from moss_speech.corpus.sources.metadata import NAMES
from moss_speech.corpus.sources.tables import read_lines, read_objects

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LOOKED_AT = 2000
"""Folders that are looked into."""


def find_kind(path: Path) -> str:
    """The kind of a source; a folder of unknown layout is `folder`.

    Raises `ValueError` naming the path if nothing is there or a file is of no known kind.
    """
    if path.is_file():
        return _kind_of_file(path)
    if not path.is_dir():
        raise ValueError(f"{path} does not exist, must be a folder or a file of a data set")
    names = [name for _, files in islice(walk(path), _LOOKED_AT) for name in files]
    top = {entry.name for entry in path.iterdir() if entry.is_file()}
    for kind, is_it in (
        ("shar", _any(names, "cuts.", ".jsonl.gz") and _any(names, "recording.", ".tar")),
        ("lhotse", _is_lhotse(top)),
        ("common_voice", bool({"validated.tsv", "train.tsv"} & top)),
        ("aishell1", _any(names, "aishell_transcript", ".txt")),
        ("librispeech", _any(names, "", ".trans.txt")),
        ("huggingface", _is_hugging_face(path, names)),
        ("tar", any(_any(names, "", ending) for ending in TARS)),
    ):
        if is_it:
            return kind
    return "folder"


def _any(names: Iterable[str], start: str, end: str) -> bool:
    return any(name.startswith(start) and name.endswith(end) for name in names)


def _is_lhotse(names: set[str]) -> bool:
    def has(what: str) -> bool:
        return any(what in n and n.endswith((".jsonl", ".jsonl.gz")) for n in names)

    return has("cuts") or (has("recordings") and has("supervisions"))


def _is_hugging_face(path: Path, names: list[str]) -> bool:
    if any(name.endswith((".parquet", ".arrow")) for name in names):
        return True
    tables = (table for name in NAMES for table in path.rglob(name) if table.is_file())
    return any("file_name" in next(read_lines(table), ("", ""))[1] for table in tables)


def _kind_of_file(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(TARS):
        return "tar"
    if name.endswith((".parquet", ".arrow")):
        return "huggingface"
    if name.endswith((".jsonl", ".jsonl.gz")):
        first = next(read_objects(path), None)
        return "dialogues" if first is None or "turns" in first.values else "lhotse"
    raise ValueError(
        f"{path} is of no known kind, must be a folder, a tar file, .jsonl, .parquet or .arrow"
    )
