"""Runs as MLflow shows them: parents, children, curves, ends, links."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import Run

from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.registry.tracking import (
    FINGERPRINT_TAG,
    MAKER_TAG,
    PARENT_TAG,
    STAGE_TAG,
    filed_run,
    flatten,
    link_skipped,
    pipeline_run,
    stage_run,
)
from moss_speech.settings import settings
from moss_speech.storage import read_json

pytestmark = pytest.mark.usefixtures("store")


def runs(stage: str) -> list[Run]:
    query = f"tags.`{STAGE_TAG}` = '{stage}'"
    return list(tracking_client().search_runs([experiment_id()], query))


def only_run(stage: str) -> Run:
    (run,) = runs(stage)
    return run


def test_stage_run_files_params_curve_and_files(tmp_path: Path) -> None:
    report = tmp_path / "page"
    report.mkdir()
    (report / "a.txt").write_text("text")
    with stage_run("corpus", "f00", {"clean": "d00"}) as tracker:
        tracker.params({"threads": 2, "fit": {"lr": 1e-3, "sizes": [1, 2]}})
        for step in range(1200):
            tracker.metrics({"loss": 1 / (step + 1), "broken": math.nan}, step)
        tracker.artifact(report / "a.txt", "notes")
        tracker.artifact(report)
    run, client = only_run("corpus"), tracking_client()
    assert run.info.status == "FINISHED"
    assert run.data.params == {"threads": "2", "fit.lr": "0.001", "fit.sizes": "[1, 2]"}
    curve = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(s, 1 / (s + 1)) for s in range(1200)]
    assert math.isnan(run.data.metrics["broken"])
    assert run.data.tags[FINGERPRINT_TAG] == "f00"
    assert run.data.tags["moss.input.clean"] == "d00"
    assert (Path(run.info.artifact_uri.removeprefix("file://")) / "notes/a.txt").exists()
    assert (Path(run.info.artifact_uri.removeprefix("file://")) / "page/a.txt").exists()


def test_stage_is_filed_under_the_parent_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline_run({"seed": 1}) as parent:
        monkeypatch.setenv("MOSS_PARENT_RUN", parent)
        settings.cache_clear()
        with stage_run("pack"):
            pass
    assert only_run("pack").data.tags[PARENT_TAG] == parent
    assert tracking_client().get_run(parent).data.params == {"seed": "1"}


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("bad"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_run_that_raises_ends_with_its_status_and_keeps_its_points(
    error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), stage_run("align") as tracker:
        tracker.metrics({"loss": 2.0})
        raise error
    run = only_run("align")
    assert (run.info.status, run.data.metrics) == (status, {"loss": 2.0})


def test_run_of_a_killed_stage_is_closed_by_the_next_one() -> None:
    script = (
        "import os, signal\n"
        "from moss_speech.registry.tracking import stage_run\n"
        "with stage_run('clean'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert only_run("clean").info.status == "RUNNING"
    with stage_run("clean"):
        pass
    assert sorted(run.info.status for run in runs("clean")) == ["FINISHED", "KILLED"]


def test_runs_without_a_lock_leave_each_other_open() -> None:
    """Two may register, or look at the service, at once."""
    with filed_run("register", {}), filed_run("register", {}):
        assert [run.info.status for run in runs("register")] == ["RUNNING"] * 2
    assert [run.info.status for run in runs("register")] == ["FINISHED"] * 2


def test_skipped_stage_links_to_the_run_that_made_its_output() -> None:
    with stage_run("corpus", "old") as tracker:
        tracker.metrics({"utterances": 7})
    with stage_run("corpus", "new") as tracker:
        tracker.datasets({Path("data/clean"): "c" * 64})
        tracker.params({"voices": 3})
        tracker.metrics({"utterances": 9})
    with pipeline_run({}) as parent:
        first = link_skipped(parent, "corpus", "new")
        second = link_skipped(parent, "corpus", "new")
        nobody = link_skipped(parent, "corpus", "unheard of")
    maker = next(r for r in runs("corpus") if r.info.run_id == first)
    assert maker.data.tags[FINGERPRINT_TAG] == "new"
    assert (second, nobody) == (first, None)
    links = [r for r in runs("corpus") if r.data.tags.get(MAKER_TAG) == first]
    assert [r.data.metrics for r in links] == [{"utterances": 9.0}] * 2
    assert [r.data.params for r in links] == [{"voices": "3"}] * 2
    assert {r.data.tags[PARENT_TAG] for r in links} == {parent}
    used = [r.inputs.dataset_inputs[0].dataset for r in [maker, *links]]
    assert {(d.name, d.digest) for d in used} == {("clean", "c" * 36)}
    assert json.loads(used[0].source) == {"uri": "data/clean"}


FILE_A_RUN = """
import json, sys
from moss_speech.registry.tracking import stage_run
with stage_run(sys.argv[1]) as tracker: tracker.metrics({"loss": 1.0})
from mlflow.telemetry.utils import is_telemetry_disabled
json.dump(is_telemetry_disabled(), open(sys.argv[1], "w"))
"""


def test_stages_that_start_together_on_no_database_make_one_in_silence(store: Path) -> None:
    (settings().state / "mlflow.db").unlink()
    start = [sys.executable, "-c", FILE_A_RUN]
    stages = {
        name: subprocess.Popen([*start, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in ("clean", "align")
    }
    assert [stage.communicate() for stage in stages.values()] == [(b"", b"")] * 2
    assert {name: only_run(name).info.status for name in stages} == dict.fromkeys(
        stages, "FINISHED"
    )
    assert all(read_json(store / name) is True for name in stages), "telemetry is on"


def test_names_and_values_that_mlflow_refuses_are_made_to_fit() -> None:
    with stage_run("evaluate") as tracker:
        tracker.params({"goals": {"s2s (both)": 1}, "long": "a" * 20_000})
        tracker.metrics({"gap s2t→s2s": 0.1})
    run = only_run("evaluate")
    assert run.data.metrics == {"gap s2t_s2s": 0.1}
    assert run.data.params["goals.s2s _both_"] == "1"
    assert set(run.data.params["long"]) == {"a"}


def test_nested_mappings_become_dotted_names() -> None:
    nested = {"a": {"b": {"c": None}, "d": "text"}, "e": [1.5]}
    assert flatten(nested) == {"a.b.c": "null", "a.d": "text", "e": "[1.5]"}


def test_commit_of_the_project_is_filed(store: Path) -> None:
    git = ["git", "-C", str(store), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True, env={**os.environ, "HOME": str(store)})
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    with stage_run("corpus"):
        pass
    tags = only_run("corpus").data.tags
    assert tags["mlflow.source.git.commit"] == head.stdout.strip()
    assert tags["moss.uncommitted"] == "false"
