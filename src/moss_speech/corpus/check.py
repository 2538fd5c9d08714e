"""What lies at a path, before it enters a corpus: kind, hours, speakers, and what is wrong."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from moss_speech.corpus.clean.measure import Measured, measure_all, parts_of
from moss_speech.corpus.clean.verdicts import Reject, check_declared, check_item
from moss_speech.corpus.items import Utterance
from moss_speech.corpus.sources.detect import find_kind
from moss_speech.corpus.sources.files import walk
from moss_speech.corpus.sources.intake import Intake, Opened
from moss_speech.corpus.sources.kinds import READERS
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.params.base import validate_section
from moss_speech.params.clean import Clean
from moss_speech.params.sources import OneSource, SplitShares

EXAMPLES, LICENCE_LETTERS = 3, 100
_LICENCES = re.compile(r"(licen[cs]e|copying|readme)([.-].*)?", re.IGNORECASE)
_SHARES = SplitShares(train=0.9, dev=0.05, test=0.05)
_UNNAMED = "unnamed"


@dataclass
class Problem:
    """One way in which items are wrong."""

    reason: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Survey:
    """What was found at a path."""

    path: str
    kind: str
    utterances: int = 0
    dialogues: int = 0
    seconds: float = 0.0
    refused: str | None = None
    """Why the stage corpus would not take this source at all."""
    speakers: Counter[str] = field(default_factory=Counter)
    unnamed: int = 0
    """Utterances whose speaker the source does not name: params must."""
    folders: Counter[str] = field(default_factory=Counter)
    """Utterances by folder right below the path; these may be the speakers."""
    languages: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    transcripts: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    licences: dict[str, str] = field(default_factory=dict)
    """First words of the files that tell the licence."""
    problems: dict[str, Problem] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a corpus could be made of it."""
        return self.refused is None and self.utterances + self.dialogues > 0

    def to_json(self) -> dict[str, Any]:
        """All of it; of speakers and folders their number."""
        values = vars(self) | {"problems": [asdict(p) for p in self.problems.values()]}
        counts = {"speakers": len(self.speakers), "folders": len(self.folders)}
        return values | counts | {"usable": self.usable}

    def note(self, wrong: Quarantined) -> None:
        """Count something that no utterance can be made of."""
        problem = self.problems.setdefault(wrong.reason, Problem(wrong.reason))
        problem.count += 1
        if problem.count <= EXAMPLES:
            problem.examples.append(f"{wrong.item}: {wrong.value}; must be {wrong.allowed}")

    def add(self, item: Item) -> None:
        """Count an utterance."""
        self.utterances += 1
        self.seconds += item.duration_s
        if item.speaker == _UNNAMED:
            self.unnamed += 1
        else:
            self.speakers[item.speaker] += 1
        if Path(item.file).is_relative_to(self.path):
            self.folders[Path(item.file).relative_to(self.path).parts[0]] += 1
        self.languages[item.language or "unknown"] += 1
        self.splits[item.voice_split] += 1
        self.transcripts[item.tags["transcript"]] += 1


def _open(path: Path, kind: str, audio: Path | None, language: str) -> tuple[Intake, Opened]:
    """The reader of a source that declares nothing yet, but perhaps its language."""
    values: dict[str, Any] = {"kind": kind, "name": "checked", "path": str(path.resolve())}
    values |= {"undeclared": True, "language": language}
    if kind in ("folder", "lhotse", "shar", "tar", "huggingface", "dialogues"):
        values["speaker"] = _UNNAMED
    if kind == "dialogues":
        values["assistant"] = _UNNAMED
    source = validate_section({"source": values}, OneSource, "").source
    intake = Intake(source, Path(), _SHARES, audio)
    return intake, READERS[kind](source, intake)


def survey(path: Path, kind: str | None = None, language: str = "") -> Survey:
    """Look at every item of a source without copying or decoding audio.

    Raises `ValueError` naming the path if nothing is there, or the kinds for one that is unknown.
    """
    kind = kind or find_kind(path)
    if kind not in READERS:
        raise ValueError(f"kind is {kind!r}, must be one of {', '.join(READERS)}")
    found = Survey(str(path.resolve()), kind, licences=_licences(path))
    try:
        intake, opened = _open(path, kind, None, language)
        found.formats = intake.formats
        for item in opened.items:
            if isinstance(item, Item):
                found.add(item)
            else:
                found.note(item)
        found.dialogues = sum(1 for _ in opened.dialogues)
    except ValueError as error:
        found.refused = str(error)
    return found


def _licences(path: Path) -> dict[str, str]:
    """What the LICENSE and README files in a folder and those right below it begin with."""
    if not path.is_dir():
        return {}
    found = {}
    for place, names in walk(path):
        if len(place.relative_to(path).parts) > 1:
            continue
        for name in (n for n in names if _LICENCES.fullmatch(n)):
            with (place / name).open("rb") as stream:
                words = stream.read(4 * LICENCE_LETTERS).decode("utf-8", "replace").split()
            where = (place / name).relative_to(path).as_posix()
            found[where] = " ".join(words)[:LICENCE_LETTERS]
    return found


def check_items(
    path: Path, p: Clean, kind: str | None = None, language: str = ""
) -> Iterator[tuple[str, str, Reject | None]]:
    """Id, words and verdict of every item, or of each piece that the stage clean cuts it into.

    These are the rules for the manifest and for what is measured; nothing is listened to but long
    recordings with given words, which are parted among the pieces.
    """
    with tempfile.TemporaryDirectory() as temporary:
        _, opened = _open(path, kind or find_kind(path), Path(temporary), language)
        for item in opened.items:
            if isinstance(item, Quarantined):
                wrong = Reject(item.item, item.reason, item.value, item.allowed)
                yield item.item, "", wrong
                continue
            utterance = _utterance(item)
            if reject := check_declared(utterance, item.sample_rate_hz, item.channels, p):
                yield item.id, item.text, reject
            else:
                yield from _measured(utterance, Path(temporary), p)
            if not utterance.audio.is_absolute():  # a copy; never the source's own file
                (Path(temporary) / utterance.audio).unlink()


def _measured(u: Utterance, root: Path, p: Clean) -> Iterator[tuple[str, str, Reject | None]]:
    for m in parts_of(measure_all(u, root, p)):
        piece = u
        if isinstance(m, Measured):
            piece = replace(u, id=m.id, text=u.text if m.words is None else m.words)
        yield piece.id, piece.text, check_item(piece, m, p)


def _utterance(item: Item) -> Utterance:
    return Utterance(
        id=item.id,
        audio=Path(item.file),
        duration_s=item.duration_s,
        text=item.text,
        speaker=item.speaker,
        role=item.role,
        voice_split=item.voice_split,
        text_split=item.text_split,
        tags=item.tags,
        span=item.span,
        channel=item.channel,
        language=item.language,
    )
