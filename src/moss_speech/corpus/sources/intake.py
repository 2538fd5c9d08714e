"""From what a source says of an utterance to an item of the corpus, or to the quarantine.

Audio stays where it is; only its heading is read. It is copied where the source wants it imported,
or where it is no file (members of tar files, cells of tables).
Shapes: S samples.
"""

import hashlib
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from moss_speech.audio import (
    LISTENING,
    SPEAKING,
    Heading,
    Samples,
    Span,
    read_audio,
    read_heading,
    resample,
    write_audio,
)
from moss_speech.corpus.index import DiskIndex
from moss_speech.corpus.items import Dialogue, Role, Split
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.tables import leads_out
from moss_speech.params.sources import Declared, SplitShares
from moss_speech.speech.personal import personal_tag
from moss_speech.speech.text import normalise
from moss_speech.speech.vad import speech_spans

FORMATS = ("wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "aac", "aif", "aiff")
PAUSE_S = 0.15
"""What an import leaves of the silence before and after the speech."""
LONGEST_TEXT, LONGEST_NAME_BYTES = 10_000, 150
ROUNDING_S = 0.02
"""Manifests round; a span may reach so far beyond its recording and is cut there."""
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class Facts:
    """What a source says of one utterance."""

    name: str
    """Of its own within the source."""
    text: str | None
    """None: the source has no words for it."""
    speaker: str
    voice_split: Split
    text_split: Split
    language: str
    role: Role = "recording"
    recording: str = ""
    """Name of the recording within the source, if several utterances share it."""
    span: Span | None = None
    channel: int = 0


@dataclass(frozen=True)
class Opened:
    """A source that is there and of the layout of its kind, to be read once, items first."""

    items: Iterable[Item | Quarantined]
    dialogues: Iterable[Dialogue] = ()


class _UnfitError(Exception):
    """Why no item can be made."""

    def __init__(self, reason: str, value: str, allowed: str) -> None:
        super().__init__(reason, value, allowed)


class _Content(io.BytesIO):
    """Bytes with the name that a file would have."""

    name = ""


def slug(name: str) -> str:
    """Lower-case letters and digits of any script, joined by underscores; short, never empty."""
    made = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name).lower()).strip("_")
    if made and len(made.encode()) <= LONGEST_NAME_BYTES:
        return made
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{made[:30]}_{digest}".lstrip("_")


def split_of(speaker: str, shares: SplitShares) -> Split:
    """Where a speaker goes: by a hash of the name, so equal in every run and on every machine."""
    place = int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8]) / 2**64
    if place < shares.train:
        return "train"
    return "dev" if place < shares.train + shares.dev else "test"


