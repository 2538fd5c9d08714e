"""Table of what monitoring found; rows are added, never changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from moss_speech.catalogue.tables import Table, Utc, now

WATCH_CHARS = 16


class MonitorFigure(Table):
    """One figure of one window; of turns it holds sorted values, so nobody's turn can be told."""

    __tablename__ = "monitor_figures"
    __table_args__ = (
        CheckConstraint("role IN ('reference', 'compared', 'few', 'canary')", name="role"),
        Index(None, "figure", "version"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    watch: Mapped[str] = mapped_column(String(WATCH_CHARS))
    """Names the run of the monitor that it belongs to."""
    begins_at: Mapped[datetime] = mapped_column(Utc)
    ends_at: Mapped[datetime] = mapped_column(Utc)
    figure: Mapped[str]
    version: Mapped[str]
    """Of the model that answered; empty for figures of questions."""
    role: Mapped[str]
    """Part of the reference, compared with it, or too few values for that; or a canary's."""
    begins_reference: Mapped[bool]
    """True: earlier rows of this figure are no longer its reference."""
    n: Mapped[int]
    value: Mapped[float | None]
    """Median, or the share of the most frequent category; None without values."""
    reference: Mapped[float | None]
    """The same of the reference; of canaries the floor."""
    distance: Mapped[float | None]
    p: Mapped[float | None]
    drifted: Mapped[bool]
    values: Mapped[list[Any]] = mapped_column(JSON)
    """Sorted values of a reference; of other rows none."""
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)
