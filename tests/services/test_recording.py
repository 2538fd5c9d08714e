"""Recordings: whole folders that only their owner reads, and their end."""

import json
import stat
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from starlette.requests import HTTPConnection

from moss_speech.audio import read_audio
from moss_speech.settings import Settings
from services.access import Caller, CallerLimits
from services.ids import Ids
from services.recording import (
    RecordedTurn,
    Recorder,
    Sound,
    may_record,
    open_recorder,
    purge,
    write_turn,
)
from services.served import ModelInfo
from tests.tiny_bundle import speech_like

CALLER = Caller("key_1", "phone", frozenset({"chat"}), CallerLimits(1, 1, 1))
MODEL = ModelInfo("moss-speech", "3", "d" * 64)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def turn(name: str = "resp_1") -> RecordedTurn:
    heard = Sound(speech_like(0.5, 16000), 16000)
    ids: Ids = {"session": "sess_1", "response": name}
    return RecordedTurn(ids, CALLER, MODEL, "stop", heard, "it is grün")


def test_turn_is_a_private_folder_with_sound_and_one_line(tmp_path: Path) -> None:
    write_turn(tmp_path, turn(), NOON)
    (folder,) = (tmp_path / "2026-05-01").iterdir()
    assert folder.name.startswith("120000-")
    assert {p.name for p in folder.iterdir()} == {"heard.flac", "turn.json"}
    modes = {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    line = (folder / "turn.json").read_text()
    assert line.count("\n") == 1
    facts = json.loads(line)
    assert facts["heard"] == {"file": "heard.flac", "seconds": 0.5}
    assert facts["said"] == {"text": "it is grün"}
    assert facts["model"]["version"] == "3"
    assert facts["ids"] == {"session": "sess_1", "response": "resp_1"}
    assert facts["caller"] == {"id": "key_1", "name": "phone"}
    kept = read_audio(folder / "heard.flac", 16000)
    assert np.abs(kept - speech_like(0.5, 16000)).max() < 1e-4


def test_turn_that_cannot_be_written_leaves_nothing_and_the_next_is(tmp_path: Path) -> None:
    broken = Sound(np.zeros((2, 2, 2), np.float32), 16000)
    recorder = Recorder(tmp_path, days=1)
    recorder.turn(RecordedTurn({}, CALLER, MODEL, "stop", broken, None))
    recorder.turn(turn("resp_1"))
    recorder.close()
    (day,) = tmp_path.iterdir()
    (kept,) = day.iterdir()
    assert json.loads((kept / "turn.json").read_text())["ids"]["response"] == "resp_1"


def test_recording_goes_on_when_its_folder_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "recordings"

    def deleted(*_: object) -> None:
        folder.rmdir()
        raise OSError("gone")

    monkeypatch.setattr("services.recording.purge", deleted)
    recorder = Recorder(folder, days=1)
    recorder.turn(turn())
    recorder.close()
    assert len(list(folder.glob("*/*/turn.json"))) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "gone" in caplog.text


def test_recorder_writes_what_waits_before_it_ends(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recordings", days=1)
    for i in range(5):
        recorder.turn(turn(f"resp_{i}"))
    recorder.close()
    assert len(list((tmp_path / "recordings").glob("*/*/turn.json"))) == 5
    assert stat.S_IMODE((tmp_path / "recordings").stat().st_mode) == 0o700


def test_full_queue_loses_the_turn_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import threading

    go = threading.Event()
    monkeypatch.setattr("services.recording.MAX_WAITING", 2)
    monkeypatch.setattr("services.recording.write_turn", lambda *_: go.wait(30))
    recorder = Recorder(tmp_path, days=1)
    for i in range(5):
        recorder.turn(turn(f"resp_{i}"))
    go.set()
    recorder.close()
    assert "is not recorded" in caplog.text
    assert "grün" not in caplog.text


def test_old_days_are_deleted_at_the_start_and_nothing_else(tmp_path: Path) -> None:
    for name in ("2026-04-01", "2026-04-30", "2026-05-01", "notes"):
        (tmp_path / name / "resp_1").mkdir(parents=True)
    purge(tmp_path, date(2026, 4, 30))
    assert {p.name for p in tmp_path.iterdir()} == {"2026-04-30", "2026-05-01", "notes"}
    Recorder(tmp_path, days=1).close()
    assert {p.name for p in tmp_path.iterdir()} == {"notes"}


def test_nothing_is_recorded_unless_asked_for(tmp_path: Path) -> None:
    assert open_recorder(Settings(root=tmp_path)) is None
    assert not (tmp_path / "recordings").exists()


@pytest.mark.parametrize(
    ("query", "store", "may"),
    [(b"", None, True), (b"", True, True), (b"", False, False), (b"store=false", None, False)],
)
def test_client_refuses_by_address_or_body(query: bytes, store: bool | None, may: bool) -> None:
    connection = HTTPConnection({"type": "http", "query_string": query, "headers": []})
    assert may_record(connection, store) is may
