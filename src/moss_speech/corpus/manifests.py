"""Lhotse manifests in and out, so that equal content gives equal bytes.

Lhotse's own writer puts the time of writing into the gzip header.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lhotse import MonoCut, RecordingSet, SupervisionSet

from moss_speech.storage import write_bytes


def write_manifest(path: Path, items: Iterable[Any]) -> None:
    """Write Lhotse objects as gzipped JSON lines that Lhotse reads."""
    rows = (json.dumps(item.to_dict(), ensure_ascii=False, sort_keys=True) for item in items)
    content = "".join(f"{row}\n" for row in rows).encode()
    write_bytes(path, gzip.compress(content, mtime=0))


def open_corpus_cuts(folder: Path) -> list[MonoCut]:
    """One cut for each recording of a corpus folder, over its whole length, with its words."""
    recordings = RecordingSet.from_jsonl(folder / "recordings.jsonl.gz")
    supervisions = SupervisionSet.from_jsonl(folder / "supervisions.jsonl.gz")
    words = {s.recording_id: s for s in supervisions}
    return [
        MonoCut(r.id, 0.0, r.duration, channel=0, supervisions=[words[r.id]], recording=r)
        for r in recordings
    ]
