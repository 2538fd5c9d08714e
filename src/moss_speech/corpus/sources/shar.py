"""Lhotse Shar: cuts.N.jsonl.gz and recording.N.tar, whose members follow the order of the cuts.

The audio of a cut is copied, as a tar file cannot be pointed into.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from moss_speech.corpus.sources.files import walk
from moss_speech.corpus.sources.foreign import Cut, Supervision
from moss_speech.corpus.sources.intake import Intake, Opened
from moss_speech.corpus.sources.lhotse_manifests import SAME_S, facts_of, read_cut, spoken_in
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.tables import Row, read_objects
from moss_speech.corpus.sources.tar_members import Member, tar_members
from moss_speech.params.sources import Shar

NO_AUDIO = ("nodata", "nometa")
"""Endings of what Lhotse writes where a cut has no recording."""


def open_shar(source: Shar, intake: Intake) -> Opened:
    """The shards of a folder; `ValueError` if there is none, or one without its recordings."""
    shards = [
        (place / name, place / name.replace("cuts.", "recording.").replace(".jsonl.gz", ".tar"))
        for place, names in walk(intake.path)
        for name in names
        if name.startswith("cuts.") and name.endswith(".jsonl.gz")
    ]
    if not shards:
        raise ValueError(f"{intake.path} holds no cuts.*.jsonl.gz")
    for cuts, tar in shards:
        if not tar.is_file():
            raise ValueError(f"{cuts} has no {tar.name} beside it, must have its recordings there")
    return Opened(found for cuts, tar in shards for found in _items(source, intake, cuts, tar))


def _items(source: Shar, intake: Intake, cuts: Path, tar: Path) -> Iterator[Item | Quarantined]:
    audio = (m for m in tar_members(tar) if isinstance(m, Quarantined) or m.ending != "json")
    for row in read_objects(cuts):
        cut = read_cut(row)
        member = next(audio, None)
        if member is None or isinstance(member, Quarantined):
            yield member or Quarantined(cut.id, "missing", tar.name, "a recording in the tar file")
        elif member.name.rpartition(".")[0] != cut.id:
            raise ValueError(
                f"{row.where}: the cut is {cut.id!r}, {tar} has {member.name!r} in its place; "
                "must be in the same order"
            )
        elif member.ending in NO_AUDIO:
            yield Quarantined(cut.id, "missing", member.name, "a recording in the tar file")
        else:
            for said in spoken_in(cut):
                yield _item(said, cut, source, intake, row, member)


def _item(
    said: Supervision, cut: Cut, source: Shar, intake: Intake, row: Row, member: Member
) -> Item | Quarantined:
    facts = facts_of(said, source, intake, row)
    is_all = abs(said.start) < SAME_S and abs(said.duration - cut.duration) < SAME_S
    facts = replace(facts, recording="", channel=0, span=None if is_all else facts.span)
    return intake.content(facts, member.content, member.ending)
