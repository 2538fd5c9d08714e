"""MLflow runs: one parent for a pipeline, one child for each stage, a link for a skipped stage."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moss_speech.records import Tracker
from moss_speech.registry.datasets import log_datasets
from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.settings import settings
from moss_speech.storage import file_digest, tree_digest

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

PIPELINE = "train-pipeline"
"""Name of the parent run."""
PARENT_TAG = "mlflow.parentRunId"
STAGE_TAG = "moss.stage"
FINGERPRINT_TAG = "moss.fingerprint"
WORKSPACE_TAG = "moss.workspace"
MAKER_TAG = "moss.made_by"
INPUT_TAG = "moss.input."
"""Opening of the tags that hold digests of inputs."""
COMMIT_TAG = "mlflow.source.git.commit"
OUTPUT_TAG = "moss.output"

_BATCH = 500
"""Metric points held back at most; MLflow takes 1,000 in one request."""
_HOLD_S = 5.0
"""Seconds that a point is held back at most while points keep coming."""
_PARAM_BATCH = 100
_NOT_IN_NAMES = re.compile(r"[^\w.\- :/]")


def filed_name(name: str) -> str:
    """A name as MLflow takes it: letters, digits and _ . - : / and spaces."""
    return _NOT_IN_NAMES.sub("_", name)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted names and text values; lists become JSON."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = (
                value if isinstance(value, str) else json.dumps(value, default=str)
            )
    return flat


class MlflowTracker:
    """Files params, curves and files of one run; points are sent in batches."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._held: list[Metric] = []
        self._sent_s = time.monotonic()

    def params(self, values: Mapping[str, Any]) -> None:
        """File parameters; nested mappings become dotted names."""
        from mlflow.entities import Param

        params = [Param(filed_name(key), value) for key, value in flatten(values).items()]
        for start in range(0, len(params), _PARAM_BATCH):
            tracking_client().log_batch(self.run_id, params=params[start : start + _PARAM_BATCH])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """File metrics of one step; they reach the store within a batch."""
        from mlflow.entities import Metric

        now_ms = time.time_ns() // 1_000_000
        self._held += [
            Metric(filed_name(key), float(value), now_ms, step) for key, value in values.items()
        ]
        if len(self._held) >= _BATCH or time.monotonic() - self._sent_s > _HOLD_S:
            self.flush()

    def artifact(self, path: Path, folder: str = "") -> None:
        """File a file, or a folder under its own name."""
        if path.is_dir():
            tracking_client().log_artifacts(
                self.run_id, str(path), f"{folder}/{path.name}".strip("/")
            )
        else:
            tracking_client().log_artifact(self.run_id, str(path), folder or None)

    def datasets(self, digests: Mapping[Path, str]) -> None:
        """File folders of data with their digests as inputs."""
        log_datasets(self.run_id, digests)

    def flush(self) -> None:
        """Send the held points; those of a failed request stay held."""
        while self._held:
            tracking_client().log_batch(self.run_id, metrics=self._held[:_BATCH])
            del self._held[:_BATCH]
        self._sent_s = time.monotonic()


def git(root: Path, *arguments: str) -> str:
    """What git answers in a folder; nothing outside a repository or without git."""
    if shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.rstrip()


def _workspace() -> str:
    return f"{socket.gethostname()}:{settings().root}".replace("'", "_")


def _origin() -> dict[str, str]:
    """Tags that say what code made a run, and where."""
    tags = {WORKSPACE_TAG: _workspace()}
    if commit := git(settings().root, "rev-parse", "HEAD"):
        tags[COMMIT_TAG] = commit
        edited = git(settings().root, "status", "--porcelain", "-uno")
        tags["moss.uncommitted"] = str(bool(edited)).lower()
    return tags


def _search(tags: Mapping[str, str], status: str) -> "list[Run]":
    """Runs that carry all tags, newest first."""
    wanted = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    query = " and ".join([*wanted, f"attributes.status = '{status}'"])
    order = ["attributes.start_time DESC"]
    return list(tracking_client().search_runs([experiment_id()], query, order_by=order))


