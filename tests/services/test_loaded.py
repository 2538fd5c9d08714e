"""The models of a worker: the next one comes whole or not at all."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.scheduler import Scheduler, Space
from services.loaded import Loaded
from services.metrics import Metrics
from services.served import ModelInfo
from tests.tiny_bundle import tiny_bundle

OLD, NEW = ModelInfo("moss-speech", "1", "a" * 64), ModelInfo("moss-speech", "2", "b" * 64)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    engine = Engine(Bundle.open(tiny_bundle(tmp_path)))

    async def made() -> Loaded:
        return Loaded(engine, OLD, Space(sessions=1, rows=64), Metrics(CollectorRegistry()))

    models = asyncio.run(made())
    yield models
    models.stop()


def test_model_without_memory_for_conversations_changes_nothing(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise RuntimeError("out of memory")

    before = loaded.current
    with monkeypatch.context() as full:
        full.setattr(Engine, "scheduler", no_memory)
        with pytest.raises(RuntimeError, match="out of memory"):
            asyncio.run(loaded.replace(replace(before.engine), NEW))
    assert loaded.info == OLD
    assert loaded.current is before
    assert loaded.works


def test_places_of_the_next_model_are_made_outside_the_event_loop(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, threads = Engine.scheduler, list[threading.Thread]()

    def noted(*given: object) -> Scheduler:
        threads.append(threading.current_thread())
        return scheduler(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "scheduler", noted)
    asyncio.run(loaded.replace(replace(loaded.current.engine), NEW))
    assert loaded.info == NEW
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
