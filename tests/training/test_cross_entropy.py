"""The chunked cross entropy against that of torch, and what it never holds."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moss_speech.training import cross_entropy
from moss_speech.training.cross_entropy import cross_entropy_sum

D = 24


def reference(hidden_RD: Tensor, weight_VD: Tensor, targets_R: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden_RD, weight_VD).float(), targets_R, reduction="sum")


def drawn(n_rows: int, n_vocab: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(n_rows)
    hidden = (3 * torch.randn(n_rows, D, generator=draw)).requires_grad_()
    weight = torch.randn(n_vocab, D, generator=draw).requires_grad_()
    return hidden, weight, torch.randint(n_vocab, (n_rows,), generator=draw)


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.numel = max(self.numel, *sizes, 0)
        return out


def gradients(fn: Any, bf16: bool, *drawn: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    hidden, weight, targets = drawn
    hidden.grad = weight.grad = None
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        total: Tensor = fn(hidden, weight, targets)
    (total / 7).backward()  # type: ignore[no-untyped-call]
    return total.detach(), hidden.grad, weight.grad


@pytest.mark.parametrize("n_rows", [1, 5, 64, 301])
@pytest.mark.parametrize(("bf16", "tolerance"), [(False, 1e-6), (True, 1.2e-2)])
def test_loss_and_gradients_equal_those_of_torch(
    n_rows: int, bf16: bool, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worst relative error measured: float32 2e-7; bfloat16 7e-3, which rounds products."""
    monkeypatch.setattr(cross_entropy, "_LOGITS", 50 * 67)
    parts = drawn(n_rows, 67)
    ours, theirs = (gradients(fn, bf16, *parts) for fn in (cross_entropy_sum, reference))
    assert ours[0].dtype == torch.float32
    for have, want in zip(ours, theirs, strict=True):
        assert have is not None and want is not None and have.dtype == want.dtype
        error = float((have - want).abs().max() / want.abs().max())
        assert error < tolerance


def test_only_what_requires_a_gradient_gets_one() -> None:
    hidden, weight, targets = drawn(9, 67)
    weight.requires_grad_(False)
    assert gradients(cross_entropy_sum, False, hidden, weight, targets)[2] is None
    hidden.requires_grad_(False)
    assert not cross_entropy_sum(hidden, weight, targets).requires_grad


def test_no_rows_give_no_loss_and_gradients_of_zero() -> None:
    total, hidden_grad, weight_grad = gradients(cross_entropy_sum, False, *drawn(0, 67))
    assert float(total) == 0 and hidden_grad is not None and hidden_grad.shape == (0, D)
    assert weight_grad is not None and not weight_grad.any()


def test_far_logits_stay_finite() -> None:
    hidden, weight, targets = drawn(9, 67)
    total = cross_entropy_sum(hidden * 1e4, weight, targets)
    torch.testing.assert_close(total, reference(hidden * 1e4, weight, targets))


def test_no_tensor_is_as_large_as_the_full_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    n_rows, n_vocab = 400, 1000
    monkeypatch.setattr(cross_entropy, "_LOGITS", 40 * n_vocab)
    largest = {}
    for fn in (cross_entropy_sum, reference):
        with Largest() as seen:
            gradients(fn, False, *drawn(n_rows, n_vocab))
        largest[fn] = seen.numel
    assert largest[cross_entropy_sum] <= 40 * n_vocab
    assert largest[reference] == n_rows * n_vocab


def test_cuda_without_liger_names_the_extra() -> None:
    try:
        import liger_kernel  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match=r"moss-speech\[cuda\]"):
            cross_entropy._fused(*drawn(2, 5), torch.float32)
    else:
        pytest.skip("liger-kernel is installed")
