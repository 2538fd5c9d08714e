"""A stage killed by SIGKILL and started again makes the same bytes as an unbroken one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moss_speech.stages.runner import declaration
from moss_speech.storage import tree_digest
from tests.workspace import copy_made, environment


def start(workspace: Path, stage: str) -> subprocess.Popen[bytes]:
    (workspace / "runs").mkdir(exist_ok=True)
    log = (workspace / "runs" / f"{stage}.log").open("ab")
    command = [sys.executable, "-m", "moss_speech.stages", stage]
    return subprocess.Popen(
        command, cwd=workspace, env=environment(workspace), stdout=log, stderr=log
    )


def kill_after_first_checkpoint(workspace: Path, stage: str) -> None:
    process = start(workspace, stage)
    while not list((workspace / "runs" / stage).rglob("last.ckpt")):
        assert process.poll() is None, "the stage ended before it wrote a checkpoint"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["train_tokenizer", "train_decoder", "pretrain_frozen", "pretrain_joint"]
)
def test_killed_and_resumed_stage_makes_the_same_bytes(
    tiny_run: Path, tmp_path: Path, stage: str
) -> None:
    workspace = copy_made(tiny_run, tmp_path / "workspace")
    out = declaration(workspace, stage).output
    unbroken = tree_digest(out)
    kill_after_first_checkpoint(workspace, stage)
    assert tree_digest(out) == unbroken, "a killed stage touched the previous output"
    resumed = start(workspace, stage)
    assert resumed.wait() == 0, (workspace / "runs" / f"{stage}.log").read_text()[-3000:]
    assert tree_digest(out) == unbroken
