"""Registered model versions and the figures that they reached."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from moss_speech.catalogue.tables import Dataset, Evaluation, EvaluationSet, ModelVersion


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval and number of items, where it has them."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def record_version(
    session: Session, version: int, digest: str, run_id: str, dataset: Dataset | None
) -> ModelVersion:
    """Write a registered version once; `ValueError` if its number stands for another bundle."""
    known = session.get(ModelVersion, version)
    if known is not None and known.digest != digest:
        raise ValueError(
            f"version {version} has digest {digest} in MLflow and {known.digest} in the "
            "catalogue: MOSS_MLFLOW_TRACKING_URI and MOSS_DATABASE_URL must belong together"
        )
    if known is None:
        known = ModelVersion(version=version, digest=digest, run_id=run_id)
        known.dataset_id = dataset.id if dataset else None
        session.add(known)
        session.flush()
    return known


def find_version(session: Session, version: int) -> ModelVersion:
    """A registered version; `ValueError` names those that there are."""
    if (found := session.get(ModelVersion, version)) is None:
        there = list(session.scalars(select(ModelVersion.version).order_by(ModelVersion.version)))
        raise ValueError(f"no model version {version}; registered are {there or 'none'}")
    return found


def all_versions(session: Session) -> list[ModelVersion]:
    """Every registered version, oldest first."""
    return list(session.scalars(select(ModelVersion).order_by(ModelVersion.version)))


def version_of(session: Session, digest: str) -> ModelVersion | None:
    """The registered version that holds a bundle."""
    return session.scalars(select(ModelVersion).where(ModelVersion.digest == digest)).first()


def version_of_run(session: Session, run_id: str) -> ModelVersion | None:
    """The last version that a run registered."""
    query = select(ModelVersion).where(ModelVersion.run_id == run_id)
    return session.scalars(query.order_by(ModelVersion.version.desc()).limit(1)).first()


def figures(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Figure]:
    """Every number of reports/metrics.json by its dotted name.

    `accuracy` and `value` are left out of names: `s2s` is accuracy.s2s.value, `s2s.codes` is
    accuracy.s2s.codes. What is no finite number has no figure.
    """
    found: dict[str, Figure] = {}
    for key, entry in metrics.items():
        name = prefix + key
        if isinstance(entry, Mapping):
            inner = figures(entry, "" if name == "accuracy" else f"{name}.")
            if (value := inner.pop(f"{name}.value", None)) is not None:
                low, high = entry.get("ci95") or (None, None)
                inner.pop(f"{name}.n", None)
                inner[name] = Figure(value.value, low, high, entry.get("n"))
            found |= inner
        elif isinstance(entry, int | float) and math.isfinite(entry):
            found[name] = Figure(float(entry))
    return found


def record_evaluation(session: Session, digest: str, metrics: Mapping[str, Any]) -> None:
    """Write the figures of one evaluation of a bundle: the content of reports/metrics.json.

    One without figures is written too: it is the newest from now on.
    """
    made = EvaluationSet(digest=digest)
    session.add(made)
    session.flush()
    for metric, figure in figures(metrics).items():
        session.add(Evaluation(set_id=made.id, digest=digest, metric=metric, **asdict(figure)))


def last_evaluation(session: Session, digest: str) -> dict[str, Evaluation]:
    """The figures of the newest evaluation of a bundle; what it lacks, no older one lends it."""
    newest = select(func.max(EvaluationSet.id)).where(EvaluationSet.digest == digest)
    query = select(Evaluation).where(Evaluation.set_id == newest.scalar_subquery())
    return {row.metric: row for row in session.scalars(query)}
