"""The whole chain for real, small: preset tiny through plain DVC, without any server."""

from pathlib import Path

import pytest

from flows._dvc import changed_stages
from moss_speech.catalogue.models import figures
from moss_speech.evaluation.report import latest_report
from moss_speech.params.base import read_yaml
from moss_speech.params.sections import load_pipeline
from moss_speech.registry.gates import check_figures, may_register, shortfall
from moss_speech.storage import read_json
from tests.workspace import dvc


def test_chain_reaches_the_gates_of_its_preset(tiny_run: Path) -> None:
    gates = load_pipeline(tiny_run / "params.yaml").gates
    reached = figures(latest_report(tiny_run))
    results = check_figures({name: figure.value for name, figure in reached.items()}, gates)
    assert shortfall(results) == ""


def test_every_stage_left_its_output_and_what_it_cost(tiny_run: Path) -> None:
    for name, stage in read_yaml(tiny_run / "dvc.yaml")["stages"].items():
        for out in stage["outs"]:
            assert any((tiny_run / out).iterdir()), f"{out} is empty"
        usage = read_json(tiny_run / "runs" / name / "usage.json")
        assert usage["ended_s"] > usage["started_s"]
        assert 0 < usage["peak_mb"] < 6000


def test_finished_chain_has_nothing_left_to_run(tiny_run: Path) -> None:
    assert changed_stages(tiny_run) == frozenset()
    said = dvc(tiny_run, "repro").stdout
    assert "Running stage" not in said


def test_planted_flaws_are_caught_by_cleaning(tiny_run: Path) -> None:
    rejects = (tiny_run / "data" / "clean" / "rejects.jsonl").read_text()
    assert "decode" in rejects


def test_tiny_models_stay_out_of_a_lasting_registry(tiny_run: Path, tmp_path: Path) -> None:
    gates = load_pipeline(tiny_run / "params.yaml").gates
    assert not may_register(gates, Path("/home/someone/project"))
    assert may_register(gates, tmp_path)


def test_bundle_of_the_chain_opens(tiny_run: Path) -> None:
    bundle = pytest.importorskip("moss_speech.bundle")
    opened = bundle.Bundle.open(tiny_run / "models" / "bundle")
    assert opened.codec.config.n_codes > 1
