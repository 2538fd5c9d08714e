"""A Prefect server for flows in this process, stages that sleep, a receiver of notices."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from moss_speech.settings import settings
from tests.flows.sleeping import write_workspace
from tests.receiver import Receiver, receiving


@pytest.fixture(scope="module")
def prefect_server() -> Iterator[None]:
    """A private server that this module's flows report to."""
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
def receiver(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A running webhook, which the settings of an empty store name."""
    with receiving() as running:
        monkeypatch.setenv("MOSS_WEBHOOK_URL", running.url)
        settings.cache_clear()
        yield running


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three independent sleeping stages, and settings that point at them."""
    workspace = write_workspace(tmp_path / "workspace")
    monkeypatch.setenv("MOSS_ROOT", str(workspace))
    settings.cache_clear()
    yield workspace
    settings.cache_clear()
