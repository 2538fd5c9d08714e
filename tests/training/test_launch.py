"""Exact resume, the guard against NaN, schedules."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from moss_speech.training.optim import warmup_cosine

SCRIPT = """
import os, signal, sys
from pathlib import Path
import lightning.pytorch as pl
import torch
from safetensors.torch import save_file
from torch import nn
from moss_speech.params.fit import FitParams
from moss_speech.records import SilentTracker
from moss_speech.training.launch import Fit, fit
from moss_speech.training.optim import adamw

root = Path(sys.argv[1])
PARAMS = dict(steps=30, lr=0.01, final_lr_ratio=0.1, warmup_steps=5, weight_decay=0.1, beta2=0.95,
              clip_norm=1.0, precision="fp32", checkpoint_steps=7, log_steps=10)

class Regression(pl.LightningModule):
    def __init__(self, p, kill_at, nan_at):
        super().__init__()
        torch.manual_seed(0)
        self.p, self.kill_at, self.nan_at = p, kill_at, nan_at
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 1))

    def training_step(self, x, _):
        if self.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = ((self.layers(x) - x.sum(1, keepdim=True)) ** 2).mean()
        loss = loss * float("nan") if self.global_step == self.nan_at else loss
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        optimizer, schedule = adamw(self.parameters(), self.p)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

def batch(step):
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(step))

def train(name, average, kill_at=None, nan_at=None):
    p = FitParams(average_decay=average, **PARAMS)
    module = Regression(p, kill_at, nan_at)
    fit(module, batch, Fit(p, 1, root / name, SilentTracker()))
    save_file(module.state_dict(), root / f"{name}.safetensors")

for average in (0.0, 0.9):  # fork before the first tensor, so that only the child dies
    child = os.fork()
    if child == 0:
        train(f"broken{average}", average, kill_at=17)
    print("killed by", os.WTERMSIG(os.waitpid(child, 0)[1]))
for average in (0.0, 0.9):
    train(f"whole{average}", average)
    print("resume", average)
    train(f"broken{average}", average)
try:
    train("nan", 0.0, nan_at=12)
except FloatingPointError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("runs")
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return folder, process.stdout


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_killed_and_resumed_training_gives_the_weights_of_an_unbroken_run(
    runs: tuple[Path, str], average: float
) -> None:
    folder, printed = runs
    resumed = printed.split(f"resume {average}")[1].split("resume")[0].split("whole")[0]
    assert printed.count("killed by 9") == 2
    assert resumed.index("progress 20/30") < resumed.index("progress 30/30")
    assert "progress 10/30" not in resumed.split("progress 30/30")[0]
    whole, broken = (load_file(folder / f"{n}{average}.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_loss_that_is_not_finite_ends_the_run(runs: tuple[Path, str]) -> None:
    folder, printed = runs
    assert "loss is nan, norm of the gradient nan at step 12" in printed
    assert not (folder / "nan.safetensors").exists()


def test_rate_warms_up_then_falls_to_its_final_ratio() -> None:
    rates = [warmup_cosine(step, 10, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert warmup_cosine(100, 10, 100, 0.1) == pytest.approx(0.1)
