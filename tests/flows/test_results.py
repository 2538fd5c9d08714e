"""What a pipeline leaves on its run: figures that tables compare, and the page of the whole run."""

import shutil
from pathlib import Path

from flows._results import file_figures, write_page
from flows._stages import StageReport
from moss_speech.registry.store import tracking_client
from moss_speech.registry.tracking import pipeline_run
from moss_speech.storage import read_json, tree_digest, write_json, write_jsonl
from tests.evaluation.saved import write_evaluation

ROOT = Path(__file__).parents[2]
REPORTS = [
    StageReport("pack", "ran", started_s=10, ended_s=30, cpu_s=19.5, peak_mb=400),
    StageReport("bundle", "ran", started_s=20, ended_s=35, cpu_s=9.5, peak_mb=900),
    StageReport("corpus", "unchanged"),
]


def evaluated(root: Path) -> None:
    """A root in which an evaluation was made."""
    report = read_json(write_evaluation(root / "reports/evaluation") / "report.json")
    write_json(root / "reports/metrics.json", {k: report[k] for k in ("accuracy", "text")})
    write_json(root / "reports/latency.json", {"first_audio_s": 0.2, "codec": {"encode": 0.5}})
    write_jsonl(root / "data/clean/rejects.jsonl", [])
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")


def test_parent_run_has_figures_speed_cost_and_data(store: Path) -> None:
    evaluated(store)
    with pipeline_run({}) as parent:
        file_figures(store, parent, REPORTS)
    run = tracking_client().get_run(parent)
    found = run.data.metrics
    assert (found["accuracy/s2s"], found["text/after"]) == (0.5, 1.0)
    assert (found["latency/first_audio_s"], found["latency/codec_encode"]) == (0.2, 0.5)
    assert (found["system/cpu_s"], found["system/busy_s"]) == (29.0, 25.0), (
        "side by side counts once"
    )
    assert found["system/peak_mb"] == 900
    (used,) = (given.dataset for given in run.inputs.dataset_inputs)
    assert (used.name, used.digest) == ("clean", tree_digest(store / "data/clean")[:36])


def test_page_of_the_run_lies_among_the_reports_and_with_the_run(store: Path) -> None:
    evaluated(store)
    with pipeline_run({"fit": {"lr": 0.5}}) as parent:
        page = write_page(store, parent)
    assert page == store / "reports/report.html"
    assert "fit.lr" in page.read_text()
    assert parent in page.read_text()
    filed = tracking_client().list_artifacts(parent)
    assert [artifact.path for artifact in filed] == ["report.html"]
