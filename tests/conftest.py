"""What tests of several packages share: no telemetry, a project root, stores, databases."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

from moss_speech.settings import settings, switch_off_telemetry

switch_off_telemetry()
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


class Shares(LoadScopeScheduling):
    """What one of several processes runs: a file, or all that is asked of one kind of server."""

    def _split_scope(self, nodeid: str) -> str:
        server = re.search(r"[12]-workers?", nodeid)
        return server[0] if server else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    return Shares(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tiny chain comes first: the other processes do their part meanwhile."""
    items.sort(key=lambda item: "tiny_run" not in getattr(item, "fixturenames", ()))


@pytest.fixture
def project_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty project root that the settings of this process and its children name."""
    monkeypatch.setenv("MOSS_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables; making them takes longer than most tests."""
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a private PostgreSQL; skips where no server is installed."""
    from tests.databases import running_postgres, server_programs

    if (programs := server_programs()) is None:
        pytest.skip("no PostgreSQL server (initdb, postgres) is installed")
    with running_postgres(programs) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_url(
    request: pytest.FixtureRequest, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Address of an empty catalogue that the settings name, on each kind of database."""
    if request.param == "postgresql":
        from tests.databases import new_database

        url = new_database(request.getfixturevalue("postgres_server"))
        monkeypatch.setenv("MOSS_DATABASE_URL", url)
        settings.cache_clear()
    return settings().catalogue_url


@pytest.fixture(scope="session")
def tiny_run() -> Path:
    """A workspace in which the preset tiny has run from corpus to report; treat it as read-only.

    It is kept between sessions: DVC runs again only what the code or the preset changed.
    """
    from tests.workspace import ROOT, dvc, make_workspace

    folder = ROOT / ".moss" / "tests" / "tiny"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        workspace = make_workspace(folder)
        dvc(workspace, "repro")
    return workspace
