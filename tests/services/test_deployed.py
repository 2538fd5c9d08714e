"""The catalogue knows which version was served where, from when to when."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from moss_speech.bundle import Bundle
from moss_speech.catalogue.database import UnreachableError, catalogue, transact
from moss_speech.catalogue.deployments import SEEN_S, Served, deployments, served_since
from moss_speech.catalogue.tables import now
from moss_speech.inference.engine import Engine
from moss_speech.inference.scheduler import Space
from services import deployed as module
from services.deployed import Deployed
from services.loaded import Loaded
from services.metrics import Metrics
from services.served import ModelInfo
from tests.services.conftest import serving
from tests.tiny_bundle import tiny_bundle

OLD, NEW = ModelInfo("moss-speech", "1", "a" * 64), ModelInfo("moss-speech", "2", "b" * 64)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    engine = Engine(Bundle.open(tiny_bundle(tmp_path / "tiny")))

    async def made() -> Loaded:
        return Loaded(engine, OLD, Space(sessions=1, rows=64), Metrics(CollectorRegistry()))

    models = asyncio.run(made())
    yield models
    models.stop()


def told() -> list[Served]:
    with catalogue() as session:
        return deployments(session, now())


def test_swap_ends_one_deployment_and_begins_the_next(loaded: Loaded, catalogue_url: str) -> None:
    deployed = Deployed(loaded, catalogue_url)
    deployed.tell()
    deployed.tell()
    (first,) = told()
    assert (first.version, first.digest, first.until) == ("1", "a" * 64, None)
    assert first.place.endswith(f":{os.getpid()}")
    asyncio.run(loaded.replace(replace(loaded.current.engine), NEW))
    deployed.tell()
    second, first = told()
    assert (first.version, second.version, second.until) == ("1", "2", None)
    assert first.until is not None
    assert first.until <= second.since
    deployed.close()
    deployed.tell()
    assert [served.until is None for served in told()] == [False, False]


def test_worker_is_seen_again_and_again(
    loaded: Loaded, catalogue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = Deployed(loaded, catalogue_url)
    deployed.tell()
    before = now()
    with catalogue() as session:
        assert served_since(session, before) == set()
    monkeypatch.setattr(module, "SEEN_S", 0)
    deployed.tell()
    with catalogue() as session:
        assert served_since(session, before) == {"a" * 64}
    assert SEEN_S > 0


def test_catalogue_that_is_away_is_told_later(
    loaded: Loaded, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moss_speech.settings import settings

    def away(*_: object) -> None:
        raise UnreachableError("away")

    deployed = Deployed(loaded, settings().catalogue_url)
    monkeypatch.setattr(module, "transact", away)
    with pytest.raises(UnreachableError):
        deployed.tell()
    deployed.close()
    later = Deployed(loaded, settings().catalogue_url)
    monkeypatch.setattr(module, "transact", transact)
    later.tell()
    assert [served.version for served in told()] == ["1"]


def test_real_server_says_what_it_serves_until_it_is_stopped(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        url = f"sqlite:///{server.state / 'catalogue.db'}"
        running = transact(url, lambda s: deployments(s, now()))
    (ended,) = transact(url, lambda s: deployments(s, now()))
    assert [(d.version, d.until) for d in running] == [("local", None)]
    assert ended.until is not None
    assert ended.place == running[0].place
