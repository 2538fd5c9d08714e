"""Audio files of a folder, in a fixed order, one folder at a time; links to folders stay shut."""

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
    """Each folder below a folder with the sorted names of its files; hidden ones are left out.

    A link to a folder is named with a `/` at its end. `ValueError` for one that cannot be read.
    """
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [f"{name}/" for name in folders if (Path(place) / name).is_symlink()]
        yield Path(place), links + sorted(name for name in files if not name.startswith("."))


def _refuse(error: OSError) -> None:
    raise ValueError(f"folder {error.filename} cannot be read: {error.strerror}")


def audio_files(folder: Path) -> Iterator[Path | Quarantined]:
    """Every audio file below a folder; foreign formats and links to folders are quarantined."""
    for place, names in walk(folder):
        for name in names:
            ending = name.rpartition(".")[2].lower()
            if name.endswith("/"):
                where = (place / name).relative_to(folder).as_posix()
                yield Quarantined(
                    where, "link", "to a folder", "the folder, as a source of its own"
                )
            elif ending in FORMATS:
                yield place / name
            elif ending in FOREIGN:
                where = (place / name).relative_to(folder).as_posix()
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
