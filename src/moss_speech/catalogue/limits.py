"""What callers of the service hold and use, counted over all its workers.

A live session holds one of its caller's numbered places; the table's key makes it impossible that
two hold the same one, on every database. Requests and tokens are counted in fixed minutes, UTC.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from moss_speech.catalogue.serving_tables import Lease, Spending

LEASE_S = 30
"""A session that was not seen for so long is gone: its worker was killed."""
MINUTE_S = 60


@dataclass(frozen=True)
class Spent:
    """What a caller used in one minute, which ends in `reset_s`."""

    requests: int
    tokens: int
    reset_s: float


def _insert(session: Session, table: type[Any]) -> Any:
    """An insert that can say what to do about a row that is there; both databases have it."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def take_place(session: Session, caller: str, n_places: int, at: datetime) -> str | None:
    """Hold one of a caller's places; returns the lease, or None when all are taken."""
    gone = Lease.seen_at < at - timedelta(seconds=LEASE_S)
    session.execute(delete(Lease).where(Lease.caller == caller, gone))
    taken = set(session.scalars(select(Lease.place).where(Lease.caller == caller)))
    lease = f"lease_{secrets.token_hex(12)}"
    for place in sorted(set(range(n_places)) - taken):
        row = {"id": lease, "caller": caller, "place": place, "seen_at": at}
        taking = _insert(session, Lease).values(row).on_conflict_do_nothing()
        if session.scalar(taking.returning(Lease.id)):  # the row count is unknown on PostgreSQL
            return lease
    return None


def see_places(session: Session, leases: Collection[str], at: datetime) -> None:
    """Say that the sessions with these leases live."""
    session.execute(update(Lease).where(Lease.id.in_(leases)).values(seen_at=at))


def free_place(session: Session, lease: str) -> None:
    """Give a place back."""
    session.execute(delete(Lease).where(Lease.id == lease))


def spend(session: Session, caller: str, requests: int, tokens: int, at: datetime) -> Spent:
    """Add to what a caller used in this minute; returns the sums."""
    minute, past_s = divmod(at.timestamp(), MINUTE_S)
    row = {"caller": caller, "minute": int(minute), "requests": requests, "tokens": tokens}
    adding = _insert(session, Spending).values(row)
    is_new = adding.excluded.minute > Spending.minute
    used = {
        "minute": case((is_new, adding.excluded.minute), else_=Spending.minute),
        "requests": adding.excluded.requests + case((is_new, 0), else_=Spending.requests),
        "tokens": adding.excluded.tokens + case((is_new, 0), else_=Spending.tokens),
    }
    adding = adding.on_conflict_do_update(index_elements=[Spending.caller], set_=used)
    sums = session.execute(adding.returning(Spending.requests, Spending.tokens)).one()
    return Spent(sums.requests, sums.tokens, MINUTE_S - past_s)