def _close_dead_runs(name: str) -> None:
    """Runs that a killed process left open: of a stage or a pipeline, whose lock is ours.

    Runs of other names are no such: two processes may file some at once.
    """
    for run in _search({STAGE_TAG: name, WORKSPACE_TAG: _workspace()}, "RUNNING"):
        tracking_client().set_terminated(run.info.run_id, "KILLED")


@contextmanager
def filed_run(name: str, tags: Mapping[str, str]) -> Iterator[MlflowTracker]:
    """A run that ends FINISHED, FAILED when the block raises, KILLED when it is interrupted."""
    tags = {STAGE_TAG: name, **_origin(), **tags}
    run = tracking_client().create_run(experiment_id(), tags=tags, run_name=name)
    tracker = MlflowTracker(run.info.run_id)
    status = "KILLED"  # also for SystemExit and KeyboardInterrupt
    try:
        yield tracker
        status = "FINISHED"
    except Exception as error:
        status = "FAILED"
        tracking_client().set_tag(tracker.run_id, "moss.error", str(error)[:5000])
        raise
    finally:
        tracker.flush()
        tracking_client().set_terminated(tracker.run_id, status)


@contextmanager
def stage_run(
    name: str,
    fingerprint: str = "",
    inputs: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> Iterator[Tracker]:
    """The run of one stage, filed under `settings().parent_run` when a flow started it.

    `fingerprint` names what the stage's result depends on, `inputs` the digest of each input;
    the digest of `output` is filed once the block has made it.
    """
    tags = {f"{INPUT_TAG}{key}": digest for key, digest in (inputs or {}).items()}
    if fingerprint:
        tags[FINGERPRINT_TAG] = fingerprint
    if parent := settings().parent_run:
        tags[PARENT_TAG] = parent
    _close_dead_runs(name)
    with filed_run(name, tags) as tracker:
        yield tracker
        if output is not None:
            digest = tree_digest(output) if output.is_dir() else file_digest(output)
            tracking_client().set_tag(tracker.run_id, OUTPUT_TAG, digest)


@contextmanager
def pipeline_run(params: Mapping[str, Any]) -> Iterator[str]:
    """The parent run of a pipeline; yields its id, which stages get as MOSS_PARENT_RUN."""
    _close_dead_runs(PIPELINE)
    with filed_run(PIPELINE, {}) as tracker:
        tracker.params(params)
        yield tracker.run_id


def _copy(source: "Run", run_id: str) -> None:
    """Params, last metrics and data, so that tables of runs compare skipped stages too."""
    tracker = MlflowTracker(run_id)
    tracker.params(source.data.params)
    tracker.metrics(source.data.metrics)
    tracker.flush()
    if source.inputs and source.inputs.dataset_inputs:
        tracking_client().log_inputs(run_id, datasets=source.inputs.dataset_inputs)


def link_skipped(parent: str, stage: str, fingerprint: str) -> str | None:
    """File a stage that did not run under `parent`; returns the run that made its output.

    None when this store holds no such run: the output came from elsewhere.
    """
    tags = {STAGE_TAG: stage, FINGERPRINT_TAG: fingerprint}
    made_by = next((r for r in _search(tags, "FINISHED") if MAKER_TAG not in r.data.tags), None)
    maker = made_by.info.run_id if made_by else ""
    link = f"[run {maker}](#/experiments/{experiment_id()}/runs/{maker})" if maker else "elsewhere"
    tags |= {
        PARENT_TAG: parent,
        MAKER_TAG: maker or "elsewhere",
        "mlflow.note.content": f"Unchanged, made by {link}.",
        **_origin(),
    }
    run_id = tracking_client().create_run(experiment_id(), tags=tags, run_name=stage).info.run_id
    if made_by:
        _copy(made_by, run_id)
    tracking_client().set_terminated(run_id)
    return maker or None
