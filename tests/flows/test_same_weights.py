"""The train flow, started as a newcomer starts it, against plain `dvc repro`."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from moss_speech.params.base import read_yaml
from moss_speech.storage import tree_digest
from tests.workspace import environment, make_workspace


def launch(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.launch", *arguments]
    return subprocess.run(
        command, cwd=workspace, env=environment(workspace), capture_output=True, text=True
    )


def outputs(workspace: Path) -> dict[str, str]:
    stages = read_yaml(workspace / "dvc.yaml")["stages"].values()
    return {out: tree_digest(workspace / out) for stage in stages for out in stage["outs"]}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_flow_makes_the_same_bytes_as_dvc_and_then_starts_nothing(
    tiny_run: Path, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path / "workspace")
    done = launch(workspace)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert outputs(workspace) == outputs(tiny_run)
    assert "version 1 promoted" in done.stdout
    assert "train_tokenizer: 100 %" in done.stdout
    lines = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if str(workspace) in line] == []
    again = launch(workspace)
    assert again.stdout.startswith("nothing to do: no stage changed, and version 1 is champion")


def test_misspelt_preset_starts_nothing(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "workspace")
    done = launch(workspace, "--preset", "dmeo")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "make train: no preset 'dmeo'; presets/ has demo, finetune, paper, tiny"
    )


def test_edited_params_are_never_overwritten_by_a_preset(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "workspace")
    edited = (workspace / "params.yaml").read_text() + "# mine\n"
    (workspace / "params.yaml").write_text(edited)
    done = launch(workspace, "--preset", "demo")
    assert done.returncode == 1
    assert "params.yaml has edits of its own" in done.stderr
    assert (workspace / "params.yaml").read_text() == edited


def test_wrong_number_is_named_before_anything_starts(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "workspace")
    params = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(params.replace("min_score: -4.0", "min_score: 1e-4"))
    done = launch(workspace)
    assert done.returncode == 1
    assert "params.yaml: align.min_score is '1e-4'" in done.stderr
    assert not (workspace / ".moss").exists()
