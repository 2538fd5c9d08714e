"""Spoken answers that clients may refer to by id: kept for a while, the newest of them only."""

from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from moss_speech.catalogue.serving_tables import Answer

MAX_ANSWERS = 10_000


def keep_answer(
    session: Session, answer_id: str, codes: bytes, expires_at: datetime, at: datetime
) -> None:
    """Write an answer's codes; removes what has expired and what lies beyond the newest."""
    session.add(Answer(id=answer_id, codes=codes, expires_at=expires_at))
    session.flush()
    newest_first = select(Answer.expires_at).order_by(Answer.expires_at.desc())
    last_kept = newest_first.offset(MAX_ANSWERS).limit(1).scalar_subquery()
    session.execute(
        delete(Answer).where(or_(Answer.expires_at <= at, Answer.expires_at <= last_kept))
    )


def find_answer(session: Session, answer_id: str, at: datetime) -> Answer | None:
    """An answer that has not expired."""
    found = session.get(Answer, answer_id)
    return found if found is not None and found.expires_at > at else None
