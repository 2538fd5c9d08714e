"""A look at a real server: what it recorded of real sessions, and canaries that it does not."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.audio import write_audio
from moss_speech.cli import app
from moss_speech.registry.monitoring import RECORDINGS, watch
from moss_speech.settings import settings
from tests.monitoring.test_watch import P
from tests.services.conftest import Server, free_port, serving
from tests.tiny_bundle import spoken

pytestmark = pytest.mark.timeout(400)
SOON = timedelta(seconds=1)


@pytest.fixture
def recording(store: Path) -> Iterator[Server]:
    with serving(store, record="true", root=str(store)) as server:
        yield server


def recorded(root: Path, n: int) -> int:
    """How many turns are on the disk, once there are `n` or after a while."""
    until_s = time.monotonic() + 20
    while True:
        found = len(list((root / RECORDINGS).glob("*/*/turn.json")))
        if found >= n or time.monotonic() > until_s:
            return found
        time.sleep(0.1)


def ask(url: str, question: Path) -> None:
    words = ["talk", "--url", url, "--file", str(question), "--turns", "manual", "--fast", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output


def test_sessions_are_looked_at_and_canaries_leave_no_trace(
    recording: Server, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_audio(question := store / "question.wav", spoken(rate_hz=24000), 24000)
    for _ in range(2):
        ask(recording.url, question)
    ask(f"{recording.url}?store=false", question)
    assert recorded(store, 2) == 2
    rows = [
        {"id": "grass", "text": "what color is the grass", "answers": ["green"]},
        {"id": "ours", "audio": "question.wav", "answers": ["green", "it is 2"]},
    ]
    (store / "canary.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setenv("MOSS_SERVICE_URL", recording.url)
    settings.cache_clear()
    p = P.model_copy(update={"canary": "canary.jsonl"})
    found = watch(store, p, 1, datetime.now(UTC) + SOON)
    page = found.page.read_text()
    assert "| heard_s |  | 2 |" in page
    assert "| said_s | local | 2 |" in page
    assert "| canary_right | local | 2 |" in page
    assert [alarm.figure for alarm in found.alarms] == ["canary_right"]  # weights are random
    assert recorded(store, 3) == 2


def test_service_that_is_away_is_said(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (store / "canary.jsonl").write_text('{"id": "a", "text": "hello", "answers": ["hi"]}')
    monkeypatch.setenv("MOSS_SERVICE_URL", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    p = P.model_copy(update={"canary": "canary.jsonl"})
    with pytest.raises(ConnectionError, match="no service answers"):
        watch(store, p, 1, datetime.now(UTC))
