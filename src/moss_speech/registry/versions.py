"""Versions of the registered model: a bundle in MLflow, its figures and data in the catalogue."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from moss_speech.catalogue.data import find_dataset
from moss_speech.catalogue.database import catalogue, registration_lock
from moss_speech.catalogue.models import (
    figures,
    find_version,
    record_evaluation,
    record_version,
    version_of,
)
from moss_speech.catalogue.recipes import record_recipe
from moss_speech.catalogue.tables import ModelVersion
from moss_speech.catalogue.verdict_items import record_items
from moss_speech.evaluation.names import scalars
from moss_speech.registry.items import report_items
from moss_speech.registry.origins import record_version_origin
from moss_speech.registry.recipe import recipe_of_root
from moss_speech.registry.store import MODEL, asking_entry, tracking_client
from moss_speech.registry.tracking import MlflowTracker, filed_name, filed_run
from moss_speech.settings import settings
from moss_speech.storage import fresh_dir, link_or_copy, tree_digest

CANDIDATE, APPROVED, CHAMPION = "candidate", "approved", "champion"
"""Aliases: offered last; accepted by a person or by automatic gates; served."""
DIGEST_TAG = "moss.digest"
_REPORT = "report"
_WRITABLE = 0o222
"""Permission to write, anybody's."""


def _place(digest: str) -> str:
    """Folder of a bundle among the artifacts of its run, which may offer several."""
    return f"bundle/{digest[:12]}"


@dataclass(frozen=True)
class Candidate:
    """What is offered to the registry."""

    bundle: Path
    metrics: Mapping[str, Any]
    """Content of reports/metrics.json; with `latency` that of reports/latency.json."""
    report: Path
    """Folder of the evaluation's report with its items."""
    dataset: str | None = None
    """Digest of the cleaned corpus, as `lineage.record_data` gave it."""


def _create_model() -> None:
    from mlflow.exceptions import MlflowException

    try:
        tracking_client().create_registered_model(MODEL)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _known_version(digest: str) -> Any | None:
    """The registry's entry of a bundle. The catalogue says which, where it knows the bundle."""
    query = f"name = '{MODEL}' and tags.`{DIGEST_TAG}` = '{digest}'"
    entries = {int(e.version): e for e in tracking_client().search_model_versions(query)}
    with catalogue() as session:
        known = version_of(session, digest)
    if known is None:
        return entries[min(entries)] if entries else None
    if known.version not in entries:
        raise ValueError(
            f"version {known.version} of {MODEL} holds this bundle, but its entry is gone from "
            "MLflow, which gives no number twice: `moss-speech restore` a backup that has it, or "
            "register a bundle that differs; if it was never deleted, MOSS_MLFLOW_TRACKING_URI "
            "and MOSS_DATABASE_URL must belong together"
        )
    return entries[known.version]


def _new_version(tracker: MlflowTracker, digest: str) -> Any:
    return tracking_client().create_model_version(
        MODEL,
        source=f"runs:/{tracker.run_id}/{_place(digest)}",
        run_id=tracker.run_id,
        tags={DIGEST_TAG: digest},
    )


def _mend(version: ModelVersion, bundle: Path) -> None:
    """Put the files back into the store if those of a known version were lost or damaged."""
    try:
        bundle_of(version)
    except ValueError:
        _file_bundle(version.run_id, bundle, version.digest)


def _tag_figures(version: int, metrics: Mapping[str, Any]) -> None:
    """What the registry's page shows of a version; gates read the catalogue instead."""
    for name, figure in figures(metrics).items():
        if figure.low is not None:
            shown = f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, n {figure.n})"
            tracking_client().set_model_version_tag(MODEL, str(version), filed_name(name), shown)


def _register(tracker: MlflowTracker, candidate: Candidate) -> int:
    digest, items = tree_digest(candidate.bundle), report_items(candidate.report)
    recipe = recipe_of_root(settings().root)
    _create_model()
    if _known_version(digest) is None:  # filed before anybody has to wait for the lock
        _file_bundle(tracker.run_id, candidate.bundle, digest)
    tracking_client().log_artifacts(tracker.run_id, str(candidate.report), _REPORT)
    with registration_lock():
        entry = _known_version(digest) or _new_version(tracker, digest)
        version = int(entry.version)
        with catalogue() as session:
            dataset = find_dataset(session, candidate.dataset) if candidate.dataset else None
            recorded = record_version(session, version, digest, entry.run_id, dataset)
            record_recipe(session, version, recipe)
            record_evaluation(session, digest, candidate.metrics)
            record_items(session, digest, items)
        record_version_origin(version, tracker.run_id, candidate.bundle)
    _mend(recorded, candidate.bundle)
    _tag_figures(version, candidate.metrics)
    tracking_client().set_registered_model_alias(MODEL, CANDIDATE, str(version))
    return version


