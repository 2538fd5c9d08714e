"""The history of promotions: what was intended, what became of it, who is champion."""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from moss_speech.catalogue.tables import ModelVersion, Outcome, Promotion, Revert

Result = Literal["committed", "refused", "reverted"]
Kind = Literal["promote", "rollback"]


def record_intent(
    session: Session,
    kind: Kind,
    old: int | None,
    new: ModelVersion,
    approved_by: str,
    gates: Mapping[str, Any],
) -> Promotion:
    """Write that `new` is to become champion in place of `old`."""
    promotion = Promotion(
        kind=kind,
        old_version=old,
        new_version=new.version,
        digest=new.digest,
        approved_by=approved_by,
        gates=dict(gates),
    )
    session.add(promotion)
    session.flush()
    return promotion


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


def previous_version(session: Session) -> int | None:
    """The version that was champion before the present one was first promoted over it."""
    if (now := current(session)) is None:
        return None
    made = _committed(
        session, Promotion.kind == "promote", Promotion.new_version == now.new_version
    )
    return made.old_version if made else None


def history(session: Session) -> list[tuple[Promotion, Outcome | None]]:
    """Every promotion with its outcome, newest first."""
    query = select(Promotion, Outcome).outerjoin(Outcome).order_by(Promotion.id.desc())
    return [(promotion, outcome) for promotion, outcome in session.execute(query)]


def reverts(session: Session) -> list[Revert]:
    """Every direct edit that was undone, newest first."""
    return list(session.scalars(select(Revert).order_by(Revert.id.desc())))
