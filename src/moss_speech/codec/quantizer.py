"""Vector quantiser at encoder width: nearest entry, k-means start, running-average codebook.

Shapes: V vectors · K codebook entries · D width.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_CHUNK = 4096


def nearest(x: Tensor, codebook_KD: Tensor, half_norm_K: Tensor | None = None) -> Tensor:
    """Index of the nearest entry by squared distance, the lowest on ties; [..., D] to [...].

    Who asks often about a codebook that stays keeps its `half_norms` and gives them.
    """
    with torch.autocast(x.device.type, enabled=False):  # full precision in training too
        half_norm_K = half_norms(codebook_KD) if half_norm_K is None else half_norm_K
        return (half_norm_K - x.float() @ codebook_KD.float().T).argmin(-1)


def half_norms(codebook_KD: Tensor) -> Tensor:
    """Half the squared length [K] of each entry."""
    return codebook_KD.float().square().sum(-1) / 2


def kmeans(x_VD: Tensor, n_entries: int, rounds: int, generator: torch.Generator) -> Tensor:
    """Codebook [K, D] of `rounds` of Lloyd's algorithm from random vectors.

    Entries that lose all vectors restart at random ones. `ValueError` if V is below K.
    """
    if len(x_VD) < n_entries:
        raise ValueError(f"k-means has {len(x_VD)} vectors, needs at least {n_entries}")
    book_KD = x_VD[torch.randperm(len(x_VD), generator=generator)[:n_entries]].clone()
    for _ in range(rounds):
        index_V = torch.cat([nearest(part, book_KD) for part in torch.split(x_VD, _CHUNK)])
        count_K = torch.bincount(index_V, minlength=n_entries).float()
        sum_KD = torch.zeros_like(book_KD).index_add_(0, index_V, x_VD)
        book_KD = sum_KD / count_K.clamp(min=1)[:, None]
        dead_K = count_K == 0
        fresh_V = torch.randperm(len(x_VD), generator=generator)[: int(dead_K.sum())]
        book_KD[dead_K] = x_VD[fresh_V]
    return book_KD


class EmaCodebook(nn.Module):
    """Moves the entries of a codebook towards the running mean of the vectors they take.

    Two of its buffers are the published `ema_count` and `ema_weight`.
    """

    ema_count: Tensor
    ema_weight: Tensor
    taken: Tensor
    """Running count of each entry as a part of its fair share; a restart does not raise it."""

    def __init__(self, codebook: nn.Embedding, decay: float, dead_below: float) -> None:
        super().__init__()
        self.codebook, self.decay, self.dead_below = codebook, decay, dead_below
        self.register_buffer("ema_count", torch.ones(codebook.num_embeddings))
        self.register_buffer("ema_weight", codebook.weight.detach().clone())
        self.register_buffer("taken", torch.zeros(codebook.num_embeddings))

    @torch.no_grad()
    def update(self, x_VD: Tensor, index_V: Tensor) -> None:
        """Learn from one batch; entries used less than `dead_below` restart at its vectors."""
        n_entries = len(self.ema_count)
        keep = 1 - self.decay
        share_K = torch.bincount(index_V, minlength=n_entries) * (n_entries / len(index_V))
        sum_KD = torch.zeros_like(self.ema_weight).index_add_(0, index_V, x_VD.float())
        self.taken.lerp_(share_K, keep)
        self.ema_count.lerp_(share_K, keep)
        self.ema_weight.lerp_(sum_KD * (n_entries / len(index_V)), keep)
        dead = (self.ema_count < self.dead_below).nonzero().flatten()[: len(x_VD)]
        fresh_V = torch.randperm(len(x_VD), device=x_VD.device)[: len(dead)]
        self.ema_count[dead] = 1.0
        self.ema_weight[dead] = x_VD[fresh_V].float()
        self.codebook.weight.data.copy_(self.ema_weight / self.ema_count.clamp(min=1e-5)[:, None])

    def use(self) -> dict[str, float]:
        """Part of the entries that were taken lately at least as often as a living one must be."""
        used = (self.taken > 0) & (self.taken >= self.dead_below)
        return {"codes_used": float(used.double().mean()), "perplexity": perplexity(self.taken)}


def perplexity(count_K: Tensor) -> float:
    """How many equally likely codes would carry as much: the exponential of the entropy."""
    share_K = count_K.double() / count_K.sum().clamp(min=1)
    return float(torch.special.entr(share_K).sum().exp())


def code_use(codes: Iterable[NDArray[np.int64]], n_codes: int) -> dict[str, float]:
    """Share of the codebook that occurs, and the perplexity of its use."""
    flat = np.concatenate([np.zeros(0, np.int64), *codes])
    count_K = torch.from_numpy(np.bincount(flat, minlength=n_codes))
    return {
        "codes_used": round(float((count_K > 0).double().mean()), 4),
        "perplexity": round(perplexity(count_K), 1),
    }
