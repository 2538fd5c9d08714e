"""Cross entropy of a linear head whose full logits never exist.

On CPU rows go through the head chunk by chunk, and each chunk leaves its gradients behind; on
CUDA liger-kernel does the same in fused kernels.
Shapes: R rows with a target, D width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_LOGITS = 1 << 22
"""Most logits of one chunk: few enough to stay near the cores, enough for fast products."""


def cross_entropy_sum(hidden_RD: Tensor, weight_VD: Tensor, targets_R: Tensor) -> Tensor:
    """Summed cross entropy in float32 of the logits `hidden_RD @ weight_VD.T`.

    Products are of the type that autocast asks for, as in a linear layer. Gradients are made for
    what requires them. Raises `ValueError` on CUDA without liger-kernel.
    """
    device = hidden_RD.device.type
    wanted = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if wanted else hidden_RD.dtype
    total_of = _fused if device == "cuda" else _Chunked.apply
    total: Tensor = total_of(hidden_RD, weight_VD, targets_R, dtype)
    return total


def _fused(hidden_RD: Tensor, weight_VD: Tensor, targets_R: Tensor, dtype: torch.dtype) -> Tensor:
    try:
        from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy
    except ImportError as error:
        raise ValueError(
            "training on cuda needs liger-kernel: pip install 'moss-speech[cuda]'"
        ) from error
    total: Tensor = liger_fused_linear_cross_entropy(
        hidden_RD.to(dtype), weight_VD.to(dtype), targets_R, reduction="sum"
    )
    return total


class _Chunked(torch.autograd.Function):
    """The loss and, at once, what its backward pass will hand on."""

    @staticmethod
    def forward(
        ctx: Any, hidden_RD: Tensor, weight_VD: Tensor, targets_R: Tensor, dtype: torch.dtype
    ) -> Tensor:
        for_hidden, for_weight, *_ = ctx.needs_input_grad
        hidden_grad_RD = torch.empty_like(hidden_RD) if for_hidden else None
        empty = torch.empty_like if len(hidden_RD) else torch.zeros_like
        weight_grad_VD = empty(weight_VD) if for_weight else None
        total = hidden_RD.new_zeros((), dtype=torch.float32)
        weight_VD, n_rows = weight_VD.to(dtype), _chunk_rows(len(hidden_RD), len(weight_VD))
        with torch.autocast(hidden_RD.device.type, enabled=False):
            for first in range(0, len(hidden_RD), n_rows):
                chunk = slice(first, first + n_rows)
                rows_RD = hidden_RD[chunk].to(dtype)
                logits_RV = (rows_RD @ weight_VD.T).float()
                total += _to_gradient(logits_RV, targets_R[chunk])
                grad_RV = logits_RV.to(dtype)
                if hidden_grad_RD is not None:
                    hidden_grad_RD[chunk] = grad_RV @ weight_VD
                if weight_grad_VD is not None:
                    _add_product(weight_grad_VD, grad_RV, rows_RD, first > 0)
        ctx.save_for_backward(hidden_grad_RD, weight_grad_VD)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight = (g if g is None else g.mul_(scale) for g in ctx.saved_tensors)
        return hidden, weight, None, None


def _chunk_rows(n_rows: int, n_vocab: int) -> int:
    """Rows of a chunk: as few chunks of equal size as the limit allows."""
    n_chunks = -(-n_rows * n_vocab // _LOGITS)
    return max(1, -(-n_rows // max(1, n_chunks)))


def _to_gradient(logits_RV: Tensor, targets_R: Tensor) -> Tensor:
    """Summed loss of some logits, which become its gradient in place."""
    at_target = targets_R[:, None]
    logits_RV -= logits_RV.amax(-1, keepdim=True)
    at_target_R1 = logits_RV.gather(-1, at_target)
    sum_R1 = logits_RV.exp_().sum(-1, keepdim=True)
    logits_RV /= sum_R1
    logits_RV.scatter_add_(-1, at_target, logits_RV.new_full((1, 1), -1.0).expand_as(at_target))
    return (sum_R1.log() - at_target_R1).sum()


def _add_product(sum_VD: Tensor, grad_RV: Tensor, hidden_RD: Tensor, add: bool) -> None:
    """Add a chunk's gradient of the weight; the first one overwrites."""
    if grad_RV.dtype == sum_VD.dtype:
        sum_VD.addmm_(grad_RV.T, hidden_RD, beta=int(add))
    elif add:
        sum_VD += grad_RV.T @ hidden_RD
    else:
        sum_VD.copy_(grad_RV.T @ hidden_RD)
