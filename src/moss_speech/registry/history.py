"""The history of champions as people and programs read it: who, when, why, with which figures."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import (
    GateResult,
    current,
    gates_of,
    history,
    motive_of,
    reverts,
)


@dataclass(frozen=True)
class Told:
    """One decision on the champion, or a direct edit that was undone."""

    when: datetime
    kind: str
    """`promote`, `rollback` or `edit`."""
    version: int | None
    result: str
    """`committed`, `refused`, `reverted`, or `unfinished` while its process lives or is dead."""
    who: str
    why: str
    reason: str
    is_champion: bool
    gates: tuple[GateResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; the time as ISO 8601."""
        return asdict(self) | {"when": self.when.isoformat()}

    def line(self) -> str:
        """One line for people."""
        mark = "*" if self.is_champion else " "
        when = self.when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        why = f" ({self.why})" if self.why else ""
        what = f"{self.kind} version {self.version or 'none'} {self.result}"
        return f"{mark} {when}  {what}, by {self.who}{why}: {self.reason}"


def champions() -> list[Told]:
    """Every decision and undone edit, newest first; asks no tracking server."""
    with catalogue() as session:
        now = current(session)
        decisions = [
            Told(
                promotion.recorded_at,
                promotion.kind,
                promotion.new_version,
                outcome.result if outcome else "unfinished",
                promotion.approved_by,
                motive_of(session, promotion),
                outcome.reason if outcome else "its process has not ended it",
                now is not None and promotion.id == now.id,
                tuple(gates_of(session, promotion)),
            )
            for promotion, outcome in history(session)
        ]
        edits = [
            Told(
                r.recorded_at, "edit", r.found_version, "reverted", "a person", "", r.reason, False
            )
            for r in reverts(session)
        ]
    return sorted([*decisions, *edits], key=lambda told: told.when, reverse=True)
