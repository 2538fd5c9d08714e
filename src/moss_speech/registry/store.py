"""The MLflow store: opened quietly, created once even when two processes start together."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from moss_speech.settings import settings, switch_off_telemetry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "moss-speech"
"""Experiment that every run is filed in."""
MODEL = "moss-speech"
"""Name of the registered model."""
_SHOWN_CHARS = 300
ARTIFACTS = "artifacts"
"""Folder of the state folder in which runs keep their files, where no server does."""
_SHOWN_AS = {"mlflow.experimentKind": "custom_model_development"}
"""The UI opens with runs and curves, not with its tools for chat applications."""


def silence() -> None:
    """No telemetry, nothing on the console; must run before mlflow is imported."""
    switch_off_telemetry()
    os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _artifact_root(uri: str, state: Path) -> str | None:
    """A tracking server places artifacts itself; a bare database needs a folder."""
    return None if uri.startswith("http") else (state / ARTIFACTS).resolve().as_uri()


@cache
def _open(uri: str, state: Path) -> tuple["MlflowClient", str]:
    silence()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    state.mkdir(parents=True, exist_ok=True)
    with FileLock(state / "mlflow.lock"):  # its tables and the experiment are made only once
        try:
            client = MlflowClient(uri, uri)
            experiment = client.get_experiment_by_name(EXPERIMENT)
        except MlflowException as error:
            if "out-of-date database schema" not in error.message:
                raise
            remedy = "`moss-speech upgrade-stores` saves a copy and upgrades it"
            raise ValueError(f"MLflow's store was made by an older MLflow: {remedy}") from None
        if experiment is not None:
            return client, str(experiment.experiment_id)
        made = client.create_experiment(EXPERIMENT, _artifact_root(uri, state), _SHOWN_AS)
        return client, str(made)


def tracking_client() -> "MlflowClient":
    """The client of the store that the settings name; the first call creates what is missing."""
    return _open(settings().tracking_uri, settings().state)[0]


class StoreError(RuntimeError):
    """The tracking server is away, or does not do what it is asked."""


class GoneError(ValueError):
    """The registry has no entry of a version any more."""


@contextmanager
def asking_entry(version: int) -> Iterator[None]:
    """`GoneError` if the entry of a version was deleted, which the MLflow UI offers."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise GoneError(
            f"version {version} is gone from the registry: its entry was deleted in MLflow"
        ) from None


@contextmanager
def asking_stores() -> Iterator[None]:
    """`StoreError` if the tracking server fails; what was begun is settled by the next."""
    silence()
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        first = str(error).splitlines()[0][:_SHOWN_CHARS]
        raise StoreError(
            f"the tracking server fails ({first}); what was begun is settled by the "
            "next promotion, rollback or start of the service: `moss-speech champions` shows it"
        ) from error


def experiment_id() -> str:
    """Id of the experiment that holds every run."""
    return _open(settings().tracking_uri, settings().state)[1]
