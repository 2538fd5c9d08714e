"""A JSONL file of dialogues: typed, or with recordings beside it (rows as in `dialogue_rows`)."""

import json
from collections.abc import Iterator
from pathlib import Path

from moss_speech.corpus.index import DiskIndex
from moss_speech.corpus.items import Dialogue, Split
from moss_speech.corpus.sources.dialogue_rows import (
    ROLES,
    DialogueRow,
    TurnRow,
    dialogue_of,
    read_dialogue_rows,
)
from moss_speech.corpus.sources.intake import Facts, Intake, Opened
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.params.sources import Dialogues


def open_dialogues(source: Dialogues, intake: Intake) -> Opened:
    """Dialogues and the recordings they name, each once; `ValueError` if there is no such file."""
    table = intake.path / "dialogues.jsonl" if intake.path.is_dir() else intake.path
    if not table.is_file():
        raise ValueError(f"{table} does not exist, must be a JSONL file of dialogues")
    reader = _DialogueFile(source, intake, table)
    return Opened(reader.items(), reader.dialogues())


class _DialogueFile:
    """Reads the file twice, so that memory does not grow with it: for items, for dialogues."""

    def __init__(self, source: Dialogues, intake: Intake, table: Path) -> None:
        self._source, self._intake, self._table = source, intake, table
        self._seen, self._taken = DiskIndex(), DiskIndex()

    def items(self) -> Iterator[Item | Quarantined]:
        """The recordings in the order in which they are first named."""
        for row in read_dialogue_rows(self._table):
            split = self._split(row)
            for name, turn in row.recorded:
                if self._seen.add(name):
                    item = self._item(name, turn, split)
                    if isinstance(item, Item):
                        self._taken.add(name, json.dumps([item.id, item.text]))
                    yield item

    def dialogues(self) -> Iterator[Dialogue]:
        """The dialogues, whose recordings are known by now."""
        for number, row in enumerate(read_dialogue_rows(self._table)):
            item_id = f"{self._source.name}-{number:06d}"
            yield dialogue_of(item_id, row, self._split(row), self._of)

    def _of(self, name: str) -> tuple[str, str] | None:
        found = self._taken.get(name)
        if found is None:
            return None
        item_id, text = json.loads(found)
        return item_id, text

    def _speaker(self, turn: TurnRow) -> str:
        if turn.speaker is not None:
            return self._intake.speaker(turn.speaker)
        return self._source.speaker if turn.role == "user" else self._source.assistant

    def _split(self, row: DialogueRow) -> Split:
        """That of its first recorded user; of a typed dialogue by its words."""
        users = [turn for _, turn in row.recorded if turn.role == "user"]
        return self._intake.split(self._speaker(users[0]) if users else row.typed)

    def _item(self, name: str, turn: TurnRow, split: Split) -> Item | Quarantined:
        """The assistant speaks in all splits: its voice is one of training."""
        speaker = self._speaker(turn)
        is_answer = turn.role == "assistant" and self._source.split == "auto"
        file = self._table.parent / name
        facts = Facts(
            name=name.removesuffix(file.suffix),
            text=turn.text,
            speaker=speaker,
            voice_split="train" if is_answer else self._intake.split(speaker),
            text_split=split,
            language=self._source.language,
            role=ROLES[turn.role],
        )
        return self._intake.file(facts, file)
