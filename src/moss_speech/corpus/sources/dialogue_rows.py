"""Rows of one's own dialogues.jsonl: who says what, in text, in a recording, or in both.

`{"turns": [{"role": "user", "audio": "q1.wav"}, {"role": "assistant", "text": "it is green"}]}`
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from moss_speech.corpus.items import Dialogue, Role, Split, Turn
from moss_speech.corpus.sources.intake import FORMATS, LONGEST_TEXT
from moss_speech.corpus.sources.tables import inside, read_objects
from moss_speech.params.base import Params, validate_section
from moss_speech.speech.personal import personal_tag
from moss_speech.speech.text import normalise

ROLES: dict[str, Role] = {"user": "question", "assistant": "answer"}


class _Row(Params):
    """A JSON object of known keys."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, row: Any) -> Any:
        if isinstance(row, dict) and (unknown := sorted(row.keys() - cls.model_fields.keys())):
            raise ValueError(f"key {unknown[0]!r} must be one of {', '.join(cls.model_fields)}")
        return row


class TurnRow(_Row):
    """One turn; where it has both, `text` is what `audio` says."""

    role: Literal["user", "assistant"]
    text: str | None = Field(default=None, max_length=LONGEST_TEXT)
    audio: str | None = None
    """Path of a recording inside the folder."""
    speaker: str | None = Field(default=None, min_length=1, max_length=200)
    """Who speaks, where the source does not say it."""


class DialogueRow(_Row):
    """One conversation: user and assistant in turn."""

    turns: list[TurnRow] = Field(min_length=1)

    @property
    def recorded(self) -> list[tuple[str, TurnRow]]:
        """The turns that name a recording, and its name."""
        return [(turn.audio, turn) for turn in self.turns if turn.audio is not None]

    @property
    def typed(self) -> str:
        """All its written words."""
        return " ".join(turn.text for turn in self.turns if turn.text is not None)


def read_dialogue_rows(table: Path) -> Iterator[DialogueRow]:
    """Rows of a table, none if there is no such file; recordings lie in the table's folder.

    Raises `ValueError` naming file, line, turn, value and what is allowed.
    """
    if not table.is_file():
        return
    for found in read_objects(table):
        row = validate_section(found.values, DialogueRow, f"{found.where}: ")
        for place, turn in enumerate(row.turns):
            _check_turn(turn, place, table.parent, f"{found.where}: turns.{place}")
        if len(row.turns) % 2:
            raise ValueError(f"{found.where}: the last turn is by 'user', must be by 'assistant'")
        yield row


def _check_turn(turn: TurnRow, place: int, folder: Path, where: str) -> None:
    wanted = ("user", "assistant")[place % 2]
    if turn.role != wanted:
        raise ValueError(f"{where}.role is {turn.role!r}, must be {wanted!r}: the sides alternate")
    if turn.text is None and turn.audio is None:
        raise ValueError(f"{where} has neither text nor audio, must have one or both")
    if turn.text is not None and not normalise(turn.text):
        raise ValueError(f"{where}.text is {turn.text!r}, must hold at least one word")
    if turn.audio is None:
        return
    is_plain = Path(turn.audio).as_posix() == turn.audio and turn.audio.isprintable()
    is_audio = turn.audio.lower().endswith(FORMATS)
    if not (is_plain and is_audio) or not inside(folder, turn.audio, f"{where}.audio").is_file():
        raise ValueError(
            f"{where}.audio is {turn.audio!r}, must be an audio file inside {folder}: "
            f"{', '.join(FORMATS)}"
        )


def dialogue_of(
    item_id: str, row: DialogueRow, split: Split, taken: Callable[[str], tuple[str, str] | None]
) -> Dialogue:
    """The dialogue of a row; `taken` gives id and words of a recording, None: quarantined."""
    said = []
    for turn in row.turns:
        spoken = None if turn.audio is None else taken(turn.audio)
        text = normalise(turn.text) if turn.text is not None else spoken[1] if spoken else ""
        said.append(Turn(turn.role, text, (spoken[0],) if spoken else ()))
    tags = {"fact": item_id, "wording": "0", "category": "recording", "taught": "speech"}
    for turn in row.turns:
        tags |= personal_tag(turn.text or "")
    return Dialogue(item_id, split, tuple(said), tags)
