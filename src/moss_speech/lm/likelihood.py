"""How likely a model finds what follows a context: log-probabilities of grid rows.

A row that follows is judged in the channel that means something there, by the whole softmax of
that channel's head in float32: what sampling bars is not barred, nothing is divided by a length.
Shapes: B continuations, T grid rows, C channels (0 text, 1 speech), N judged rows, D width,
V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moss_speech.lm.batch import check_request
from moss_speech.lm.grid import Rows
from moss_speech.lm.model import CHANNELS, LayerSplitLM


@dataclass(frozen=True, eq=False)
class Continuation:
    """Rows that are given and rows that are judged; both hold at least one."""

    context_TC: Rows
    said_TC: Rows

    def __post_init__(self) -> None:
        for name in ("context_TC", "said_TC"):
            if len(getattr(self, name)) == 0:
                raise ValueError(f"{name} holds 0 rows, must hold at least 1")


@dataclass(frozen=True)
class Likelihood:
    """Natural logarithm of the probability of all judged rows together."""

    log_prob: float
    n_rows: int

    @property
    def mean(self) -> float:
        """Log-probability a row."""
        return self.log_prob / self.n_rows


@torch.inference_mode()
def likelihoods(model: LayerSplitLM, continuations: Sequence[Continuation]) -> list[Likelihood]:
    """Judge continuations side by side in one pass, shorter ones padded behind their end.

    Equal calls give equal bits; beside other neighbours the last bits may differ, so who must
    repeat a figure keeps together what belongs together. Raises `ValueError` for ids or lengths
    outside the model's.
    """
    config = model.config
    joined = [np.concatenate((c.context_TC, c.said_TC)) for c in continuations]
    for rows_TC in joined:
        check_request(rows_TC, 0, config)
    shape = (len(joined), max(map(len, joined)), 2)
    grid = np.full(shape, (config.ids.pad, config.ids.audio_pad), np.int64)
    for rows_TC, line_TC in zip(grid, joined, strict=True):
        rows_TC[: len(line_TC)] = line_TC
    grid_BTC = torch.from_numpy(grid).to(model.model.embed_tokens.weight.device)
    places = [
        (b, t)
        for b, c in enumerate(continuations)
        for t in range(len(c.context_TC), len(joined[b]))
    ]
    total_B = torch.zeros(len(joined), dtype=torch.float64)
    for line, value in zip((b for b, _ in places), _judged(model, grid_BTC, places), strict=True):
        total_B[line] += value
    return [
        Likelihood(float(total), len(c.said_TC))
        for total, c in zip(total_B, continuations, strict=True)
    ]


def _judged(model: LayerSplitLM, grid_BTC: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """Log-probability of the rows at `places` (line, row), each given the rows before it, [N]."""
    line_N, row_N = (torch.tensor(i, device=grid_BTC.device) for i in zip(*places, strict=True))
    rows_NC = grid_BTC[line_N, row_N]
    is_speech_N = rows_NC[:, 0] == model.config.ids.modality_pad
    place = model.place(grid_BTC)
    x_BTD = model.trunk(grid_BTC, place)
    found_N = torch.zeros(len(places), dtype=torch.float64)
    for index, channel in enumerate(CHANNELS):
        mine_N = is_speech_N == (channel == "audio")
        if mine_N.any():
            out_BTD = model.tail(x_BTD, channel, place)
            logits_NV = model.head(channel)(out_BTD[line_N[mine_N], row_N[mine_N] - 1])
            log_NV = logits_NV.float().log_softmax(-1)
            ids_N1 = rows_NC[mine_N, index, None]
            found_N[mine_N.cpu()] = log_NV.gather(1, ids_N1)[:, 0].double().cpu()
    return found_N
