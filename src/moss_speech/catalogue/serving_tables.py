"""Tables that the workers of a service share; their rows change and expire."""

from datetime import datetime

from sqlalchemy import JSON, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from moss_speech.catalogue.tables import DIGEST_CHARS, Table, Utc, now


class ApiKey(Table):
    """A key of the service: its digest, what it opens and how much; the key itself is not kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    sessions: Mapped[int]
    requests_per_minute: Mapped[int]
    tokens_per_minute: Mapped[int]
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)
    expires_at: Mapped[datetime | None] = mapped_column(Utc)
    revoked_at: Mapped[datetime | None] = mapped_column(Utc)


class Lease(Table):
    """A live session: one of its caller's places, held while it is seen."""

    __tablename__ = "leases"
    __table_args__ = (UniqueConstraint("caller", "place"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    caller: Mapped[str]
    place: Mapped[int]
    seen_at: Mapped[datetime] = mapped_column(Utc)


class Spending(Table):
    """What a caller used in the newest minute that it called in."""

    __tablename__ = "spendings"

    caller: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[int]
    """Since 1970, UTC."""
    requests: Mapped[int]
    tokens: Mapped[int]


class Answer(Table):
    """A spoken answer that a client may refer to by its id: codes, 16 bits each."""

    __tablename__ = "answers"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    codes: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(Utc)


class Deployment(Table):
    """A version that a worker gives to conversations, as long as it is seen to."""

    __tablename__ = "deployments"
    __table_args__ = (Index(None, "digest"), Index(None, "seen_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    """Its number in the registry; `local` for a plain folder."""
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS))
    place: Mapped[str]
    """Host and process."""
    opened_at: Mapped[datetime] = mapped_column(Utc)
    seen_at: Mapped[datetime] = mapped_column(Utc)
    closed_at: Mapped[datetime | None] = mapped_column(Utc)
    """None while it is given out, or if its worker was killed: then `seen_at` tells until when."""
