"""How fast sequences are packed, and how long a trainer waits for its batches.

Shapes: L grid rows, C channels (0 text, 1 speech).
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _figures import Figure, figure
from _lm import IDS, N_CODES, SHAPE, model_of
from _lm_training import spoken_rows
from _trainer import FIT, TRAINER_TRUNK_LAYERS

from moss_speech.corpus.packing.packed import pack
from moss_speech.lm.grid import IGNORE, GridSequence
from moss_speech.records import SilentTracker
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm
from moss_speech.training.lm_batches import PackedBatch, PackedSteps

CONTEXT, SEQUENCES = 4096, 20_000
STEPS = 6


def dialogues(n: int) -> list[GridSequence]:
    """Sequences of 30 to 1,000 rows whose second half is spoken and learnt."""
    random, made = np.random.default_rng(2), []
    for length in np.clip(random.lognormal(5.0, 0.7, n), 30, 1000).astype(int):
        rows_LC = random.integers(5, N_CODES, (length, 2))
        targets_LC = np.full((length, 2), IGNORE)
        targets_LC[length // 2 :, 1] = rows_LC[length // 2 :, 1]
        rows_LC[length // 2 :, 0] = IDS.modality_pad
        made.append(GridSequence(rows_LC, targets_LC, 0))
    return made


def packing(rounds: int) -> list[Figure]:
    """Grid rows a second that are put into packed rows, and how full those are."""
    made = dialogues(SEQUENCES)
    n_tokens, speeds, filled = sum(len(s.rows_TC) for s in made), [], 0.0
    for _ in range(rounds):
        began_s = time.perf_counter()
        packed = pack(made, CONTEXT, IDS)
        speeds.append(n_tokens / (time.perf_counter() - began_s) / 1e6)
        filled = float((packed.document_NL >= 0).mean())
    return [
        figure("packing, one process", speeds, "M tokens/s", at_least=1.0),
        figure("share of packed rows that is filled", [filled], ""),
    ]


@contextmanager
def _counting(waited_s: list[float]) -> Iterator[None]:
    """Seconds that whoever asks for a batch waits for it."""
    called = PackedSteps.__call__

    def timed(self: PackedSteps, step: int) -> PackedBatch:
        began_s = time.perf_counter()
        batch = called(self, step)
        waited_s.append(time.perf_counter() - began_s)
        return batch

    PackedSteps.__call__ = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        PackedSteps.__call__ = called  # type: ignore[method-assign]


def loading(rounds: int) -> Figure:
    """How much of a training run the trainer waits for batches, which its own process makes."""
    shares = []
    for seed in range(rounds):
        p, waited_s = FIT.model_copy(update={"steps": STEPS}), list[float]()
        with tempfile.TemporaryDirectory() as folder, _counting(waited_s):
            how = Fit(p, seed, Path(folder), SilentTracker())
            model = model_of(SHAPE.model_copy(update={"n_trunk_layers": TRAINER_TRUNK_LAYERS}))
            packed, began_s = spoken_rows(20, mixed=True), time.perf_counter()
            fit_lm(model, packed, p, how)
            shares.append(100 * sum(waited_s) / (time.perf_counter() - began_s))
    return figure("training that is spent waiting for batches", shares, "%", 2.0)
