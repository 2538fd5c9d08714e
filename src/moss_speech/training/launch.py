"""The one way to fit a module: Lightning with exact resume, curves and progress lines.

A batch is a pure function of the step, and every step is seeded, so a run that was killed
and resumed gives the same weights as an unbroken one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers.logger import DummyLogger, Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from moss_speech.params.fit import FitParams
from moss_speech.records import Tracker, report_progress

BatchOfStep = Callable[[int], Any]
"""Step number to batch; equal steps give equal batches."""


@dataclass(frozen=True)
class Fit:
    """Where and how one training run happens."""

    params: FitParams
    seed: int
    run_folder: Path
    """Checkpoints for resuming; same folder, same run."""
    tracker: Tracker
    device: str = "cpu"
    name: str = "train"
    """Prefix of the curves."""


class _Steps(IterableDataset[Any]):
    """Batches from the trainer's current step on, without end."""

    def __init__(self, batch_of_step: BatchOfStep, module: pl.LightningModule) -> None:
        self._batch_of_step, self._module = batch_of_step, module

    def __iter__(self) -> Iterator[Any]:
        step = self._module.global_step
        while True:
            yield self._batch_of_step(step)
            step += 1


class _SeededSteps(pl.Callback):
    """Seeds each step by its number, so that resuming needs no generator state."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        torch.manual_seed(self._seed * 1_000_003 + trainer.global_step)


class _StopOnNan(pl.Callback):
    """Ends the run at the first loss that is not finite."""

    def on_train_batch_end(self, trainer: pl.Trainer, _: Any, outputs: Any, *__: Any) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is not None and not torch.isfinite(loss).all():
            raise FloatingPointError(f"loss is {float(loss)} at step {trainer.global_step}")


class _Curves(pl.Callback):
    """Sends what the module logged to the tracker and prints progress."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step, every = trainer.global_step, self._fit.params.log_steps
        if step % every and step != self._fit.params.steps:
            return
        values = {k: float(v) for k, v in trainer.logged_metrics.items()}
        self._fit.tracker.metrics({f"{self._fit.name}/{k}": v for k, v in values.items()}, step)
        note = " ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))
        report_progress(step, self._fit.params.steps, f"{self._fit.name}: {note}")


class _Averaged(WeightAveraging):
    """Keeps a running average of the weights, which becomes the result.

    Written as a step towards the current weight, so that a frozen one keeps every bit.
    """

    def __init__(self, decay: float) -> None:
        def average(kept: Tensor, current: Tensor, _: Any) -> Tensor:
            return torch.lerp(kept, current, 1 - decay)

        super().__init__(avg_fn=average)


def _callbacks(fit: Fit) -> list[pl.Callback]:
    checkpoint = ModelCheckpoint(
        dirpath=fit.run_folder / fit.name,
        save_last=True,
        save_top_k=0,
        every_n_train_steps=fit.params.checkpoint_steps,
        save_on_train_epoch_end=False,
    )
    averaging = [_Averaged(fit.params.average_decay)] if fit.params.average_decay else []
    return [_SeededSteps(fit.seed), _StopOnNan(), _Curves(fit), *averaging, checkpoint]


def fit(module: pl.LightningModule, batch_of_step: BatchOfStep, how: Fit) -> None:
    """Train `module` in place to `how.params.steps`, resuming from the run folder if it can.

    Raises `FloatingPointError` if the loss stops being finite.
    """
    logger: Logger = DummyLogger()  # curves go through _Curves; no logger would drop the values
    trainer = pl.Trainer(
        accelerator="gpu" if how.device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if how.params.precision == "bf16" else "32-true",
        max_steps=how.params.steps,
        max_epochs=-1,
        logger=logger,
        log_every_n_steps=1,
        callbacks=_callbacks(how),
        gradient_clip_val=how.params.clip_norm if module.automatic_optimization else None,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=how.run_folder,
    )
    last = how.run_folder / how.name / "last.ckpt"
    loader = DataLoader(_Steps(batch_of_step, module), batch_size=None)
    trainer.fit(module, loader, ckpt_path=last if last.is_file() else None)
    module.to("cpu")


def trainable_parameters(module: nn.Module) -> int:
    """How many parameters of a module get a gradient."""
    return sum(w.numel() for w in module.parameters() if w.requires_grad)
