"""One new row a conversation through a stack of layers: the pass that generation repeats.

The layers are those of `layers`; only the order of work differs, so that one row costs little
beside reading its weights. Two ways to attend, equal in what they compute: over each slot's own
rows (CPU), or over the whole capacity with fixed shapes (CUDA graphs, compilers).
Shapes: B slots, D width, N query heads, K key-value heads, H head width, S capacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.compiler import is_compiling

from moss_speech.lm.config import LMConfig
from moss_speech.lm.layers import Layer, LayerCache, Stack, normalised
from moss_speech.lm.quantize import Int8Linear

_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


@dataclass(frozen=True)
class NewRows:
    """Where one row of each slot stands.

    `taken` lists (slot, position) of the slots that take part; the others compute what nobody
    reads. `at_B` holds the positions again, the last row of the cache for idle slots.
    """

    cos_B1H: Tensor
    sin_B1H: Tensor
    """The first half negated, so that a rolled row turns by one multiplication."""
    taken: Sequence[tuple[int, int]]
    at_B: Tensor
    sees_B11S: Tensor | None
    """Rows that each slot sees; None attends over each slot's own rows."""


class StackCache:
    """Keys and values of all layers of a stack for all slots."""

    def __init__(
        self, stack: Stack, n_slots: int, capacity: int, like: Tensor, config: LMConfig
    ) -> None:
        # one row more than is used: idle slots write there
        shape = (n_slots, config.num_key_value_heads, capacity + 1, config.head_dim)
        self.layers = [(like.new_zeros(shape), like.new_zeros(shape)) for _ in stack.layers]

    def of_slot(self, slot: int, start: int) -> list[LayerCache]:
        """One slot's part, to go on at row `start`."""
        return [LayerCache(keys[slot], values[slot], start) for keys, values in self.layers]


def project(x_BD: Tensor, linear: nn.Module) -> Tensor:
    """Rows times weights, for the few rows of a step.

    For float32 on CPU oneDNN is asked by name: of what torch offers it alone reads the weights
    with all threads when there is one row. Faster still is the loop that a compiler makes of a
    product and a sum.
    """
    if isinstance(linear, nn.Linear) and linear.weight.is_cpu:
        weight_ND = linear.weight
        if is_compiling() and len(x_BD) == 1:
            return (weight_ND.float() * x_BD.float()).sum(-1).to(x_BD.dtype)[None]
        if _ONEDNN and weight_ND.dtype == torch.float32 and not is_compiling():
            return cast(Tensor, _ONEDNN(x_BD, weight_ND, None, "none", [], ""))
    return cast(Tensor, linear(x_BD))


def joined(*linears: nn.Module) -> list[nn.Module]:
    """Projections of the same rows as one; their weights become parts of its weights.

    So one read serves all, and there is one copy in memory. Joining again changes nothing.
    Int4 layers, whose kernel packs them anew, stay apart.
    """
    first = linears[0]
    if not isinstance(first, nn.Linear | Int8Linear):
        return list(linears)
    with torch.device("meta"):
        one = nn.Linear(1, 1, bias=False) if isinstance(first, nn.Linear) else Int8Linear(1, 1)
    for name, _ in first.named_parameters():
        whole = _one_tensor([linear.get_parameter(name) for linear in linears])
        setattr(one, name, nn.Parameter(whole, requires_grad=False))
    return [one]


