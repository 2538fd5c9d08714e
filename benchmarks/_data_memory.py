"""Whether memory grows with the manifest: all that is done to a row before audio is opened.

A corpus folder of N recordings with a supervision each is read as cleaning reads it: joined, held
against withdrawals and the rules for what is declared, cut into blocks of work, whose rows are
written and read again. The audio is not there; measuring is replaced by a made-up row.
"""

import gzip
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _data_cleaning import cleaning_params
from _figures import Figure, figure
from _fresh import fresh

from moss_speech.corpus.clean.blocks import Row, Work, over_utterances, rows_of
from moss_speech.corpus.clean.duplicates import PRINT_BITS, duplicates
from moss_speech.corpus.clean.spine import Spine
from moss_speech.corpus.items import Utterance, open_utterances
from moss_speech.corpus.manifests import open_corpus_cuts, write_manifest
from moss_speech.params.clean import Clean

N_SPEAKERS = 2000
GROWTH_GOAL_MB = 50.0
_TAGS = {"role": "recording", "voice_split": "train", "text_split": "train", "source": "bench"}


def _recording(place: int) -> dict[str, Any]:
    id_ = f"bench-{place:07d}"
    source = {"type": "file", "channels": [0], "source": f"data/corpus/audio/{id_}.flac"}
    row = {"id": id_, "sources": [source], "sampling_rate": 24_000, "num_samples": 72_000}
    return row | {"duration": 3.0, "channel_ids": [0]}


def _words(place: int) -> dict[str, Any]:
    id_, text = f"bench-{place:07d}", f"utterance number {place} says what nobody else says"
    row = {"id": id_, "recording_id": id_, "start": 0.0, "duration": 3.0, "channel": 0}
    speaker = f"speaker {place % N_SPEAKERS}"
    return row | {"text": text, "speaker": speaker, "language": "en", "custom": _TAGS}


def make_manifest(folder: Path, n: int) -> None:
    """A corpus folder of so many utterances without their audio, each of words of its own."""
    folder.mkdir(parents=True)
    for name, row in (("recordings", _recording), ("supervisions", _words)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", compresslevel=1) as lines:
            lines.writelines(json.dumps(row(place)) + "\n" for place in range(n))


def _made_up(utterances: tuple[Utterance, ...], root: Path, p: Clean) -> list[Row]:
    return [{"measured": u.id} for u in utterances]


def _peak_mb() -> float:
    """Of this process alone: `getrusage` also remembers the process that started it."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def read(root: Path, n: int) -> tuple[float, float]:
    """Peak memory in MB of a process that reads N rows, and the seconds that it takes."""
    p = cleaning_params(1, 0)
    began_s, spine = time.perf_counter(), Spine(root / "data" / "corpus", p)
    fit = (u for _, u, reject in spine.declared() if reject is None)
    files = over_utterances(Work("made-up", _made_up, 200), fit, n, root, p, root / "blocks")
    n_rows = sum(1 for _ in rows_of(files))
    assert n_rows == n, f"{n_rows} rows of {n}"
    return _peak_mb(), time.perf_counter() - began_s


def hold(root: Path, n: int) -> float:
    """MB that N utterances of a clean folder take, as the stages after cleaning hold them."""
    clean = root / "data" / "clean"
    write_manifest(clean / "cuts.jsonl.gz", open_corpus_cuts(root / "data" / "corpus"))
    before_mb, held = _peak_mb(), open_utterances(clean)
    assert len(held) == n, f"{len(held)} utterances of {n}"
    return _peak_mb() - before_mb


def compare(n: int) -> float:
    """MB that the search for duplicates takes among N fingerprints, these included."""
    before_mb, draw = _peak_mb(), np.random.default_rng(0)
    prints_NY = draw.integers(0, 256, (n, PRINT_BITS // 8), dtype=np.uint8)
    duplicates(prints_NY, cleaning_params(1, 0).duplicate_distance, np.zeros(n, np.int64))
    return _peak_mb() - before_mb


def measure(sizes: tuple[int, int]) -> list[Figure]:
    """Figures of a manifest of few and of many rows."""
    few, many = sizes
    with TemporaryDirectory() as folder:
        roots = {n: Path(folder) / str(n) for n in sizes}
        for n, root in roots.items():
            make_manifest(root / "data" / "corpus", n)
        (few_mb, few_s), (many_mb, many_s) = (fresh(read, root, n) for n, root in roots.items())
        held_mb = fresh(hold, roots[few], few)
    return [
        figure("manifest read and planned", [few / few_s, many / many_s], "rows/s"),
        figure(f"its peak memory, {few:,} rows", [few_mb], "MB"),
        figure(f"its peak memory, {many:,} rows", [many_mb], "MB"),
        figure("growth of that memory", [many_mb - few_mb], "MB", GROWTH_GOAL_MB),
        figure(f"search for duplicates among {many:,} fingerprints", [fresh(compare, many)], "MB"),
        figure(f"{few:,} utterances, held after cleaning", [held_mb], "MB"),
    ]
