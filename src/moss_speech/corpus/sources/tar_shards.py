"""Tar files of audio with texts (as WebDataset writes them): KEY.flac beside KEY.txt or KEY.json.

Members that belong together follow each other. Audio is copied: a tar file cannot be pointed into.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from moss_speech.corpus.sources.files import split_of_file, walk
from moss_speech.corpus.sources.intake import FORMATS, Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.corpus.sources.metadata import TEXT
from moss_speech.corpus.sources.tables import LONGEST_FILE_BYTES
from moss_speech.corpus.sources.tar_members import Member, tar_members
from moss_speech.params.sources import Tar

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
SPEAKER, LANGUAGE = ("speaker", "speaker_id", "client_id"), ("language", "locale", "lang")


def open_tar(source: Tar, intake: Intake) -> Opened:
    """A tar file, or all below a folder; `ValueError` if there is none."""
    path = intake.path
    shards = [path] if path.is_file() else [p / n for p, names in walk(path) for n in names]
    shards = [shard for shard in shards if shard.name.endswith(ENDINGS)]
    if not shards:
        raise ValueError(f"{path} holds no {' or '.join(ENDINGS)} file")
    return Opened(found for shard in shards for found in _items(source, intake, shard))


def _items(source: Tar, intake: Intake, shard: Path) -> Iterator[Item | Quarantined]:
    for _, group in groupby(tar_members(shard), _key):
        members = list[Member]()
        for member in group:
            if isinstance(member, Quarantined):
                yield member
            elif member.ending in (*FORMATS, "txt", "json"):
                members.append(member)
        if members:
            yield _item(source, intake, shard, {m.ending: m for m in members}, members[0].key)


def _key(found: Member | Quarantined) -> str:
    return found.key if isinstance(found, Member) else ""


def _item(
    source: Tar, intake: Intake, shard: Path, members: dict[str, Member], key: str
) -> Item | Quarantined:
    ending = next((e for e in FORMATS if e in members), None)
    if ending is None:
        return Quarantined(key, "missing", "no audio", f"a member {key}.{FORMATS[0]} or the like")
    try:
        said = _said(members)
    except ValueError as error:
        return Quarantined(key, "transcript", str(error), "UTF-8 text or a JSON object of texts")
    speaker = source.speaker if said["speaker"] is None else intake.speaker(said["speaker"])
    if speaker is None:
        return Quarantined(key, "speaker", "none", f"one of {', '.join(SPEAKER)} in {key}.json")
    split = intake.split(speaker, split_of_file(shard, intake.path))
    language = intake.language(said["language"])
    facts = Facts(key, said["text"], speaker, split, split, language)
    return intake.content(facts, members[ending].content, ending)


def _said(members: dict[str, Member]) -> dict[str, str | None]:
    """Text, speaker and language of a group; `ValueError` for what cannot be read."""
    for member in (members[e] for e in ("txt", "json") if e in members):
        if len(member.content) > LONGEST_FILE_BYTES:
            raise ValueError(f"{member.name} has {len(member.content)} bytes")
    values: Any = json.loads(members["json"].content) if "json" in members else {}
    if not isinstance(values, dict):
        raise ValueError(f"the JSON is a {type(values).__name__}")
    found = {"text": TEXT, "speaker": SPEAKER, "language": LANGUAGE}
    said = {what: _first(values, names) for what, names in found.items()}
    if "txt" in members:
        said["text"] = members["txt"].content.decode("utf-8-sig")
    return said


def _first(values: dict[str, Any], names: tuple[str, ...]) -> str | None:
    value = next((values[name] for name in names if values.get(name) not in (None, "")), None)
    if isinstance(value, (dict, list)):
        raise ValueError(f"{names[0]} is a {type(value).__name__}")
    return None if value is None else str(value)
