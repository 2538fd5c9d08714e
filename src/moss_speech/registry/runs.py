"""Runs by the names that people give them, their children, and their artifacts as folders."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse
from urllib.request import url2pathname

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.registry.store import MODEL, experiment_id, tracking_client
from moss_speech.registry.tracking import MAKER_TAG, PARENT_TAG, PIPELINE, STAGE_TAG
from moss_speech.registry.versions import version_with
from moss_speech.settings import settings
from moss_speech.storage import fresh_dir

if TYPE_CHECKING:
    from mlflow.entities import Run

_VERSION = re.compile(r"v?(?P<number>\d{1,6})")
_RUN_ID = re.compile(r"[0-9a-f]{4,32}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]*")
_MAX_CHILDREN = 1000
NAMES = (
    "a run id or its first 4 or more characters, a version (v3), an alias (champion), latest, "
    "or the folder of an evaluation"
)
"""What a run may be called."""


@dataclass(frozen=True)
class FiledRun:
    """A run of the tracking store with the model version that was named, if one was."""

    run: "Run"
    version: int | None = None


def find_run(name: str) -> FiledRun:
    """The run that a name stands for; a stage's run stands for its pipeline.

    `ValueError` for a name that stands for none or for several.
    """
    if match := _VERSION.fullmatch(name):
        return _of_version(int(match["number"]))
    if _RUN_ID.fullmatch(name):
        return FiledRun(_pipeline(by_prefix(name)))
    if _ALIAS.fullmatch(name.lstrip("@")):
        if (version := version_with(name.lstrip("@"))) is not None:
            return _of_version(version)
        raise ValueError(f"run {name!r}: {MODEL} has no such alias; must be {NAMES}")
    raise ValueError(f"run {name!r} cannot be read, must be {NAMES}")


def latest_pipeline() -> "Run | None":
    """The pipeline that ended last without an error."""
    query = f"tags.`{STAGE_TAG}` = '{PIPELINE}' and attributes.status = 'FINISHED'"
    order = ["attributes.start_time DESC"]
    found = tracking_client().search_runs([experiment_id()], query, max_results=1, order_by=order)
    return found[0] if found else None


def children(run: "Run") -> "list[Run]":
    """Runs of the stages under a run, in the order of their start."""
    query = f"tags.`{PARENT_TAG}` = '{run.info.run_id}'"
    order = ["attributes.start_time ASC"]
    found = tracking_client().search_runs(
        [experiment_id()], query, max_results=_MAX_CHILDREN, order_by=order
    )
    return list(found)


def made_by(stage: "Run") -> str:
    """The earlier run that made a skipped stage's output; empty if it ran itself."""
    return str(stage.data.tags.get(MAKER_TAG, ""))


def artifact_folder(run_id: str, name: str) -> Path | None:
    """A folder among the artifacts of a run; None if there is none.

    Local artifacts are used in place, others are copied once into the state folder.
    """
    place = urlparse(tracking_client().get_run(run_id).info.artifact_uri)
    if place.scheme in ("", "file"):
        folder = Path(url2pathname(place.path)) / name
        return folder if folder.is_dir() else None
    copy = settings().state / "runs" / run_id / name
    if not copy.is_dir():
        if not tracking_client().list_artifacts(run_id, name):
            return None
        with fresh_dir(copy) as folder:
            tracking_client().download_artifacts(run_id, name, str(folder))
    return copy / name


def _of_version(number: int) -> FiledRun:
    with catalogue() as session:
        version = find_version(session, number)
    return FiledRun(by_prefix(version.run_id), number)


def by_prefix(prefix: str) -> "Run":
    """The one run whose id begins so; `ValueError` if there is none or several."""
    query = f"attributes.run_id LIKE '{prefix}%'"
    found = tracking_client().search_runs([experiment_id()], query, max_results=3)
    if not found:
        raise ValueError(f"no run {prefix!r} at {settings().tracking_uri}; must be {NAMES}")
    if len(found) > 1:
        ids = ", ".join(run.info.run_id for run in found)
        raise ValueError(f"run {prefix!r} stands for several, write more of it: {ids}")
    return found[0]


def _pipeline(run: "Run") -> "Run":
    parent = run.data.tags.get(PARENT_TAG)
    return run if parent is None else tracking_client().get_run(parent)
