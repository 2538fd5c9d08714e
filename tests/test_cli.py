import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from moss_speech.cli import app
from moss_speech.settings import settings
from tests.workspace import ROOT, make_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = make_workspace(tmp_path / "workspace")
    monkeypatch.setenv("MOSS_ROOT", str(root))
    monkeypatch.setenv("MOSS_ASSETS_FOLDER", str(ROOT / ".moss" / "assets"))
    settings.cache_clear()
    yield root
    settings.cache_clear()


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    for command in (
        "data",
        "train",
        "evaluate",
        "ask",
        "serve",
        "plan",
        "probe-codec",
        "report",
        "doctor",
        "export",
        "verify",
        "make-checkpoint",
        "import-codec",
        "probe-codec",
        "voice",
        "key",
        "resynthesise",
    ):
        assert command in shown


def test_unknown_stage_is_one_line_and_exit_code_one(workspace: Path) -> None:
    done = CliRunner().invoke(app, ["train", "trian"])
    assert done.exit_code == 1
    assert "no stage 'trian'; dvc.yaml has start, corpus" in done.stderr


def test_ask_without_a_champion_says_what_to_do(workspace: Path) -> None:
    done = CliRunner().invoke(app, ["ask", "question.wav", "answer.wav"])
    assert done.exit_code == 1
    assert "no champion yet: `make train`" in done.stderr


def test_report_before_any_evaluation_says_what_to_do(workspace: Path) -> None:
    done = CliRunner().invoke(app, ["report", "codec", "--json"])
    assert done.exit_code == 1
    assert "metrics.json does not exist" in done.stderr
    done = CliRunner().invoke(app, ["report", "latest", "--json"])
    assert done.exit_code == 1
    assert "metrics.json does not exist" in done.stderr


def test_codec_report_prints_a_table_or_json(workspace: Path) -> None:
    figure = {"value": 0.25, "ci95": [0.1, 0.4], "n": 7}
    kinds = {kind: {"word_error": figure, "stoi": figure} for kind in ("truth", "whole", "stream")}
    codec = {
        "rates": {"bits_per_s": 112.5, "bits_per_s_used": 90.1},
        "heard": {"people": {"assistant": kinds}},
    }
    reports = workspace / "reports"
    reports.mkdir()
    (reports / "metrics.json").write_text(json.dumps({"codec": codec}))
    (reports / "latency.json").write_text(json.dumps({"codec": {"encode": 0.03, "stream": 0.12}}))
    table = CliRunner().invoke(app, ["report", "codec"]).stdout
    assert table.count("0.25 (0.10–0.40)") == 6
    assert "112.5 bit/s, 90.1 by the codes' use" in table
    assert "encode 0.030, stream 0.120" in table
    found = json.loads(CliRunner().invoke(app, ["report", "codec", "--json"]).stdout)
    assert found == codec | {"real_time_factors": {"encode": 0.03, "stream": 0.12}}


def test_report_prints_the_figures_for_programs(workspace: Path) -> None:
    figure = {"value": 0.9, "ci95": [0.8, 0.95], "n": 100}
    (workspace / "reports").mkdir()
    (workspace / "reports" / "metrics.json").write_text(json.dumps({"accuracy": {"s2s": figure}}))
    done = CliRunner().invoke(app, ["report", "latest", "--json"])
    assert json.loads(done.stdout)["accuracy"]["s2s"] == figure
    assert "0.900" in CliRunner().invoke(app, ["report", "latest"]).stdout


def test_plan_counts_the_published_model_without_memory(workspace: Path) -> None:
    done = CliRunner().invoke(app, ["plan", "--preset", "paper", "--json"])
    assert done.exit_code == 0, done.stderr
    lm = json.loads(done.stdout)["lm"]
    assert (lm["tensors"], lm["parameters"]) == (446, 9_095_694_336)


