"""Tables of the catalogue; rows are added, never changed."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DIGEST_CHARS = 64
"""Length of a SHA-256 in hexadecimal."""


class Utc(TypeDecorator[datetime]):
    """A time with its zone on every database; SQLite alone would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone, store the others as UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"time {value} has no zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """Base of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class Dataset(Table):
    """One cleaned corpus, named by its content."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS), unique=True)
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class Source(Table):
    """Where recordings of a dataset came from, and what their owners allow."""

    __tablename__ = "sources"

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    licence: Mapped[str]
    consent: Mapped[str]
    n_utterances: Mapped[int]


class Verdict(Table):
    """Whether an utterance of a dataset was kept; if not, what was wrong with it."""

    __tablename__ = "verdicts"
    __table_args__ = (
        CheckConstraint("kept = (reason IS NULL)", name="reason_for_reject"),
        Index(None, "speaker"),
    )

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    utterance: Mapped[str] = mapped_column(primary_key=True)
    speaker: Mapped[str]
    kept: Mapped[bool]
    reason: Mapped[str | None]
    value: Mapped[str | None]
    allowed: Mapped[str | None]


class ModelVersion(Table):
    """A registered model version: which bundle, from which run and which data."""

    __tablename__ = "model_versions"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS), unique=True)
    run_id: Mapped[str]
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class EvaluationSet(Table):
    """One evaluation of a bundle, also one that reached no figure."""

    __tablename__ = "evaluation_sets"
    __table_args__ = (Index(None, "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS))
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class Evaluation(Table):
    """One figure that a bundle reached, with its 95 % interval and number of items."""

    __tablename__ = "evaluations"
    __table_args__ = (Index(None, "set_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    set_id: Mapped[int] = mapped_column(ForeignKey("evaluation_sets.id"))
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS))
    metric: Mapped[str]
    value: Mapped[float]
    low: Mapped[float | None]
    high: Mapped[float | None]
    n: Mapped[int | None]
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class Promotion(Table):
    """The intent to make `new_version` the champion; what became of it is its outcome."""

    __tablename__ = "promotions"
    __table_args__ = (CheckConstraint("kind IN ('promote', 'rollback')", name="kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    old_version: Mapped[int | None]
    new_version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS))
    approved_by: Mapped[str]
    gates: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The limits that it is judged by; a rollback has none."""
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class Outcome(Table):
    """What became of a promotion, at most once."""

    __tablename__ = "outcomes"
    __table_args__ = (
        CheckConstraint("result IN ('committed', 'refused', 'reverted')", name="result"),
    )

    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), primary_key=True)
    result: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class Revert(Table):
    """A direct edit of the champion alias that was undone."""

    __tablename__ = "reverts"

    id: Mapped[int] = mapped_column(primary_key=True)
    found_version: Mapped[int | None]
    """What the alias pointed at; None when it had been deleted."""
    restored_version: Mapped[int | None]
    """What it points at again; None when there was no approved champion."""
    reason: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)