def _one_tensor(parts: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other, in one piece of memory that is theirs from now on."""
    first, n_rows = parts[0], [len(part) for part in parts]
    starts = list(accumulate((part.nbytes for part in parts[:-1]), initial=first.data_ptr()))
    one_storage = len({part.untyped_storage().data_ptr() for part in parts}) == 1
    if one_storage and [part.data_ptr() for part in parts] == starts:
        return first.detach().as_strided((sum(n_rows), first.shape[1]), (first.shape[1], 1))
    with torch.inference_mode(False):  # the parts may be trained again
        whole = torch.cat([part.detach() for part in parts])
        for part, place in zip(parts, torch.split(whole, n_rows), strict=True):
            part.data = place
    return whole


def _project_all(x_BD: Tensor, linears: Sequence[nn.Module]) -> Tensor:
    if len(linears) == 1:
        return project(x_BD, linears[0])
    return torch.cat([project(x_BD, linear) for linear in linears], -1)


class RowLayer:
    """One layer as a pass of one row a slot runs it."""

    def __init__(self, layer: Layer, cache: tuple[Tensor, Tensor], config: LMConfig) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._qkv = joined(attention.q_proj, attention.k_proj, attention.v_proj)
        self._gate_up = joined(mlp.gate_proj, mlp.up_proj)
        self._out, self._down = attention.o_proj, mlp.down_proj
        self._before, self._between = layer.input_layernorm, layer.post_attention_layernorm
        self._keys_BKSH, self._values_BKSH = cache
        self._slots = [tuple(part[slot, None] for part in cache) for slot in range(len(cache[0]))]
        self._eps, self._head_dim = config.rms_norm_eps, config.head_dim
        self._n_heads, self._n_kv_heads = config.num_attention_heads, config.num_key_value_heads
        norms = ((attention.q_norm, self._n_heads), (attention.k_norm, self._n_kv_heads))
        self._norm_NH = torch.cat([norm.weight.detach().expand(n, -1) for norm, n in norms])

    def __call__(self, x_BD: Tensor, rows: NewRows) -> Tensor:
        """Attention, then the feed-forward part."""
        x_BD = x_BD + self._attend(self._before(x_BD), rows)
        gate_BF, up_BF = _project_all(self._between(x_BD), self._gate_up).chunk(2, -1)
        return x_BD + project(F.silu(gate_BF) * up_BF, self._down)

    def _attend(self, h_BD: Tensor, rows: NewRows) -> Tensor:
        qkv_BNH = _project_all(h_BD, self._qkv).view(len(h_BD), -1, self._head_dim)
        turned = self._n_heads + self._n_kv_heads
        qk_BNH, v_BKH = qkv_BNH[:, :turned], qkv_BNH[:, turned:]
        qk_BNH = normalised(qk_BNH, self._eps) * self._norm_NH
        rolled = qk_BNH.roll(self._head_dim // 2, -1)
        qk_BNH = qk_BNH * rows.cos_B1H + rolled * rows.sin_B1H
        q_BNH, k_BKH = qk_BNH[:, : self._n_heads], qk_BNH[:, self._n_heads :]
        see = self._own_rows if rows.sees_B11S is None else self._all_rows
        return project(see(q_BNH, k_BKH, v_BKH, rows).view(len(h_BD), -1), self._out)

    def _own_rows(self, q_BNH: Tensor, k_BKH: Tensor, v_BKH: Tensor, rows: NewRows) -> Tensor:
        """Each slot by itself, so that no neighbour's length changes its bits."""
        q_BN1H = q_BNH.unsqueeze(2)
        out = [torch.zeros_like(q_BN1H[:1])] * len(q_BNH)
        for slot, at in rows.taken:
            keys_1KSH, values_1KSH = self._slots[slot]
            keys_1KSH.select(2, at).copy_(k_BKH[slot])
            values_1KSH.select(2, at).copy_(v_BKH[slot])
            out[slot] = F.scaled_dot_product_attention(
                q_BN1H.narrow(0, slot, 1),
                keys_1KSH.narrow(2, 0, at + 1),
                values_1KSH.narrow(2, 0, at + 1),
                enable_gqa=True,
            )
        return torch.cat(out)

    def _all_rows(self, q_BNH: Tensor, k_BKH: Tensor, v_BKH: Tensor, rows: NewRows) -> Tensor:
        slots_B = torch.arange(len(q_BNH), device=q_BNH.device)
        self._keys_BKSH[slots_B, :, rows.at_B] = k_BKH
        self._values_BKSH[slots_B, :, rows.at_B] = v_BKH
        return F.scaled_dot_product_attention(
            q_BNH[:, :, None],
            self._keys_BKSH,
            self._values_BKSH,
            attn_mask=rows.sees_B11S,
            enable_gqa=True,
        )


class RowStack:
    """A stack's layers and the caches they write."""

    def __init__(self, stack: Stack, cache: StackCache, config: LMConfig) -> None:
        self._layers = [
            RowLayer(cast(Layer, layer), kept, config)
            for layer, kept in zip(stack.layers, cache.layers, strict=True)
        ]

    def __call__(self, x_BD: Tensor, rows: NewRows) -> Tensor:
        """Run all layers over one row a slot."""
        for layer in self._layers:
            x_BD = layer(x_BD, rows)
        return x_BD
