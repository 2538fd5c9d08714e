"""A report on a machine that has nothing but the address of the tracking server."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows._server import free_port
from moss_speech.evaluation.pages.report import report_page
from moss_speech.registry.subjects import find_subject
from moss_speech.registry.tracking import pipeline_run, stage_run
from moss_speech.settings import child_environment, settings
from tests.evaluation.saved import write_evaluation

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path, empty_mlflow: Path) -> Iterator[str]:
    """A tracking server that keeps artifacts itself."""
    port = free_port()
    store = tmp_path / "server"
    store.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{store / 'mlflow.db'}"]
    command += ["--serve-artifacts", "--artifacts-destination", (store / "artifacts").as_uri()]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=store, env=child_environment()) as process:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{address}/version", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()


def use_root(root: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    monkeypatch.setenv("MOSS_ROOT", str(root))
    monkeypatch.setenv("MOSS_MLFLOW_TRACKING_URI", server)
    settings.cache_clear()


def test_run_of_one_machine_is_reported_on_another(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_root(tmp_path / "here", server, monkeypatch)
    folder = write_evaluation(tmp_path / "here/evaluation")
    with pipeline_run({"seed": 1}) as parent:
        monkeypatch.setenv("MOSS_PARENT_RUN", parent)
        settings.cache_clear()
        with stage_run("evaluate") as tracker:
            tracker.artifact(folder)
    monkeypatch.delenv("MOSS_PARENT_RUN")
    use_root(tmp_path / "there", server, monkeypatch)
    (tmp_path / "here").rename(tmp_path / "gone")
    page = report_page([find_subject(parent[:10])])
    assert page.count('data-audio="data:audio/mpeg') >= 4
    assert "sounds of this page are missing" not in page
    copies = list((tmp_path / "there/.moss/runs").rglob("report.json"))
    assert len(copies) == 1
    find_subject(parent)
    settings.cache_clear()
