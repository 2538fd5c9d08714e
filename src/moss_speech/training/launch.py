"""The one way to fit a module: Lightning with exact resume, curves and progress lines.

A batch is a pure function of the step, and every pass is seeded, so a run that was killed
and resumed gives the same weights as an unbroken one.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers.logger import DummyLogger, Logger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from moss_speech.params.fit import FitParams
from moss_speech.records import Tracker
from moss_speech.settings import settings
from moss_speech.training.callbacks import Averaged, Curves, FiniteSteps, SeededSteps

BatchOfStep = Callable[[int], Any]
"""Step number to batch; equal steps give equal batches. Parts of it need `callbacks.Parted`."""


@dataclass(frozen=True)
class Ranks:
    """The processes that share a run: copies of the model (ddp) or shards of it (fsdp)."""

    strategy: Literal["ddp", "fsdp"] = "ddp"
    devices: int = 1
    nodes: int = 1

    @property
    def count(self) -> int:
        """All processes."""
        return self.devices * self.nodes


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
    ranks: Ranks = Ranks()

    @property
    def folder(self) -> Path:
        """Where this run's checkpoints lie."""
        return self.run_folder / self.name

    def here(self) -> "Fit":
        """The same run on the device and the processes that the settings name."""
        here = settings()
        ranks = Ranks(here.strategy, here.devices, here.nodes)
        return replace(self, device=here.device, ranks=ranks)


class _Steps(IterableDataset[Any]):
    """A rank's parts of the batches from the trainer's current step on, without end."""

    def __init__(self, batch_of_step: BatchOfStep, module: pl.LightningModule, passes: int) -> None:
        self._batch_of_step, self._module, self._passes = batch_of_step, module, passes

    def __iter__(self) -> Iterator[Any]:
        step, trainer = self._module.global_step, self._module.trainer
        rank, n_ranks = trainer.global_rank, trainer.world_size
        n_parts = self._passes * n_ranks
        while True:
            batch = self._batch_of_step(step)
            for index in range(rank, n_parts, n_ranks):
                yield batch.part(index, n_parts) if n_parts > 1 else batch
            step += 1


def _callbacks(fit: Fit) -> list[pl.Callback]:
    checkpoint = ModelCheckpoint(
        dirpath=fit.folder,
        save_last=True,
        save_top_k=0,
        every_n_train_steps=fit.params.checkpoint_steps,
        save_on_train_epoch_end=False,
    )
    averaging = [Averaged(fit.params.average_decay)] if fit.params.average_decay else []
    guard = FiniteSteps(fit.params.clip_norm, fit.folder)
    curves = Curves(fit.params, fit.tracker, fit.name)
    return [SeededSteps(fit.seed), guard, curves, *averaging, checkpoint]


def _strategy(fit: Fit) -> Strategy | str:
    if fit.ranks.strategy == "fsdp":
        if fit.params.average_decay:
            raise ValueError(
                f"average_decay is {fit.params.average_decay}, must be 0 with sharded weights"
            )
        return ModelParallelStrategy(fit.ranks.count, 1)
    # a channel may be missing from a batch, and layers may be frozen still
    return "auto" if fit.ranks.count == 1 else DDPStrategy(find_unused_parameters=True)


def fit(module: pl.LightningModule, batch_of_step: BatchOfStep, how: Fit, passes: int = 1) -> None:
    """Train `module` in place to `how.params.steps`, resuming from the run folder if it can.

    Every rank computes its part of a step in `passes` passes. Ranks other than the first end
    here. Raises `FloatingPointError` before a step whose loss or gradient is not finite.
    """
    logger: Logger = DummyLogger()  # curves go through Curves; no logger would drop the values
    trainer = pl.Trainer(
        accelerator="gpu" if how.device == "cuda" else "cpu",
        devices=how.ranks.devices,
        num_nodes=how.ranks.nodes,
        strategy=_strategy(how),
        use_distributed_sampler=False,
        precision="bf16-mixed" if how.params.precision == "bf16" else "32-true",
        max_steps=how.params.steps,
        max_epochs=-1,
        accumulate_grad_batches=passes,
        logger=logger,
        log_every_n_steps=1,
        callbacks=_callbacks(how),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=how.run_folder,
    )
    last = how.folder / "last.ckpt"
    loader = DataLoader(_Steps(batch_of_step, module, passes), batch_size=None)
    trainer.fit(module, loader, ckpt_path=last if last.exists() else None)
    if trainer.global_rank:
        sys.exit()
    module.to("cpu")


def trainable_parameters(module: nn.Module) -> int:
    """How many parameters of a module get a gradient."""
    return sum(w.numel() for w in module.parameters() if w.requires_grad)
