"""The history of promotions: what was intended, what became of it, who is champion."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from moss_speech.catalogue.gate_tables import GateRow, Motive
from moss_speech.catalogue.tables import ModelVersion, Outcome, Promotion, Revert

Result = Literal["committed", "refused", "reverted"]
Kind = Literal["promote", "rollback"]


@dataclass(frozen=True)
class GateResult:
    """What one gate says: its figures with their limits, in words and for programs."""

    gate: str
    met: bool
    said: str
    figures: dict[str, Any]

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Wanted:
    """Who wants a promotion, why (may be empty), and the limits that it is judged by."""

    approved_by: str
    why: str
    gates: Mapping[str, Any]
    offered: bool = False
    """By a pipeline, without a person who chose this version."""


def record_intent(
    session: Session, kind: Kind, old: int | None, new: ModelVersion, wanted: Wanted
) -> Promotion:
    """Write that `new` is to become champion in place of `old`."""
    promotion = Promotion(
        kind=kind,
        old_version=old,
        new_version=new.version,
        digest=new.digest,
        approved_by=wanted.approved_by,
        gates=dict(wanted.gates),
    )
    session.add(promotion)
    session.flush()
    if wanted.why:
        session.add(Motive(promotion_id=promotion.id, why=wanted.why))
    return promotion


def record_gates(session: Session, promotion: Promotion, results: Sequence[GateResult]) -> None:
    """Write what every gate said of a promotion, once."""
    session.add_all(
        GateRow(promotion_id=promotion.id, place=place, **asdict(result))
        for place, result in enumerate(results)
    )


def gates_of(session: Session, promotion: Promotion) -> list[GateResult]:
    """What every gate said, in their order; nothing if it was never judged."""
    query = select(GateRow).where(GateRow.promotion_id == promotion.id).order_by(GateRow.place)
    rows = session.scalars(query)
    return [GateResult(row.gate, row.met, row.said, row.figures) for row in rows]


def motive_of(session: Session, promotion: Promotion) -> str:
    """Why it was wanted; empty if nobody said."""
    found = session.get(Motive, promotion.id)
    return found.why if found else ""


def record_outcome(session: Session, promotion: Promotion, result: Result, reason: str) -> None:
    """Write what became of a promotion; a second outcome breaks the table's key."""
    session.add(Outcome(promotion_id=promotion.id, result=result, reason=reason))


def record_revert(session: Session, found: int | None, restored: int | None, reason: str) -> None:
    """Write that a direct edit of the champion was undone."""
    session.add(Revert(found_version=found, restored_version=restored, reason=reason))


def unfinished(session: Session) -> list[Promotion]:
    """Promotions whose process died before an outcome, oldest first."""
    query = select(Promotion).outerjoin(Outcome).where(Outcome.promotion_id.is_(None))
    return list(session.scalars(query.order_by(Promotion.id)))


def _committed(session: Session, *conditions: Any) -> Promotion | None:
    query = select(Promotion).join(Outcome).where(Outcome.result == "committed", *conditions)
    return session.scalars(query.order_by(Promotion.id.desc()).limit(1)).first()


def current(session: Session) -> Promotion | None:
    """The promotion that made the champion of now; None before the first."""
    return _committed(session)


def rolled_back_from(session: Session, version: int) -> Promotion | None:
    """The rollback that ended a version's last time as champion; None if none did."""
    touches = or_(Promotion.new_version == version, Promotion.old_version == version)
    is_way_in = Promotion.new_version == version
    last = _committed(session, touches, or_(is_way_in, Promotion.kind == "rollback"))
    return last if last is not None and last.old_version == version else None


def earlier_champions(session: Session) -> list[int]:
    """Versions that were champion before the present one, each before the one promoted over it."""
    if (now := current(session)) is None:
        return []
    found, version, before = list[int](), now.new_version, now.id + 1
    while made := _committed(
        session,
        Promotion.kind == "promote",
        Promotion.new_version == version,
        Promotion.id < before,
    ):
        if made.old_version is None:
            break
        version, before = made.old_version, made.id
        if version not in (now.new_version, *found):
            found.append(version)
    return found


def history(session: Session) -> list[tuple[Promotion, Outcome | None]]:
    """Every promotion with its outcome, newest first."""
    query = select(Promotion, Outcome).outerjoin(Outcome).order_by(Promotion.id.desc())
    return [(promotion, outcome) for promotion, outcome in session.execute(query)]


def reverts(session: Session) -> list[Revert]:
    """Every direct edit that was undone, newest first."""
    return list(session.scalars(select(Revert).order_by(Revert.id.desc())))
