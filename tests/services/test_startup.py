"""Servers that cannot start: one line with the remedy, exit code 1, nothing left running."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from services.startup import end_with_engine
from tests.poison import change_first_tensor, with_nan
from tests.services.conftest import free_port, start, stop
from tests.tiny_bundle import tiny_bundle

END_S = 120


def refusal(
    model: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str
) -> tuple[int, str]:
    """Exit code and output of a server that is expected to refuse."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    process = start(model, folder / "log", folder / "state", free_port())
    try:
        code = process.wait(END_S)
    finally:
        stop(process)
    left = [p.pid for p in psutil.process_iter() if _group(p.pid) == process.pid]
    assert left == []
    return code, (folder / "log").read_text()


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def assert_refused(found: tuple[int, str], reason: str) -> None:
    code, said = found
    assert code == 1, said
    assert said.count("the service cannot start") == 1, said
    assert reason in said
    assert "Traceback" not in said


def test_no_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = refusal("models:/moss-speech@champion", tmp_path, monkeypatch)
    assert_refused(found, "has no champion yet: `make train`")


def test_weights_that_only_the_worker_finds_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "model")
    name = change_first_tensor(bundle, "codec/flow/model.safetensors", with_nan)
    assert_refused(refusal(str(bundle), tmp_path, monkeypatch), f"{name} holds NaN")


@pytest.mark.slow
def test_damaged_folders_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_bundle(tmp_path / "model")
    found = refusal(str(bundle), tmp_path, monkeypatch, MOSS_DEVICE="cuda")
    assert_refused(found, "torch finds no GPU")
    found = refusal(str(bundle), tmp_path, monkeypatch, MOSS_DEVICE="cpu", MOSS_WEIGHTS="int3")
    assert_refused(found, "MOSS_WEIGHTS cannot be used")
    monkeypatch.delenv("MOSS_WEIGHTS")
    assert_refused(refusal(str(tmp_path / "no"), tmp_path, monkeypatch), "a bundle folder")
    (bundle / "lm" / "model.safetensors").write_bytes(b"x")
    found = refusal(str(bundle), tmp_path, monkeypatch)
    assert_refused(found, "is damaged: lm/model.safetensors has 1 bytes")


def test_worker_whose_engine_gave_up_ends_as_if_told_to() -> None:
    told, looks = list[int](), iter([True, False])
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        asyncio.run(end_with_engine(lambda: next(looks)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]
