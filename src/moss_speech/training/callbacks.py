"""What happens around each step: seeds, the guard against NaN, curves, averaged weights."""

from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from moss_speech.params.fit import FitParams
from moss_speech.records import Tracker, report_progress
from moss_speech.storage import write_json


@runtime_checkable
class Parted(Protocol):
    """A batch of numbered items that passes and ranks can share."""

    def part(self, index: int, count: int) -> Self:
        """One of `count` parts."""

    def item_ids(self) -> list[int]:
        """Numbers of the items."""


class SeededSteps(pl.Callback):
    """Seeds each pass by its number, so that resuming needs no generator state."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed by step, pass and rank."""
        passes = trainer.accumulate_grad_batches
        number = trainer.global_step * passes + batch_idx % passes
        number = number * trainer.world_size + trainer.global_rank
        torch.manual_seed(self._seed * 1_000_003 + number)


class FiniteSteps(pl.Callback):
    """Clips the gradients; stops before a step whose loss or gradient is not finite.

    The weights and the last checkpoint stay those of the last good step. What was computed lies
    in `not-finite-RANK.json` of the folder.
    """

    def __init__(self, clip_norm: float, folder: Path) -> None:
        self._clip_norm, self._folder = clip_norm, folder
        self._passes: list[dict[str, Any]] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note which items the pass holds."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._passes = []
        self._passes.append({"items": batch.item_ids() if isinstance(batch, Parted) else None})

    def on_before_backward(
        self, trainer: pl.Trainer, module: pl.LightningModule, loss: Tensor
    ) -> None:
        """Note the loss."""
        self._passes[-1]["loss"] = loss.detach()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Judge loss and gradient of the whole step, then clip."""
        weights = [w for group in optimizer.param_groups for w in group["params"]]
        norm = torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        losses = [part["loss"] for part in self._passes]
        wrong = not bool(torch.stack([*losses, norm]).isfinite().all())
        if trainer.strategy.reduce_boolean_decision(wrong, all=False):
            self._stop(trainer, float(norm))
        torch.nn.utils.clip_grads_with_norm_(weights, self._clip_norm, norm)

    def _stop(self, trainer: pl.Trainer, norm: float) -> None:
        path = self._folder / f"not-finite-{trainer.global_rank}.json"
        step, losses = trainer.global_step, [float(part["loss"]) for part in self._passes]
        parts = {k: str(float(v)) for k, v in trainer.callback_metrics.items()}
        passes = [{**p, "loss": str(v)} for p, v in zip(self._passes, losses, strict=True)]
        found = {"step": step, "rank": trainer.global_rank, "gradient_norm": str(norm)}
        write_json(path, found | {"losses": parts, "passes": passes})
        raise FloatingPointError(
            f"loss is {', '.join(map(str, losses))}, norm of the gradient {norm} at step {step}, "
            f"must be finite; the batch is named in {path}"
        )


class Curves(pl.Callback):
    """Sends what the module logged to the tracker and prints progress."""

    def __init__(self, params: FitParams, tracker: Tracker, name: str) -> None:
        self._params, self._tracker, self._name = params, tracker, name

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Report a step that is due."""
        step, steps, every = trainer.global_step, self._params.steps, self._params.log_steps
        if (index + 1) % trainer.accumulate_grad_batches or not trainer.is_global_zero:
            return
        if step % every and step != steps:
            return
        values = {k: float(v) for k, v in trainer.logged_metrics.items()}
        self._tracker.metrics({f"{self._name}/{k}": v for k, v in values.items()}, step)
        note = " ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))
        report_progress(step, steps, f"{self._name}: {note}")


class Averaged(WeightAveraging):
    """Keeps a running average of the weights, which becomes the result.

    Written as a step towards the current weight, so that a frozen one keeps every bit.
    """

    def __init__(self, decay: float) -> None:
        def average(kept: Tensor, current: Tensor, _: Any) -> Tensor:
            return torch.lerp(kept, current, 1 - decay)

        super().__init__(avg_fn=average)
