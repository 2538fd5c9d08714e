"""Reports and bundles where artifacts are behind the tracking server."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows._server import free_port
from moss_speech.catalogue.database import promotion_lock
from moss_speech.evaluation.pages.report import report_page
from moss_speech.registry.fetch import fetch_model
from moss_speech.registry.promotion import rollback
from moss_speech.registry.store import MODEL
from moss_speech.registry.subjects import find_subject
from moss_speech.registry.tracking import pipeline_run, stage_run
from moss_speech.settings import child_environment, settings
from tests.evaluation.saved import write_evaluation
from tests.registry.candidates import promote, register

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


def test_damaged_copy_is_fetched_again_and_a_rollback_waits_for_the_lock_with_a_whole_one(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_root(tmp_path / "here", server, monkeypatch)
    first, second = register("first", "second")
    assert promote(first, "anna").result == promote(second, "anna").result == "committed"
    weights = fetch_model(f"models:/{MODEL}/{first}") / "lm/model.safetensors"
    assert weights.is_relative_to(settings().state / "models"), "a copy"
    weights.write_bytes(b"damaged")
    assert fetch_model(f"models:/{MODEL}/{first}") / "lm/model.safetensors" == weights
    assert weights.read_bytes() == b"first"
    weights.unlink()
    with ThreadPoolExecutor() as pool:
        with promotion_lock():
            begun = pool.submit(rollback, "anna")
            until_s = time.monotonic() + 50
            while not weights.exists() and time.monotonic() < until_s:
                time.sleep(0.05)
            assert weights.read_bytes() == b"first", "fetched while another holds the lock"
            assert not begun.done()
        assert begun.result().result == "committed"
    settings.cache_clear()
