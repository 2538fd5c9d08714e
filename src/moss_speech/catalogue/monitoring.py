"""What monitoring found, window by window, and the reference that windows are compared with."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from moss_speech.catalogue.monitor_tables import MonitorFigure


def record_figures(
    session: Session,
    watch: str,
    window: tuple[datetime, datetime],
    figures: Iterable[Mapping[str, Any]],
) -> None:
    """Write the figures of one watch: rows by the names of the table's columns."""
    begin, end = window
    for figure in figures:
        session.add(MonitorFigure(watch=watch, begins_at=begin, ends_at=end, **figure))


def reference_values(session: Session, figure: str, version: str) -> list[float | str]:
    """Values of the reference of a figure, as far as it is gathered."""
    of_figure = (MonitorFigure.figure == figure, MonitorFigure.version == version)
    newest = select(func.max(MonitorFigure.id)).where(
        *of_figure, MonitorFigure.begins_reference.is_(True)
    )
    rows = select(MonitorFigure.values).where(
        *of_figure,
        MonitorFigure.role == "reference",
        MonitorFigure.id >= func.coalesce(newest.scalar_subquery(), 0),
    )
    return [
        value for values in session.scalars(rows.order_by(MonitorFigure.id)) for value in values
    ]


def watched_until(session: Session) -> datetime | None:
    """Where the last window ended whose values were used; None before the first."""
    used = MonitorFigure.role.in_(("reference", "compared"))
    newest = select(MonitorFigure).where(used).order_by(MonitorFigure.ends_at.desc()).limit(1)
    row = session.scalars(newest).first()
    return None if row is None else row.ends_at


def drifting(session: Session) -> frozenset[tuple[str, str]]:
    """Figures, by name and version, whose last comparison found drift."""
    compared = MonitorFigure.role.in_(("compared", "canary"))
    newest = select(func.max(MonitorFigure.id)).where(compared)
    ids = newest.group_by(MonitorFigure.figure, MonitorFigure.version)
    rows = session.scalars(select(MonitorFigure).where(MonitorFigure.id.in_(ids)))
    return frozenset((row.figure, row.version) for row in rows if row.drifted)
