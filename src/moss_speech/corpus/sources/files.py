"""Files of a folder in a fixed order, one folder at a time; of links to folders nothing is read."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from moss_speech.corpus.items import Split
from moss_speech.corpus.sources.intake import FORMATS
from moss_speech.corpus.sources.manifests import Quarantined

FOREIGN = ("wma", "amr", "webm", "mp4", "raw", "pcm", "sph", "caf", "au", "ac3", "dsf")
"""Endings of audio that is not read."""
_SPLIT = re.compile(r"(?:^|[^a-z])(train|dev|valid|validation|test)(?:[^a-z]|$)")


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder below a folder with the sorted names of its regular files, and no hidden ones.

    What is none (`_odd`) is left out. `ValueError` for a folder that cannot be read.
    """
    for place, names in _entries(folder):
        yield place, [name for name in names if _odd(place / name) is None]


def _entries(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with everything in it but folders; links to folders come first."""
    for path, folders, files in os.walk(folder, onerror=_refuse):
        place = Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (place / name).is_symlink()]
        yield place, links + sorted(name for name in files if not name.startswith("."))


def _odd(entry: Path) -> str | None:
    """What an entry is that is no regular file, nor a link to one; opening it might never end."""
    if entry.is_file():
        return None
    if entry.is_symlink():
        return "to a folder" if entry.is_dir() else "to nothing that can be read"
    return "a pipe, socket or device"


def _refuse(error: OSError) -> None:
    raise ValueError(f"folder {error.filename} cannot be read: {error.strerror}")


def audio_files(folder: Path) -> Iterator[Path | Quarantined]:
    """Every audio file below a folder; foreign formats and what is no file are quarantined."""
    for place, names in _entries(folder):
        for name in names:
            ending = name.rpartition(".")[2].lower()
            where = (place / name).relative_to(folder).as_posix()
            if odd := _odd(place / name):
                reason = "link" if odd.startswith("to ") else "file"
                yield Quarantined(where, reason, odd, "a regular file; a folder as its own source")
            elif ending in FORMATS:
                yield place / name
            elif ending in FOREIGN:
                yield Quarantined(where, "format", f".{ending}", ", ".join(FORMATS))


def split_named(name: str) -> Split | None:
    """The split that a name tells, such as train-clean-100 or dev.tsv; None: it tells none."""
    found = _SPLIT.search(name.lower())
    if found is None:
        return None
    return "dev" if found[1] in ("dev", "valid", "validation") else cast(Split, found[1])


def split_of_file(file: Path, base: Path) -> Split | None:
    """The split that a file's name tells, else the nearest folder below `base` that tells one."""
    parts = (file.name,) if file == base else file.relative_to(base).parts
    return next((split for part in reversed(parts) if (split := split_named(part))), None)
