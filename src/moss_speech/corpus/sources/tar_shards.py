"""Tar files of audio with texts (as WebDataset writes them): KEY.flac beside KEY.txt or KEY.json.

Members that belong together follow each other; of each part the first counts.
Audio is copied: a tar file cannot be pointed into.
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
from moss_speech.corpus.sources.tar_members import LARGEST_BYTES, Member, tar_members
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
    for key, group in groupby(tar_members(shard), _key):
        members = dict[str, Member]()
        for member in group:
            if isinstance(member, Quarantined):
                yield member
            elif part := _part(member):
                if wrong := _surplus(member, part, members):
                    yield wrong
                else:
                    members[part] = member
        if members:
            yield _item(source, intake, shard, members, key)


def _part(member: Member) -> str | None:
    """What of an utterance a member is; None: nothing that is read."""
    if member.ending in FORMATS:
        return "audio"
    return member.ending if member.ending in ("txt", "json") else None


def _surplus(member: Member, part: str, members: dict[str, Member]) -> Quarantined | None:
    """Why a member is not held beside those of its key: it has one such, or they would be large."""
    if part in members:
        value = f"beside {members[part].name}"
        return Quarantined(member.name, "duplicate", value, "a key of its own")
    size = sum(len(m.content) for m in (*members.values(), member))
    if size <= LARGEST_BYTES:
        return None
    allowed = f"at most {LARGEST_BYTES} bytes of one key"
    return Quarantined(member.name, "size", f"{size} bytes", allowed)


def _key(found: Member | Quarantined) -> str:
    return found.key if isinstance(found, Member) else ""


def _item(
    source: Tar, intake: Intake, shard: Path, members: dict[str, Member], key: str
) -> Item | Quarantined:
    audio = members.get("audio")
    if audio is None:
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
    return intake.content(facts, audio.content, audio.ending)


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