class Intake:
    """Takes in the utterances of one source; `audio` is where copies go, None: only look."""

    def __init__(
        self, source: Declared, root: Path, shares: SplitShares, audio: Path | None
    ) -> None:
        self.source, self.root = source, root
        self.path = root / source.path
        self.formats: Counter[str] = Counter()
        self._audio, self._shares = audio, shares
        self._known: tuple[Path, Heading] | None = None
        self._ids = DiskIndex()

    def speaker(self, name: str) -> str:
        """A speaker that the source names, told apart from those of other sources."""
        return f"{self.source.name}:{name}"

    def split(self, speaker: str, own: Split | None = None) -> Split:
        """As declared; else the source's own; else by speaker."""
        if self.source.split != "auto":
            return self.source.split
        return own or split_of(speaker, self._shares)

    def language(self, named: str | None) -> str:
        """ISO 639 code of what a source names, such as `zh-CN`; else the declared one."""
        code = (named or "").split("-")[0].split("_")[0].lower()
        return code if _LANGUAGE.fullmatch(code) else self.source.language

    def file(self, facts: Facts, path: Path) -> Item | Quarantined:
        """An utterance whose audio is a file; a link in the source must not lead out of it."""
        if not path.is_file():
            return Quarantined(facts.name, "missing", str(path), "an audio file that exists")
        home = self.path if self.path.is_dir() else self.path.parent
        if path.is_relative_to(home) and leads_out(path, home):
            allowed = f"a file inside {home}; copy it there, or name its folder as a source"
            return Quarantined(facts.name, "link", os.path.realpath(path), allowed)
        return self._take(facts, path)

    def content(self, facts: Facts, content: bytes, ending: str) -> Item | Quarantined:
        """An utterance whose audio is no file but the bytes of one; it is copied."""
        stream = _Content(content)
        stream.name = f"{facts.name}.{ending}"
        return self._take(facts, stream)

    def _take(self, facts: Facts, audio: Path | _Content) -> Item | Quarantined:
        try:
            text, transcript = self._words(facts.text)
            _check_name("speaker", facts.speaker)
            _check_name("name", str(audio) if isinstance(audio, Path) else facts.name)
            heading = self._heading(audio)
            self.formats[f"{heading.format} {heading.sample_rate_hz} Hz"] += 1
            item = self._item(_fitted(facts, heading), heading, text, transcript)
            if isinstance(audio, Path) and not self.source.imported:
                return self._first(replace(item, file=str(audio)))
            return self._first(item) if self._audio is None else self._imported(item, audio)
        except _UnfitError as unfit:
            return Quarantined(facts.name, *unfit.args)

    def _first(self, item: Item) -> Item:
        """An item whose id is not taken: by another of this source, or by audio of the corpus.

        Asked before a copy is written, which would lie over the other's, and before a dialogue can
        take the other's recording for its own.
        """
        is_there = self._audio is not None and (self._audio / f"{item.id}.flac").exists()
        if is_there or not self._ids.add(item.id):
            raise _UnfitError("duplicate id", item.id, "an id of its own")
        return item

    def _heading(self, audio: Path | _Content) -> Heading:
        """Of a file or content; the last file's is known: utterances of a recording follow on."""
        if self._known is not None and self._known[0] == audio:
            return self._known[1]
        try:
            heading = read_heading(_rewound(audio))
        except ValueError as error:
            raise _UnfitError("unreadable", str(error), f"audio: {', '.join(FORMATS)}") from None
        self._known = (audio, heading) if isinstance(audio, Path) else None
        return heading

    def _item(self, facts: Facts, heading: Heading, text: str, transcript: str) -> Item:
        own_id = f"{self.source.name}-{slug(facts.name)}"
        recording = f"{self.source.name}-{slug(facts.recording)}" if facts.recording else ""
        return Item(
            id=own_id,
            file=f"{own_id}.flac",
            n_samples=heading.n_samples,
            sample_rate_hz=heading.sample_rate_hz,
            text=normalise(text),
            speaker=facts.speaker,
            role=facts.role,
            voice_split=facts.voice_split,
            text_split=facts.text_split,
            tags={"transcript": transcript, "synthesizer": "person"} | personal_tag(text),
            recording=recording,
            span=facts.span,
            channel=facts.channel,
            channels=heading.channels,
            language=facts.language,
        )

    def _words(self, text: str | None) -> tuple[str, str]:
        declared = self.source.transcripts
        if declared in ("missing", "none"):
            return "", declared
        if text is None:
            if declared == "given":
                raise _UnfitError(
                    "transcript", "none", "a transcript, as `transcripts: given` says"
                )
            return "", "missing"
        if len(text) > LONGEST_TEXT:
            raise _UnfitError(
                "transcript", f"{len(text)} letters", f"at most {LONGEST_TEXT} letters"
            )
        _check_name("transcript", text)
        return text, "given"

    def _imported(self, item: Item, audio: Path | _Content) -> Item:
        """The utterance as a file of the corpus: one channel, pauses at both ends cut."""
        assert self._audio is not None
        rate_hz = SPEAKING.sample_rate_hz
        try:
            samples_S = read_audio(_rewound(audio), rate_hz, item.span, item.channel)
        except ValueError as error:
            raise _UnfitError("unreadable", str(error), "whole audio") from None
        if item.span is None:
            samples_S = _trimmed(samples_S)
        self._first(item)
        write_audio(self._audio / item.file, samples_S, rate_hz)
        item = replace(item, n_samples=len(samples_S), sample_rate_hz=rate_hz)
        return replace(item, recording="", span=None, channel=0, channels=1)


def _check_name(what: str, text: str) -> None:
    """No text of another encoding, no binary data."""
    for letter in text:
        if letter == "\ufffd" or (
            unicodedata.category(letter) in ("Cc", "Cs") and not letter.isspace()
        ):
            raise _UnfitError(
                what, f"holds the letter {letter!r}", "text without control characters"
            )


def _rewound(audio: Path | _Content) -> Path | _Content:
    if not isinstance(audio, Path):
        audio.seek(0)
    return audio


def _fitted(facts: Facts, heading: Heading) -> Facts:
    """Facts whose channel and span are those of the recording."""
    if not 0 <= facts.channel < heading.channels:
        raise _UnfitError("channel", str(facts.channel), f"0..{heading.channels - 1}")
    if facts.span is None:
        return facts
    whole_s = heading.n_samples / heading.sample_rate_hz
    start_s, end_s = facts.span.start_s, facts.span.start_s + facts.span.duration_s
    if not (0 <= start_s < min(end_s, whole_s) and end_s <= whole_s + ROUNDING_S):
        raise _UnfitError("span", f"{start_s:g}..{end_s:g} s", f"inside 0..{whole_s:g} s")
    if end_s <= whole_s:
        return facts
    return replace(facts, span=Span(start_s, whole_s - start_s))


def _trimmed(samples_S: Samples) -> Samples:
    """Without long pauses at both ends; unchanged where no speech is found."""
    rate_hz = SPEAKING.sample_rate_hz
    spans = speech_spans(resample(samples_S, rate_hz, LISTENING.sample_rate_hz))
    if not spans:
        return samples_S
    first = max(0, int((spans[0].start_s - PAUSE_S) * rate_hz))
    return samples_S[first : int((spans[-1].end_s + PAUSE_S) * rate_hz)]
