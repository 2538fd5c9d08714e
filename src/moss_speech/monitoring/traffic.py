"""Turns that clients let the service record, as the files of recordings/ tell them.

Who spoke is not read. A turn that cannot be read is set aside with its reason, the others go on.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import soundfile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from moss_speech.audio import LISTENING, Samples, read_audio
from moss_speech.params.monitor import Monitor

FACTS = "turn.json"
MAX_FACTS_BYTES = 1_000_000
MAX_SOUND_S = 600
"""Longer sound is no turn of a conversation."""


class _Ids(BaseModel):
    session: str | None = None


class _Model(BaseModel):
    version: str


class _Said(BaseModel):
    file: Literal["heard.flac", "said.flac"] | None = None
    """The only names that the service writes: a path to elsewhere is none of them."""
    seconds: Annotated[float, Field(gt=0, le=MAX_SOUND_S, allow_inf_nan=False)] | None = None


class _Facts(BaseModel):
    """What is needed of a turn's line; the service writes more, such as the caller."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ids: _Ids
    model: _Model
    ended_at: AwareDatetime
    heard: _Said | None
    said: _Said | None


@dataclass(frozen=True)
class TurnFiles:
    """A recorded turn: where its sound lies, if it has some."""

    session: str
    version: str
    ended_at: datetime
    heard: Path | None
    said: Path | None


@dataclass
class Traffic:
    """Turns of a window, and how many were set aside, by reason."""

    turns: list[TurnFiles] = field(default_factory=list)
    set_aside: Counter[str] = field(default_factory=Counter)


def read_traffic(folder: Path, begin: datetime, end: datetime) -> Traffic:
    """Turns that ended from `begin` until before `end`, in order; a missing folder holds none."""
    traffic = Traffic()
    for path in _folders(folder, begin.astimezone(UTC).date(), end.astimezone(UTC).date()):
        try:
            turn = _turn(path)
        except ValueError as error:
            traffic.set_aside[str(error)] += 1
            continue
        if begin <= turn.ended_at < end:
            traffic.turns.append(turn)
    return traffic


def _folders(folder: Path, first: date, last: date) -> Iterable[Path]:
    for n in range((last - first).days + 1):
        day = folder / f"{first + timedelta(days=n):%F}"
        if day.is_dir() and not day.is_symlink():
            yield from sorted(p for p in day.iterdir() if not p.name.startswith("."))


def _turn(path: Path) -> TurnFiles:
    facts = path / FACTS
    if path.is_symlink() or not facts.is_file() or facts.is_symlink():
        raise ValueError(f"no {FACTS}")
    if facts.stat().st_size > MAX_FACTS_BYTES:
        raise ValueError(f"{FACTS} has more than {MAX_FACTS_BYTES} bytes")
    try:
        read = _Facts.model_validate_json(facts.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise ValueError(f"{FACTS}: {where}: {first['type']}") from None
    session = read.ids.session or path.name
    heard, said = _sound(path, "heard", read.heard), _sound(path, "said", read.said)
    return TurnFiles(session, read.model.version, read.ended_at, heard, said)


def _sound(path: Path, name: str, said: _Said | None) -> Path | None:
    if said is None or said.file is None:
        return None
    file = path / said.file
    if said.file != f"{name}.flac" or file.is_symlink() or not file.is_file():
        raise ValueError(f"{name}.flac is missing or no file")
    return file


def draw(turns: list[TurnFiles], p: Monitor, seed: int) -> list[TurnFiles]:
    """At most so many turns in all and of each session, drawn by the seed, in order of time."""
    shuffled = random.Random(seed).sample(turns, len(turns))
    taken: list[TurnFiles] = []
    of_session: Counter[str] = Counter()
    for turn in shuffled:
        if len(taken) < p.max_turns and of_session[turn.session] < p.max_turns_per_session:
            of_session[turn.session] += 1
            taken.append(turn)
    return sorted(taken, key=lambda turn: turn.ended_at)


def read_sound(file: Path) -> Samples:
    """Samples of a turn at 16 kHz [S]; `ValueError` with a reason that names no file."""
    try:
        if soundfile.info(file).duration > MAX_SOUND_S:
            raise ValueError(f"sound of more than {MAX_SOUND_S} s")
        return read_audio(file, LISTENING.sample_rate_hz)
    except (soundfile.LibsndfileError, ValueError) as error:
        reason = str(error).replace(str(file), "").strip()
        raise ValueError(f"{file.name}: {reason or type(error).__name__}") from None
