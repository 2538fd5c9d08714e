"""Lhotse manifests: recordings with supervisions, or cuts. Nothing that a manifest says is run.

(A source of the type `command` is a shell line, `url` an address: both are quarantined.)
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from moss_speech.audio import Span
from moss_speech.corpus.index import DiskIndex
from moss_speech.corpus.sources.files import split_of_file
from moss_speech.corpus.sources.foreign import Cut, Recording, Supervision
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.tables import Row, read_objects
from moss_speech.params.base import validate_section
from moss_speech.params.sources import Lhotse, Shar

ENDINGS = (".jsonl", ".jsonl.gz")
SAME_S = 1e-3
"""A span that leaves out less than this is the whole recording."""


def open_lhotse(source: Lhotse, intake: Intake) -> Opened:
    """A file of cuts, or the manifests of a folder; `ValueError` if there are none."""
    path = intake.path
    files = [path] if path.is_file() else [p for p in sorted(path.iterdir()) if _is_manifest(p)]
    cuts = files if path.is_file() else [p for p in files if "cuts" in p.name]
    pairs = [
        (p, partner)
        for p in files
        if "recordings" in p.name
        and (partner := p.with_name(p.name.replace("recordings", "supervisions"))) in files
    ]
    if not cuts and not pairs:
        raise ValueError(
            f"{path} holds no *cuts*.jsonl(.gz), nor *recordings* with *supervisions*.jsonl(.gz)"
        )
    return Opened(_of_cuts(source, intake, cuts) if cuts else _of_pairs(source, intake, pairs))


def _is_manifest(path: Path) -> bool:
    return path.is_file() and path.name.endswith(ENDINGS)


def _of_cuts(source: Lhotse, intake: Intake, files: list[Path]) -> Iterator[Item | Quarantined]:
    for file in files:
        for row in read_objects(file):
            cut = read_cut(row)
            if cut.recording is None:
                raise ValueError(f"{row.where}: recording is missing, a cut must hold its own")
            for said in spoken_in(cut):
                facts = facts_of(said, source, intake, row, cut.start)
                yield _at(facts, cut.recording, intake, file)


def _of_pairs(
    source: Lhotse, intake: Intake, pairs: list[tuple[Path, Path]]
) -> Iterator[Item | Quarantined]:
    for recordings, supervisions in pairs:
        known = DiskIndex()
        for row in read_objects(recordings):
            recording = validate_section(row.values, Recording, f"{row.where}: ")
            if not known.add(recording.id, recording.model_dump_json()):
                raise ValueError(f"{row.where}: id {recording.id!r} came before, must be unique")
        for row in read_objects(supervisions):
            said = validate_section(row.values, Supervision, f"{row.where}: ")
            found = known.get(said.recording_id)
            if found is None:
                raise ValueError(
                    f"{row.where}: recording_id {said.recording_id!r} is not in {recordings}"
                )
            facts = facts_of(said, source, intake, row)
            yield _at(facts, Recording.model_validate_json(found), intake, supervisions)


def read_cut(row: Row) -> Cut:
    """A cut of one recording; `ValueError` naming file and line for any other."""
    cut = validate_section(row.values, Cut, f"{row.where}: ")
    if cut.type != "MonoCut":
        raise ValueError(f"{row.where}: type is {cut.type!r}, must be 'MonoCut'")
    return cut


def spoken_in(cut: Cut) -> list[Supervision]:
    """What is said in a cut; all of it, in unknown words, if it says nothing of that."""
    if cut.supervisions:
        return cut.supervisions
    return [
        Supervision(
            id=cut.id, recording_id="", start=0.0, duration=cut.duration, channel=cut.channel
        )
    ]


def facts_of(
    said: Supervision, source: Lhotse | Shar, intake: Intake, row: Row, offset_s: float = 0.0
) -> Facts:
    """What a supervision says; `offset_s` is where its cut begins in the audio."""
    if said.speaker is None and source.speaker is None:
        raise ValueError(
            f"{row.where}: {said.id!r} names no speaker; say `speaker` in source {source.name!r}"
        )
    named = cast(str, source.speaker)
    speaker = named if said.speaker is None else intake.speaker(said.speaker)
    split = intake.split(speaker, split_of_file(row.file, intake.path))
    return Facts(
        name=said.id,
        text=said.text,
        speaker=speaker,
        voice_split=split,
        text_split=split,
        language=intake.language(said.language),
        recording=said.recording_id,
        span=Span(offset_s + said.start, said.duration),
        channel=said.channel,
    )


def _at(facts: Facts, recording: Recording, intake: Intake, file: Path) -> Item | Quarantined:
    """The utterance at its place in a recording that is one file."""
    kinds = [source.type for source in recording.sources]
    if kinds != ["file"] or recording.transforms:
        what = "transforms" if kinds == ["file"] else ", ".join(kinds) or "no source"
        return Quarantined(facts.name, "source", what, "one source of type 'file', untransformed")
    source = recording.sources[0]
    if facts.channel not in source.channels:
        return Quarantined(facts.name, "channel", str(facts.channel), f"one of {source.channels}")
    path = Path(source.source)
    places = (path,) if path.is_absolute() else (file.parent / path, intake.root / path)
    audio = next((place for place in places if place.is_file()), places[-1])
    channel = source.channels.index(facts.channel)
    return intake.file(_whole(facts, recording.id, recording.duration, channel), audio)


def _whole(facts: Facts, recording: str, duration_s: float, channel: int) -> Facts:
    """Facts that name the recording; without a span if that is all of it."""
    assert facts.span is not None
    is_all = facts.span.start_s == 0 and abs(facts.span.duration_s - duration_s) < SAME_S
    span = None if is_all else facts.span
    return replace(facts, recording=recording, span=span, channel=channel)