def register_candidate(candidate: Candidate, run_id: str | None = None) -> int:
    """File report and bundle, and give its version the alias `candidate`.

    A bundle that is registered already keeps its version and gets the new figures. Everything
    is filed in the run `run_id`, the pipeline's, which has its figures; without one in a run of
    its own, with the figures.
    """
    if run_id := run_id or settings().parent_run:
        return _register(MlflowTracker(run_id), candidate)
    with filed_run("register", {}) as tracker:
        tracker.metrics(scalars(candidate.metrics))
        return _register(tracker, candidate)


def registered_bundle(version: int) -> Path:
    """The bundle folder of a version by its number; see `bundle_of`."""
    with catalogue() as session:
        found = find_version(session, version)
    return bundle_of(found)


def record_judged(version: int, metrics: Mapping[str, Any], report: Path) -> int:
    """File a new evaluation of a registered version; returns how many items it has."""
    items = report_items(report)
    with catalogue() as session:
        digest = find_version(session, version).digest
        record_evaluation(session, digest, metrics)
        record_items(session, digest, items)
    return len(items)


def version_with(alias: str) -> int | None:
    """The version that carries an alias, None if no version does."""
    from mlflow.exceptions import MlflowException

    try:
        model = tracking_client().get_registered_model(MODEL)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    version = model.aliases.get(alias)
    return None if version is None else int(version)


def set_alias(alias: str, version: int) -> None:
    """Give a registered version an alias; `GoneError` if its entry was deleted."""
    with asking_entry(version):
        tracking_client().set_registered_model_alias(MODEL, alias, str(version))


def approve(version: int) -> None:
    """Mark a registered version as accepted, as a person does in the MLflow UI."""
    with catalogue() as session:
        find_version(session, version)
    set_alias(APPROVED, version)


def _checked(folder: Path, version: ModelVersion) -> Path:
    if not folder.is_dir():
        raise ValueError(f"version {version.version} of {MODEL} has no bundle at {folder}")
    if (found := tree_digest(folder)) != version.digest:
        raise ValueError(
            f"version {version.version} of {MODEL} is damaged: {folder} has digest {found}, "
            f"must be {version.digest}; `moss-speech rollback` returns to the previous champion"
        )
    return folder


def _artifacts_of(run_id: str) -> Path | None:
    """The folder of a run's artifacts; None if they are behind a server."""
    root = urlparse(tracking_client().get_run(run_id).info.artifact_uri)
    return Path(url2pathname(root.path)) if root.scheme in ("", "file") else None


def local_bundle(version: ModelVersion) -> Path | None:
    """Where a version's bundle lies or lay among local artifacts, unchecked."""
    artifacts = _artifacts_of(version.run_id)
    return None if artifacts is None else artifacts / _place(version.digest)


def bundle_of(version: ModelVersion) -> Path:
    """The bundle folder of a version; `ValueError` if it is not what was registered.

    It is the artifact folder itself when that is local, else a copy in the state folder, which is
    fetched again if it was damaged.
    """
    if (folder := local_bundle(version)) is not None:
        return _checked(folder, version)
    place = _place(version.digest)
    copy = settings().state / "models" / version.digest
    name = Path(place).name  # what a download is called: the last part of its address
    try:
        return _checked(copy / name, version)
    except ValueError:
        with fresh_dir(copy) as folder:
            tracking_client().download_artifacts(version.run_id, place, str(folder))
            _checked(folder / name, version)
        return copy / name


def _file_bundle(run_id: str, bundle: Path, digest: str) -> None:
    """Put a bundle among a run's artifacts: a second name for what nobody may write to, as DVC
    leaves what it keeps, a copy of the rest.
    """
    artifacts, place = _artifacts_of(run_id), _place(digest)
    if artifacts is None:
        tracking_client().log_artifacts(run_id, str(bundle), place)
        return
    with fresh_dir(artifacts / place) as folder:
        for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
            target = folder / path.relative_to(bundle)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.stat().st_mode & _WRITABLE:
                shutil.copyfile(path, target)
            else:
                link_or_copy(path, target)
