"""The fault table of promotion: a tracking server and a database that go away at every step.

Both are real and reached through proxies that break connections at a word of the protocol. Kills
of the promoting process at every line are in test_promotion.py.
"""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from flows._server import free_port
from moss_speech.catalogue.database import UnreachableError, catalogue
from moss_speech.catalogue.promotions import history
from moss_speech.registry.promotion import champion, rollback, verified_champion
from moss_speech.registry.store import MODEL, StoreError, tracking_client
from moss_speech.registry.versions import CHAMPION, version_with
from moss_speech.settings import child_environment, settings
from tests.databases import new_database
from tests.registry.candidates import promote, register
from tests.registry.proxy import Cut, Proxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
READY_S = 180


@dataclass(frozen=True)
class Fault:
    """What goes away when, and who is champion once it is back."""

    what: str
    begin: Callable[[Proxy], None]
    told: type[Exception] | None
    result: str | None
    """Outcome on record in the end; None if nothing was begun."""


def cut(*words: bytes, lost: Literal["request", "answer"] = "request") -> Callable[[Proxy], None]:
    return lambda proxy: proxy.fail_at(Cut(words, lost))


ALIAS, TAG = b'"champion"', b"moss.decision"
INTENT, GATES, OUTCOME = (
    b"INSERT INTO " + t for t in (b"promotions", b"gate_results", b"outcomes")
)


def _delete_champion(proxy: Proxy) -> None:
    tracking_client().delete_model_version(MODEL, str(champion().version))


TRACKING = (
    Fault("nothing", lambda proxy: None, None, "committed"),
    Fault("tracking server, before", Proxy.down, StoreError, None),
    Fault("tracking server, alias not moved", cut(ALIAS), StoreError, "reverted"),
    Fault("tracking server, alias moved", cut(ALIAS, lost="answer"), StoreError, "committed"),
    Fault("tracking server, after the commit", cut(TAG), None, "committed"),
    Fault("the champion's entry, deleted in MLflow", _delete_champion, None, "committed"),
    Fault("the candidate's entry, deleted in MLflow", lambda proxy: None, None, "refused"),
)
DATABASE = (
    Fault("database, before", Proxy.down, UnreachableError, None),
    Fault("database, intent not written", cut(INTENT), UnreachableError, None),
    Fault(
        "database, intent written",
        cut(INTENT, b"COMMIT", lost="answer"),
        UnreachableError,
        "reverted",
    ),
    Fault("database, gates not written", cut(GATES), UnreachableError, "reverted"),
    Fault("database, outcome not written", cut(OUTCOME), UnreachableError, "committed"),
    Fault(
        "database, outcome written",
        cut(OUTCOME, b"COMMIT", lost="answer"),
        UnreachableError,
        "committed",
    ),
)


@pytest.fixture(scope="module")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real MLflow server."""
    folder, port = tmp_path_factory.mktemp("mlflow-server"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=child_environment(), stdout=log, stderr=log)
        try:
            _wait_until_ready(port, server, folder / "log")
            yield port
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_until_ready(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the MLflow server is not ready: {log.read_text()[-2000:]}")


@pytest.fixture
def tracking(
    tracking_server: int, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """The tracking server that the settings name, behind a proxy."""
    proxy = Proxy(tracking_server)
    monkeypatch.setenv("MOSS_MLFLOW_TRACKING_URI", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    settings.cache_clear()
    yield proxy
    proxy.close()


@pytest.fixture
def database(postgres_server: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The catalogue's PostgreSQL that the settings name, behind a proxy."""
    address, _, name = new_database(postgres_server).rpartition("/")
    host, _, port = address.rpartition(":")
    proxy = Proxy(int(port))
    monkeypatch.setenv("MOSS_DATABASE_URL", f"{host}:{proxy.port}/{name}")
    settings.cache_clear()
    yield proxy
    proxy.close()


def _decide(version: int) -> Exception | None:
    try:
        promote(version, "anna")
    except (StoreError, UnreachableError) as error:
        return error
    return None


def _last_result(n_before: int) -> str | None:
    with catalogue() as session:
        decisions = history(session)
    if len(decisions) == n_before:
        return None
    assert len(decisions) == n_before + 1
    (_, outcome), *_ = decisions
    return outcome.result if outcome else "unfinished"


def _table(faults: Sequence[Fault], proxy: Proxy) -> Iterator[str]:
    """Rows of the fault table, each checked."""
    now, other = register("first", "second")
    assert promote(now, "anna").result == "committed"
    yield "| what goes away | who promotes is told | outcome | champion |"
    for fault in faults:
        with catalogue() as session:
            n_before = len(history(session))
        fault.begin(proxy)
        error = _decide(other)
        assert type(error) is (fault.told or type(None)), f"{fault.what}: {error!r}"
        proxy.heal()
        assert champion().version in (now, other), f"{fault.what}: one that was approved"
        verified_champion()
        result = _last_result(n_before)
        assert result == fault.result, fault.what
        found, wanted = champion().version, other if result == "committed" else now
        assert (found, version_with(CHAMPION)) == (wanted, wanted), fault.what
        told = type(error).__name__ if error else "the decision"
        row = (fault.what, told, result or "none", "new" if found == other else "old")
        yield f"| {' | '.join(row)} |"
        now, other = (other, now) if found == other else (now, other)
    rollback("anna")
    assert version_with(CHAMPION) == champion().version


def _print(faults: Sequence[Fault], proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    for row in _table(faults, proxy):
        with capsys.disabled():
            print(f"\n{row}", end="")


def test_fault_table_of_the_tracking_server(
    tracking: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    _print(TRACKING, tracking, capsys)


def test_fault_table_of_the_database(database: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    _print(DATABASE, database, capsys)
