"""How fast the language model trains: against transformers' Trainer, and frozen against joint.

Forms run in turn, round by round, in float32, and are compared within a round.
Shapes: L grid rows, C channels (0 text, 1 speech), D width, V vocabulary.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from _figures import Figure, figure
from _lm import IDS, N_CODES, SHAPE, in_turn, model_of
from _trainer import against_trainer

from moss_speech.corpus.packing.packed import Packed, pack
from moss_speech.lm.grid import IGNORE, GridSequence
from moss_speech.lm.model import CHANNELS, Channel, LayerSplitLM
from moss_speech.training.lm_batches import take
from moss_speech.training.lm_loss import PackedLoss
from moss_speech.training.unfreeze import everything, speech_side

SPOKEN_CONTEXT = 192


def spoken_rows(n_rows: int, mixed: bool) -> Packed:
    """Packed rows full of targets: of both channels in turns if `mixed`, else of one a row."""
    random, sequences = np.random.default_rng(1), []
    for n in range(n_rows):
        rows_LC = random.integers(5, N_CODES, (SPOKEN_CONTEXT, 2))
        turns_L = np.arange(SPOKEN_CONTEXT) // 16 % 2 == 0
        spoken_L = turns_L if mixed else np.full(SPOKEN_CONTEXT, n % 2 == 0)
        rows_LC[turns_L, 0] = IDS.modality_pad
        targets_LC = np.full((SPOKEN_CONTEXT, 2), IGNORE)
        targets_LC[spoken_L, 1] = random.integers(0, N_CODES, int(spoken_L.sum()))
        targets_LC[~spoken_L, 0] = random.integers(5, SHAPE.n_text_vocab, int((~spoken_L).sum()))
        sequences.append(GridSequence(rows_LC, targets_LC, 0))
    return pack(sequences, SPOKEN_CONTEXT, IDS)


FORMS: dict[str, tuple[bool, tuple[Channel, ...]]] = {
    "frozen": (True, ("audio",)),
    "joint, both tails on all rows": (True, CHANNELS),
    "joint": (False, CHANNELS),
}
"""Whether packed rows hold targets of both channels, and which channels are run."""


def one_pass(model: LayerSplitLM, form: str) -> float:
    """Milliseconds a token of one forward and backward pass over two packed rows."""
    mixed, channels = FORMS[form]
    learning = (speech_side if form == "frozen" else everything)(model)[0].names
    for name, weight in model.named_parameters():
        weight.requires_grad_(name in learning)
        weight.grad = None
    batch = take(spoken_rows(2, mixed), np.arange(2))
    began_s = time.perf_counter()
    sums = PackedLoss(model.train(), channels)(batch)
    sum(sums.values()).backward()  # type: ignore[union-attr]
    return 1000 * (time.perf_counter() - began_s) / (2 * SPOKEN_CONTEXT)


def frozen_against_joint() -> Iterator[Figure]:
    """Time a token of the frozen stage as a part of the joint stage's, and the peak memory."""
    model = model_of()
    took = in_turn({form: lambda _, form=form: one_pass(model, form) for form in FORMS}, warm=1)
    for form, goal in (("joint, both tails on all rows", 0.7), ("joint", None)):
        ratios = [a / b for a, b in zip(took["frozen"], took[form], strict=True)]
        yield figure(f"e: time a token, frozen over {form}", ratios, "", goal)
    peak_gb = {form: peak_memory_gb(form) for form in ("frozen", "joint, both tails on all rows")}
    for form, value in peak_gb.items():
        yield figure(f"e: peak memory, {form}", [value], "GB")


def peak_memory_gb(form: str) -> float:
    """Peak resident memory of a process of its own that takes two optimizer steps."""
    command = [sys.executable, __file__, form]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def two_steps(form: str) -> float:
    """What `peak_memory_gb` runs."""
    model = model_of()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(2):
        one_pass(model, form)
        optimizer.step()
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with the parent's
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6


def measure_training() -> list[Figure]:
    """Figures (d) and (e)."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return [*against_trainer(), *frozen_against_joint()]


if __name__ == "__main__":
    print(two_steps(sys.argv[1]))
