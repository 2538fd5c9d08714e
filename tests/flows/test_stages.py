"""The stages as Prefect runs them, against a real server started for this file."""

from pathlib import Path

import pytest
from prefect import flow

from flows._dvc import StageFailedError, open_workspace
from flows._stages import StageReport, run_stages
from moss_speech.registry.tracking import pipeline_run
from tests.flows.sleeping import write_params

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow(name="sleepy")
def sleepy(root: Path, from_stage: str | None = None, force: bool = False) -> list[StageReport]:
    """The middle of the train pipeline."""
    with open_workspace(root) as workspace, pipeline_run({}) as parent:
        return run_stages(workspace, parent, from_stage, force)


def outcomes(reports: list[StageReport]) -> dict[str, str]:
    return {report.stage: report.outcome for report in reports}


def test_changed_stage_runs_and_the_others_are_skipped(root: Path) -> None:
    assert outcomes(sleepy(root)) == {"a": "ran", "b": "ran", "c": "ran"}
    write_params(root, b=1)
    assert outcomes(sleepy(root)) == {"a": "unchanged", "b": "ran", "c": "unchanged"}
    assert outcomes(sleepy(root, "c", force=True)) == {"c": "ran"}
    write_params(root)
    assert outcomes(sleepy(root))["b"] == "restored"


def test_failed_stage_ends_the_run_with_its_own_error(root: Path) -> None:
    write_params(root, b="broken")
    with pytest.raises(StageFailedError, match="stage b: n is broken, must be a number"):
        sleepy(root)
