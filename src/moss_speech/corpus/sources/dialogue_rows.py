"""Rows of one's own dialogues.jsonl: who says what, in text, in a recording, or in both.

`{"turns": [{"role": "user", "audio": "q1.wav"}, {"role": "assistant", "text": "it is green"}]}`
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from moss_speech.params.base import Params, validate_section
from moss_speech.speech.text import normalise
from moss_speech.storage import read_jsonl


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
    text: str | None = None
    audio: str | None = None
    """Path of a recording inside the folder."""


class DialogueRow(_Row):
    """One conversation: user and assistant in turn."""

    turns: list[TurnRow] = Field(min_length=1)


def read_dialogue_rows(table: Path, files: Collection[str]) -> list[DialogueRow]:
    """Rows of a table, none if there is no such file; `files` are the recordings it may name.

    Raises `ValueError` naming file, line, turn, value and what is allowed.
    """
    if not table.is_file():
        return []
    rows = []
    for number, content in enumerate(read_jsonl(table), 1):
        where = f"{table} line {number}"
        row = validate_section(content, DialogueRow, f"{where}: ")
        for place, turn in enumerate(row.turns):
            _check_turn(turn, place, files, f"{where}: turns.{place}")
        if len(row.turns) % 2:
            raise ValueError(f"{where}: the last turn is by 'user', must be by 'assistant'")
        rows.append(row)
    return rows


def _check_turn(turn: TurnRow, place: int, files: Collection[str], where: str) -> None:
    wanted = ("user", "assistant")[place % 2]
    if turn.role != wanted:
        raise ValueError(f"{where}.role is {turn.role!r}, must be {wanted!r}: the sides alternate")
    if turn.text is None and turn.audio is None:
        raise ValueError(f"{where} has neither text nor audio, must have one or both")
    if turn.text is not None and not normalise(turn.text):
        raise ValueError(f"{where}.text is {turn.text!r}, must hold at least one word")
    if turn.audio is not None and turn.audio not in files:
        raise ValueError(
            f"{where}.audio is {turn.audio!r}, must be one of the {len(files)} WAV and FLAC files "
            "in the folder"
        )
