"""What a report finds of a run in the stores, by every name that a run may have."""

from dataclasses import replace
from pathlib import Path

import pytest

from moss_speech.evaluation.pages.report import report_page
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.registry.store import tracking_client
from moss_speech.registry.subjects import find_subject
from moss_speech.registry.tracking import link_skipped, pipeline_run, stage_run
from moss_speech.registry.versions import register_candidate
from moss_speech.settings import settings
from moss_speech.storage import write_json
from tests.evaluation.saved import write_evaluation
from tests.registry.candidates import GOOD, make_candidate, promote

pytestmark = pytest.mark.usefixtures("store")


def pipeline(monkeypatch: pytest.MonkeyPatch, name: str = "one", skipped: bool = False) -> str:
    """A pipeline of two stages with an evaluation; returns its run."""
    folder = write_evaluation(settings().root / name / "evaluation")
    packs = settings().root / name / "packs"
    row = {"stage": "joint", "kind": "s2s", "rows": 3, "sequences": 1}
    write_json(packs / "composition.json", {"corpus": [], "packs": [row]})
    with pipeline_run({"seed": 1, "fit": {"lr": 0.1}}) as parent:
        monkeypatch.setenv("MOSS_PARENT_RUN", parent)
        settings.cache_clear()
        with stage_run("pack", "p") as tracker:
            tracker.artifact(packs / "composition.json", "packs")
        with stage_run("pretrain_joint", "j", {"packs": "d" * 64}) as tracker:
            for step in range(4):
                tracker.metrics({"joint/audio_loss": 4.0 - step}, step)
            tracker.metrics({"system/cpu_s": 61.0, "system/peak_mb": 500})
        if skipped:
            link_skipped(parent, "evaluate", "e")
        else:
            with stage_run("evaluate", "e") as tracker:
                tracker.metrics({"latency/first_audio_s": 0.25})
                tracker.artifact(folder)
    monkeypatch.delenv("MOSS_PARENT_RUN")
    settings.cache_clear()
    return parent


def register(parent: str, name: str = "one") -> int:
    report = settings().root / name / "evaluation"
    return register_candidate(replace(make_candidate(name), report=report), parent)


def test_run_brings_curves_cost_speed_params_and_data(monkeypatch) -> None:
    parent = pipeline(monkeypatch)
    found = find_subject(parent)
    assert found.name == f"run {parent[:8]}"
    assert found.curves == {"joint/audio_loss": [(0, 4.0), (1, 3.0), (2, 2.0), (3, 1.0)]}
    assert found.latency == {"first_audio_s": 0.25}
    assert found.params == {"seed": "1", "fit.lr": "0.1"}
    assert found.packs[0]["rows"] == 3
    assert [s.name for s in found.stages] == ["pack", "pretrain_joint", "evaluate"]
    assert (found.stages[1].cpu_s, found.stages[1].peak_mb) == (61.0, 500.0)
    assert found.lineage is not None
    assert found.lineage.data == {"packs": "d" * 64}
    page = report_page([found])
    for words in ("1 min 01 s", "joint/audio_loss", "0.25 s", "fit.lr", "100\u202f%"):
        assert words in page


def test_version_and_alias_bring_who_approved_it_and_why(monkeypatch) -> None:
    version = register(pipeline(monkeypatch))
    promote(version, "anna")
    for name in (str(version), f"v{version}", "champion", "@candidate"):
        found = find_subject(name)
        assert found.lineage is not None
        assert (found.name, found.lineage.version) == (f"version {version}", version)
        assert found.lineage.aliases == ["approved", "candidate", "champion"]
        (decision,) = found.lineage.decisions
        assert (decision.who, decision.result) == ("anna", "committed")
        assert "s2s is 0.900" in decision.reason
    page = report_page([found])
    assert "promoted" in page
    assert "s2s is 0.900, must be at least 0.800" in page


def test_beginning_of_a_run_and_any_of_its_stages_lead_to_the_pipeline(monkeypatch) -> None:
    parent = pipeline(monkeypatch)
    (stage, *_) = tracking_client().search_runs(["1"], "tags.`moss.stage` = 'evaluate'")
    for name in (parent[:8], stage.info.run_id):
        found = find_subject(name).lineage
        assert found is not None
        assert found.run_id == parent


def test_skipped_evaluation_is_that_of_the_run_that_made_it(monkeypatch) -> None:
    pipeline(monkeypatch)
    again = pipeline(monkeypatch, "two", skipped=True)
    found = find_subject(again)
    assert found.stages[-1].made_by
    assert len(found.evaluation.items) == 5
    assert found.latency == {"first_audio_s": 0.25}


def newest(root: Path) -> Subject:
    write_json(root / "reports/metrics.json", GOOD)
    return find_subject("latest")


def test_latest_has_its_pipeline_only_if_that_made_it(store: Path, monkeypatch) -> None:
    parent = pipeline(monkeypatch)
    (store / "reports").mkdir()
    (store / "one/evaluation").rename(store / "reports/evaluation")
    found = newest(store)
    assert found.lineage is not None
    assert found.lineage.run_id == parent
    write_evaluation(store / "reports/evaluation", codec=None)
    assert newest(store).lineage is None, "the run made another evaluation"


def test_folder_needs_no_store(store: Path) -> None:
    found = find_subject(str(write_evaluation(store / "mine")))
    assert (found.name, found.lineage) == ("mine", None)
    assert 'id="scores"' in report_page([found])
