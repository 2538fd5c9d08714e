"""An MLflow store of its own for each test, copied from one that is made once."""

import shutil
from pathlib import Path

import pytest

from moss_speech.settings import settings


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables; making them takes longer than any test here."""
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").get_experiment_by_name("none")
    return file


@pytest.fixture
def store(project_root: Path, empty_mlflow: Path) -> Path:
    """A project root with an MLflow store that holds nothing yet."""
    settings().state.mkdir()
    shutil.copy(empty_mlflow, settings().state / "mlflow.db")
    return project_root
