"""A corpus folder's manifests: Lhotse recordings and supervisions, dialogues, sources."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lhotse import Recording, SupervisionSegment
from lhotse.audio import AudioSource

from moss_speech.corpus.items import Dialogue, Role, Split
from moss_speech.corpus.manifests import write_manifest
from moss_speech.storage import write_json, write_jsonl


@dataclass(frozen=True)
class Item:
    """One audio file of a corpus and what is known about it."""

    id: str
    file: str
    """Its name in the folder audio/."""
    n_samples: int
    sample_rate_hz: int
    text: str
    speaker: str
    role: Role
    voice_split: Split
    text_split: Split
    tags: dict[str, str]


@dataclass(frozen=True)
class Source:
    """Where a part of the corpus comes from, and on what terms."""

    name: str
    licence: str
    consent: str
    redistribute: bool
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Collected:
    """What one source brought: its audio files lie in the corpus folder already."""

    source: Source
    items: list[Item]
    dialogues: list[Dialogue]


def count_by(items: list[Item], name: str) -> dict[str, int]:
    """Number of items by a tag or field, sorted."""
    values = [str(item.tags.get(name, getattr(item, name, "none"))) for item in items]
    return {value: values.count(value) for value in sorted(set(values))}


def _recording(item: Item, folder: Path) -> Recording:
    path = (folder / "audio" / item.file).as_posix()
    source = AudioSource(type="file", channels=[0], source=path)
    duration_s = item.n_samples / item.sample_rate_hz
    return Recording(item.id, [source], item.sample_rate_hz, item.n_samples, duration_s)


def _supervision(item: Item) -> SupervisionSegment:
    custom: dict[str, Any] = {
        **item.tags,
        "role": item.role,
        "voice_split": item.voice_split,
        "text_split": item.text_split,
    }
    return SupervisionSegment(
        id=item.id,
        recording_id=item.id,
        start=0.0,
        duration=item.n_samples / item.sample_rate_hz,
        text=item.text,
        language="en",
        speaker=item.speaker,
        custom=custom,
    )


def write_corpus(out: Path, final: Path, collected: list[Collected]) -> None:
    """Write the manifests into `out`; they name audio below `final`, relative to the root.

    Raises `ValueError` if two sources bring the same id.
    """
    items = [item for part in collected for item in part.items]
    ids = [item.id for item in items]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ValueError(f"corpus id {twice!r} occurs {ids.count(twice)} times, must be unique")
    write_manifest(out / "recordings.jsonl.gz", (_recording(i, final) for i in items))
    write_manifest(out / "supervisions.jsonl.gz", (_supervision(i) for i in items))
    write_jsonl(out / "dialogues.jsonl", [d.to_json() for c in collected for d in c.dialogues])
    write_json(out / "sources.json", [asdict(c.source) for c in collected])
