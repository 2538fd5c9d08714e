"""A corpus folder's manifests: recordings and supervisions, dialogues, sources, quarantine.

Everything is written as it comes: memory does not grow with the number of items.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lhotse import Recording, SupervisionSegment
from lhotse.audio import AudioSource

from moss_speech.audio import Span
from moss_speech.corpus.index import DiskIndex
from moss_speech.corpus.items import Dialogue, Role, Split
from moss_speech.corpus.manifests import manifest_writer
from moss_speech.settings import settings
from moss_speech.storage import jsonl_writer, write_json


@dataclass(frozen=True)
class Item:
    """One utterance of a corpus and what is known about it."""

    id: str
    file: str
    """Of the recording: its name in the folder audio/, or an absolute path."""
    n_samples: int
    """Of the recording."""
    sample_rate_hz: int
    text: str
    speaker: str
    role: Role
    voice_split: Split
    text_split: Split
    tags: dict[str, str]
    recording: str = ""
    """Id of the recording; empty: the utterance's own."""
    span: Span | None = None
    """Where in the recording; None: all of it."""
    channel: int = 0
    channels: int = 1
    """Of the recording."""
    language: str = "en"

    @property
    def duration_s(self) -> float:
        """Of the utterance."""
        return self.n_samples / self.sample_rate_hz if self.span is None else self.span.duration_s


@dataclass(frozen=True)
class Quarantined:
    """Something of a source that no utterance can be made of, and why."""

    item: str
    """A file, member or row."""
    reason: str
    value: str
    allowed: str

    def __post_init__(self) -> None:
        """Names that are no Unicode (files may have them) are written out: rows stay readable."""
        for name in ("item", "value"):
            plain = getattr(self, name).encode("utf-8", "backslashreplace").decode()
            object.__setattr__(self, name, plain)


@dataclass(frozen=True)
class Source:
    """Where a part of the corpus comes from, and on what terms."""

    name: str
    licence: str
    consent: str
    redistribute: bool
    counts: dict[str, int] = field(default_factory=dict)
    """Utterances by kind; counted as `items` when they are written, if empty."""
    kind: str = "made"
    undeclared: bool = False
    quarantined: dict[str, int] = field(default_factory=dict)
    """Counted when they are written, by reason."""


@dataclass(frozen=True)
class Collected:
    """What one source brings; dialogues are asked for after the items."""

    source: Source
    items: Iterable[Item | Quarantined]
    dialogues: Iterable[Dialogue]


def count_by(items: list[Item], name: str) -> dict[str, int]:
    """Number of items by a tag or field, sorted."""
    values = [str(item.tags.get(name, getattr(item, name, "none"))) for item in items]
    return {value: values.count(value) for value in sorted(set(values))}


def stored_path(file: Path, root: Path) -> str:
    """How manifests name a file: relative to the project root if it is below it."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def _recording(item: Item, folder: Path) -> Recording:
    channels = list(range(item.channels))
    path = stored_path(folder / "audio" / item.file, settings().root)
    source = AudioSource(type="file", channels=channels, source=path)
    duration_s = item.n_samples / item.sample_rate_hz
    name = item.recording or item.id
    return Recording(name, [source], item.sample_rate_hz, item.n_samples, duration_s)


def _supervision(item: Item, source: str) -> SupervisionSegment:
    custom: dict[str, Any] = {
        **item.tags,
        "role": item.role,
        "voice_split": item.voice_split,
        "text_split": item.text_split,
        "source": source,
    }
    return SupervisionSegment(
        id=item.id,
        recording_id=item.recording or item.id,
        start=0.0 if item.span is None else item.span.start_s,
        duration=item.duration_s,
        channel=item.channel,
        text=item.text,
        language=item.language,
        speaker=item.speaker,
        custom=custom,
    )


class _Writer:
    """The open manifests of a corpus folder."""

    def __init__(self, out: Path, final: Path, opened: ExitStack) -> None:
        self._final = final
        self._recordings = opened.enter_context(manifest_writer(out / "recordings.jsonl.gz"))
        self._supervisions = opened.enter_context(manifest_writer(out / "supervisions.jsonl.gz"))
        self._dialogues = opened.enter_context(jsonl_writer(out / "dialogues.jsonl"))
        self._quarantine = opened.enter_context(jsonl_writer(out / "quarantine.jsonl"))
        self._ids, self._files = DiskIndex(), DiskIndex()

    def write(self, part: Collected) -> Source:
        """Write what a source brings; returns it with its counts."""
        kept, reasons = 0, Counter[str]()
        for found in part.items:
            wrong = self._item(found, part.source.name) if isinstance(found, Item) else found
            if wrong is None:
                kept += 1
            else:
                reasons[wrong.reason] += 1
                self._quarantine({"source": part.source.name, **asdict(wrong)})
        for dialogue in part.dialogues:
            self._dialogues(dialogue.to_json())
        counts = part.source.counts or {"items": kept}
        return replace(part.source, counts=counts, quarantined=dict(sorted(reasons.items())))

    def _item(self, item: Item, source: str) -> Quarantined | None:
        name = item.recording or item.id
        is_new = self._files.add(name, item.file)
        if not is_new and self._files.get(name) != item.file:
            return Quarantined(item.file, "duplicate id", name, "a recording id of its own")
        if not self._ids.add(item.id):
            return Quarantined(item.file, "duplicate id", item.id, "an id of its own")
        if is_new:
            self._recordings(_recording(item, self._final))
        self._supervisions(_supervision(item, source))
        return None


def write_corpus(out: Path, final: Path, collected: Iterable[Collected]) -> list[Source]:
    """Write the manifests into `out`, which will be `final`; returns the sources with counts.

    What has an id that came before is quarantined.
    """
    with ExitStack() as opened:
        writer = _Writer(out, final, opened)
        sources = [writer.write(part) for part in collected]
    write_json(out / "sources.json", [asdict(source) for source in sources])
    return sources
