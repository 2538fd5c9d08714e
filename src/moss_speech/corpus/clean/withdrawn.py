"""Who may not be trained on any more: withdrawn.jsonl at the project root, one withdrawal a line.

    {"source": "team" | null, "speaker": "anna" | null}

Null stands for any; a line names at least one. `moss-speech forget` writes the file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.items import Dialogue, Utterance
from moss_speech.storage import read_jsonl, write_jsonl

FILE = "withdrawn.jsonl"
REASON = "withdrawn"


@dataclass(frozen=True)
class Withdrawal:
    """A speaker, a whole source, or a speaker in one source."""

    source: str | None = None
    speaker: str | None = None

    def covers(self, source: str | None, speaker: str) -> bool:
        """Whether an utterance of this source and speaker is theirs."""
        return self.source in (None, source) and self.speaker in (None, speaker)

    def __str__(self) -> str:
        return " in ".join(f"{k} {v}" for k, v in sorted(asdict(self).items(), reverse=True) if v)


def write_withdrawn(path: Path, withdrawals: Iterable[Withdrawal]) -> None:
    """Write the file, sorted: equal withdrawals give equal bytes."""
    write_jsonl(path, [asdict(w) for w in sorted(set(withdrawals), key=str)])


def read_withdrawn(path: Path) -> list[Withdrawal]:
    """Read the file; `ValueError` names the line that cannot be used.

    A line that were passed over would bring somebody's speech back.
    """
    return [_withdrawal(row, f"{path} line {n}") for n, row in enumerate(read_jsonl(path), 1)]


def _withdrawal(row: Any, where: str) -> Withdrawal:
    names = ("source", "speaker")
    if not isinstance(row, dict) or set(row) - set(names):
        raise ValueError(f"{where} is {str(row)[:80]}, must be an object of source and speaker")
    for name in names:
        value = row.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ValueError(f"{where}: {name} is {value!r}, must be a name or null")
    found = Withdrawal(row.get("source"), row.get("speaker"))
    if found == Withdrawal():
        raise ValueError(f"{where} names neither source nor speaker, must name one")
    return found


def check_withdrawn(u: Utterance, withdrawals: Iterable[Withdrawal]) -> Reject | None:
    """Reject what belongs to somebody who withdrew."""
    rule = next((w for w in withdrawals if w.covers(u.tags.get("source"), u.speaker)), None)
    return None if rule is None else Reject(u.id, REASON, str(rule), f"nobody in {FILE}")


def without_withdrawn(
    dialogues: Iterable[Dialogue], withdrawn_ids: frozenset[str]
) -> Iterator[Dialogue]:
    """Dialogues without those in which withdrawn utterances alone speak a turn: it is theirs."""
    for dialogue in dialogues:
        spoken = (set(turn.utterances) for turn in dialogue.turns if turn.utterances)
        if not any(utterances <= withdrawn_ids for utterances in spoken):
            yield dialogue
