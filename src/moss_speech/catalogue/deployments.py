"""Which version was given to conversations, where, from when to when."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from moss_speech.catalogue.serving_tables import Deployment

SEEN_S = 60
"""How often a worker says that it still serves."""
LOST_S = 5 * SEEN_S
"""A worker that was not seen for so long was killed."""


@dataclass(frozen=True)
class Served:
    """A deployment as it is told: `until` None while it runs."""

    version: str
    digest: str
    place: str
    since: datetime
    until: datetime | None


def open_deployment(session: Session, version: str, digest: str, place: str, at: datetime) -> str:
    """Write that a worker gives a version to conversations; returns the deployment's id."""
    row = Deployment(id=f"dep_{secrets.token_hex(12)}", version=version, digest=digest)
    row.place, row.opened_at, row.seen_at = place, at, at
    session.add(row)
    return row.id


def see_deployment(session: Session, deployment: str, at: datetime) -> None:
    """Say that it goes on."""
    session.execute(update(Deployment).where(Deployment.id == deployment).values(seen_at=at))


def close_deployment(session: Session, deployment: str, at: datetime) -> None:
    """Write that it ended."""
    ended = {"seen_at": at, "closed_at": at}
    session.execute(update(Deployment).where(Deployment.id == deployment).values(ended))


def deployments(
    session: Session, at: datetime, digests: Collection[str] | None = None
) -> list[Served]:
    """Every deployment, newest first; of some bundles only if named."""
    query = select(Deployment).order_by(Deployment.opened_at.desc(), Deployment.id)
    if digests is not None:
        query = query.where(Deployment.digest.in_(digests))
    lost = at - timedelta(seconds=LOST_S)
    return [
        Served(
            row.version,
            row.digest,
            row.place,
            row.opened_at,
            row.closed_at or (row.seen_at if row.seen_at < lost else None),
        )
        for row in session.scalars(query)
    ]


def served_since(session: Session, at: datetime) -> set[str]:
    """Digests of the bundles that were served at or after a time."""
    query = select(Deployment.digest).where(
        or_(Deployment.seen_at >= at, Deployment.closed_at >= at)
    )
    return set(session.scalars(query.distinct()))
