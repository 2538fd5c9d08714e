"""The flow monitor on a real Prefect server: what it tells, and the training that it starts."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import get_client

from flows.monitor import monitor
from flows.train_pipeline import train_pipeline
from moss_speech.registry.monitoring import RECORDINGS
from moss_speech.settings import settings
from moss_speech.storage import read_json, write_json
from tests.monitoring.recorded import How, record
from tests.receiver import Receiver
from tests.services.conftest import free_port
from tests.workspace import ROOT

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("prefect_server")]


def write_params(root: Path, **changes: object) -> None:
    values = yaml.safe_load((ROOT / "presets" / "demo.yaml").read_text())
    values["monitor"] |= {"min_turns": 10, "reference_turns": 20, "canary": None, **changes}
    (root / "params.yaml").write_text(yaml.safe_dump(values))


def trainings() -> list[str]:
    """States of the runs of train-pipeline."""
    with get_client(sync_client=True) as client:
        return [
            str(run.state_name)
            for run in client.read_flow_runs()
            if client.read_flow(run.flow_id).name == "train-pipeline"
        ]


@pytest.mark.slow
def test_drift_is_told_and_starts_one_training(receiver: Receiver, store: Path) -> None:
    train_pipeline.to_deployment("train-pipeline").apply()
    write_params(store, retrain=True)
    hour = timedelta(hours=1)
    record(store / RECORDINGS, 20, datetime.now(UTC) - hour, How(), seed=1)
    assert monitor(return_state=True).message == "no alarm"
    assert receiver.kinds == []
    for seed in (2, 3):
        shutil.rmtree(store / RECORDINGS)
        record(store / RECORDINGS, 10, datetime.now(UTC), How(gain_db=-12), seed=seed)
        for folder in (store / RECORDINGS).glob("*/*"):  # they ended just now
            facts = read_json(folder / "turn.json")
            write_json(folder / "turn.json", facts | {"ended_at": datetime.now(UTC).isoformat()})
        state = monitor(return_state=True)
        assert state.is_completed()
        assert "heard_lufs went from" in str(state.message)
    assert receiver.kinds == ["drift", "drift"]
    assert receiver.notices[0]["run"].startswith("monitor/")
    assert trainings() == ["Scheduled"]  # by the first of the two alone


def test_service_that_is_away_is_a_failed_run_that_is_told(
    receiver: Receiver, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "canary.jsonl").write_text('{"id": "a", "text": "hello", "answers": ["hi"]}')
    write_params(store, canary="canary.jsonl")
    monkeypatch.setenv("MOSS_SERVICE_URL", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    state = monitor(return_state=True)
    assert state.is_failed()
    assert "no service answers" in str(state.message)
    assert receiver.kinds == ["failed"]
