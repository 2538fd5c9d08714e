"""Lhotse manifests in and out, line by line, so that equal content gives equal bytes.

Lhotse's own writer puts the time of writing into the gzip header.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lhotse import MonoCut, Recording, SupervisionSegment

from moss_speech.corpus.index import DiskIndex
from moss_speech.storage import writing

_LEVEL, _GZIP = 9, 31
"""Of zlib: the smallest file, with the header and check sum of gzip (and no time in it)."""


@contextmanager
def manifest_writer(path: Path) -> Iterator[Callable[[Any], None]]:
    """A function that adds a Lhotse object to gzipped JSON lines; the file is whole or absent."""
    pack = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    with writing(path) as stream:

        def write(item: Any) -> None:
            row = json.dumps(item.to_dict(), ensure_ascii=False, sort_keys=True)
            stream.write(pack.compress(f"{row}\n".encode()))

        yield write
        stream.write(pack.flush())


def write_manifest(path: Path, items: Iterable[Any]) -> None:
    """Write Lhotse objects as gzipped JSON lines that Lhotse reads."""
    with manifest_writer(path) as write:
        for item in items:
            write(item)


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from lines


def open_corpus_cuts(folder: Path) -> Iterator[MonoCut]:
    """One cut for each supervision of a corpus folder, where it lies in its recording.

    Needs little memory for any number of them.
    """
    recordings = DiskIndex()
    for line in _lines(folder / "recordings.jsonl.gz"):
        recordings.add(json.loads(line)["id"], line)
    for line in _lines(folder / "supervisions.jsonl.gz"):
        words = SupervisionSegment.from_dict(json.loads(line))
        found = recordings.get(words.recording_id)
        if found is None:
            raise ValueError(
                f"{folder}: supervision {words.id!r} is of recording {words.recording_id!r}, "
                "which recordings.jsonl.gz does not hold"
            )
        recording = Recording.from_dict(json.loads(found))
        start_s, words = words.start, words.with_offset(-words.start)
        yield MonoCut(
            words.id, start_s, words.duration, words.channel, [words], recording=recording
        )
