"""Tables of decisions: values of single items, results of gates, reasons, recipes of versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from moss_speech.catalogue.tables import DIGEST_CHARS, Table, Utc, now


class ItemSet(Table):
    """The items of one evaluation of a bundle."""

    __tablename__ = "item_sets"
    __table_args__ = (Index(None, "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS))
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class ItemValue(Table):
    """What one item counted for in a figure."""

    __tablename__ = "item_values"

    set_id: Mapped[int] = mapped_column(ForeignKey("item_sets.id"), primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    fact: Mapped[str]
    voice: Mapped[str]
    asked: Mapped[str] = mapped_column(String(DIGEST_CHARS))
    """SHA-256 of the question and its right answer: equal ones can be compared."""
    value: Mapped[float]


class GateRow(Table):
    """What one gate said in a promotion; a promotion without rows was never judged."""

    __tablename__ = "gate_results"

    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), primary_key=True)
    gate: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int]
    """Order among the gates of its promotion."""
    met: Mapped[bool]
    said: Mapped[str]
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Figure, limit, interval and number of items, where the gate has them."""


class Motive(Table):
    """Why a person wanted a promotion or rollback."""

    __tablename__ = "motives"

    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), primary_key=True)
    why: Mapped[str]


class Recipe(Table):
    """What a version was made from, as far as it was known when it was registered first."""

    __tablename__ = "recipes"

    version: Mapped[int] = mapped_column(ForeignKey("model_versions.version"), primary_key=True)
    commit: Mapped[str]
    """Git commit of the code; empty outside a repository."""
    edited: Mapped[list[str]] = mapped_column(JSON)
    """Tracked files with uncommitted edits."""
    params: Mapped[str]
    """Content of params.yaml."""
    lock: Mapped[str]
    """Content of dvc.lock; empty if DVC made nothing."""
    packages: Mapped[dict[str, str]] = mapped_column(JSON)
    """Version of Python and of each installed package."""
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)