def test_plan_of_serving_says_how_many_sessions_fit(workspace: Path) -> None:
    options = ("plan", "--serve", "--preset", "paper", "--session-rows", "1024")
    done = CliRunner().invoke(app, [*options, "--memory-gb", "24", "--json"])
    assert done.exit_code == 0, done.stderr
    plans = {plan["weights"]: plan for plan in json.loads(done.stdout)["plans"]}
    assert plans["bf16"]["lm_bytes"] == 2 * 9_095_694_336
    assert plans["fp32"]["sessions"]["24"] == 0 < plans["bf16"]["sessions"]["24"]
    table = CliRunner().invoke(app, options).stdout
    assert all(f"in {gb} GB" in table for gb in (16, 24, 40))
    refused = CliRunner().invoke(app, [*options, "--session-rows", "50000"])
    assert refused.exit_code == 1 and "must be 1..40960" in refused.stderr


def test_plan_refuses_an_unknown_preset(workspace: Path) -> None:
    done = CliRunner().invoke(app, ["plan", "--preset", "papre"])
    assert done.exit_code == 1
    assert "no preset 'papre'; there are demo, finetune, paper, tiny, params" in done.stderr


def test_port_in_use_is_refused_before_anything_starts(workspace: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["serve", "--port", str(port)])
    assert done.exit_code == 1
    assert f"port {port} is in use" in done.stderr


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng is installed")
def test_data_check_passes_speech_and_names_what_is_wrong(workspace: Path, tmp_path: Path) -> None:
    import subprocess

    folder = tmp_path / "recordings"
    folder.mkdir()
    subprocess.run(
        ["espeak-ng", "-w", str(folder / "good.wav"), "the grass is green today"], check=True
    )
    soundfile.write(folder / "silent.wav", np.zeros(24000), 24000)
    (folder / "broken.wav").write_bytes(b"no audio")
    for name in ("good", "silent", "broken"):
        (folder / f"{name}.txt").write_text("the grass is green today")
    unknown = CliRunner().invoke(app, ["data", "check", "--items", str(folder)])
    assert "checked-good  'the grass is green today': language unknown" in unknown.stdout
    assert unknown.exit_code == 1, "the stage would keep nothing of no known language"
    asked = ["data", "check", "--items", "--language", "en", str(folder)]
    done = CliRunner().invoke(app, asked)
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert lines["checked-good"].startswith("passed")
    assert "unreadable" in lines["broken"]
    assert lines["checked-silent"].startswith("rejected")
    assert "1 passed, 2 rejected: unreadable 1, loudness 1\n" in done.stdout
    assert done.exit_code == 0


def test_data_check_says_what_a_source_is_and_what_is_wrong(
    workspace: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.zeros(24000), 24000)
    (folder / "a.txt").write_text("no sound")
    (folder / "b.flac").write_bytes(b"no audio")
    (folder / "LICENSE").write_text("CC0 1.0 Universal")
    done = CliRunner().invoke(app, ["data", "check", "--json", str(folder)])
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (found["kind"], found["utterances"], found["seconds"]) == ("folder", 1, 1.0)
    assert found["formats"] == {"WAV 24000 Hz": 1}
    assert found["licences"] == {"LICENSE": "CC0 1.0 Universal"}
    assert [(p["reason"], p["count"]) for p in found["problems"]] == [("unreadable", 1)]
    plain = CliRunner().invoke(app, ["data", "check", str(folder)])
    assert "folder, 1 utterances, 0:00:01 hours" in plain.stdout
    assert "wrong        unreadable: 1 items" in plain.stdout
    (folder / "a.wav").unlink()
    assert CliRunner().invoke(app, ["data", "check", str(folder)]).exit_code == 1


def test_data_check_of_an_empty_folder_names_it(workspace: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    assert done.exit_code == 1
    assert f"folder {tmp_path} holds no audio file and no dialogues.jsonl" in done.stdout


def test_random_model_is_exported_and_verified_from_the_shell(tmp_path: Path) -> None:
    made, out = str(tmp_path / "made"), str(tmp_path / "out")
    for arguments in (["make-checkpoint", made], ["export", made, out], ["verify", out, made]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.stderr
    assert "0 of 50 tensors differ; largest change of 252,416 logits 0" in done.stdout
    again = CliRunner().invoke(app, ["make-checkpoint", made])
    assert again.exit_code == 1 and "is not empty" in again.stderr


def test_probe_of_a_folder_that_is_no_codec_says_so(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    done = CliRunner().invoke(app, ["probe-codec"])
    assert done.exit_code == 1
    assert "codec has no config.json: it is no codec folder" in done.stderr
