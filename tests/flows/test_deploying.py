"""Schedules of the settings on a real Prefect server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows._server import ask, deploy, embedded_server, embedded_worker, schedules
from moss_speech.settings import settings
from tests.workspace import make_workspace

pytestmark = pytest.mark.timeout(600)


def choose(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in ("TRAIN_CRON", "MONITOR_CRON", "TIMEZONE"):
        monkeypatch.delenv(f"MOSS_{name}", raising=False)
    for name, value in values.items():
        monkeypatch.setenv(f"MOSS_{name.upper()}", value)
    settings.cache_clear()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    workspace = make_workspace(tmp_path / "workspace")
    monkeypatch.setenv("MOSS_ROOT", str(workspace))
    settings.cache_clear()
    yield workspace
    settings.cache_clear()


def found(api: str) -> dict[str, list[tuple[str, str, bool]]]:
    rows: list[dict[str, Any]] = ask(api, "deployments/filter", {})
    return {
        row["name"]: [
            (s["schedule"]["cron"], s["schedule"]["timezone"], s["active"])
            for s in row["schedules"]
        ]
        for row in rows
    }


@pytest.mark.slow
def test_schedules_come_and_go_with_the_settings(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded_server() as api, embedded_worker(api):
        crons = {"monitor_cron": "0 * * * *", "train_cron": "30 2 * * 6"}
        choose(monkeypatch, **crons, timezone="Asia/Tokyo")
        deploy(api)
        made = found(api)
        assert made["monitor"] == [("0 * * * *", "Asia/Tokyo", True)]
        assert made["train-pipeline"] == [("30 2 * * 6", "Asia/Tokyo", True)]
        assert made["promote"] == []
        (row,) = ask(api, "deployments/filter", {"deployments": {"name": {"any_": ["monitor"]}}})
        assert row["pull_steps"][0]["prefect.deployments.steps.set_working_directory"] == {
            "directory": str(root)
        }
        choose(monkeypatch, monitor_cron="15 * * * *")
        deploy(api)
        assert found(api)["monitor"] == [("15 * * * *", "UTC", True)]
        assert found(api)["train-pipeline"] == []


@pytest.mark.parametrize(
    "values",
    [
        {"train_cron": "every day"},
        {"monitor_cron": "61 * * * *"},
        {"monitor_cron": ""},
        {"train_cron": "0 2 * * 6", "timezone": "Moon/Crater"},
    ],
)
def test_line_that_is_no_schedule_is_refused_by_name(
    root: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    choose(monkeypatch, **values)
    with pytest.raises(ValueError, match=r"MOSS_(TRAIN|MONITOR)_CRON is .* must be five fields"):
        schedules()


def test_run_of_a_killed_server_does_not_hold_up_the_next(root: Path) -> None:
    wanted = {"deployments": {"name": {"any_": ["train-pipeline"]}}}
    with embedded_server() as api, embedded_worker(api):
        deploy(api)
        (row,) = ask(api, "deployments/filter", wanted)
    with embedded_server() as api:  # no worker: nothing takes the runs away from the test
        runs = [ask(api, f"deployments/{row['id']}/create_flow_run", {}) for _ in range(2)]
        for state in ("PENDING", "RUNNING"):
            place = f"flow_runs/{runs[0]['id']}/set_state"
            assert ask(api, place, {"state": {"type": state}})["status"] == "ACCEPT"
        (row,) = ask(api, "deployments/filter", wanted)
        assert row["global_concurrency_limit"]["active_slots"] == 1
    with embedded_server() as api:
        (row,) = ask(api, "deployments/filter", wanted)
        assert row["global_concurrency_limit"]["active_slots"] == 0
        states = [ask(api, f"flow_runs/{run['id']}")["state"] for run in runs]
        assert [state["type"] for state in states] == ["CRASHED", "CRASHED"]
        assert states[0]["message"] == "its server was killed"
