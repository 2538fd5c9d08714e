"""Weight-only int8 and int4: linear layers that read a quarter or an eighth of the memory.

A layer's parameters have torchao's names and values (`Int8Tensor`; `Int4Tensor` in plain packing),
so that the state dict of a quantised model is what its safetensors files hold. Every value lies
within half a step of its source. Layout: docs/reference/format.md section 2.
Shapes: N outputs, K inputs, G groups of inputs, g inputs of a group, R rows, P packed inputs (K/2).
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moss_speech.lm.config import LMConfig
from moss_speech.lm.model import LayerSplitLM

Bits = Literal["int8", "int4"]
GROUP_SIZES = (32, 64, 128)
"""Inputs that may share an int4 scale."""
QDATA, SCALE, ZERO_POINT = "_weight_qdata", "_weight_scale", "_weight_zero_point"
_SMALLEST_SCALE = torch.finfo(torch.float32).eps
_FEW_ROWS = 4
"""Up to here the int8 kernel beats a bfloat16 product with unpacked weights, as measured."""
_KERNEL_INPUTS = 16
"""The int8 kernel reads inputs in vectors of this width and past the end of others."""
_KERNEL_OUTPUTS = 16
"""The int4 kernel packs outputs in blocks of this."""


@dataclass(frozen=True)
class Scheme:
    """How linear weights are stored; embeddings and norms stay as they are."""

    bits: Bits
    group_size: int | None = None
    """Inputs that share a scale: int4 alone; an int8 output has one scale."""

    def __post_init__(self) -> None:
        if self.bits == "int4" and self.group_size not in GROUP_SIZES:
            raise ValueError(f"the group size is {self.group_size}, must be one of {GROUP_SIZES}")


def quantize_int8(model: LayerSplitLM) -> LayerSplitLM:
    """A copy with int8 linear layers that shares every other weight; its type stays."""
    return quantize(model, Scheme("int8"))


def quantize(model: LayerSplitLM, scheme: Scheme) -> LayerSplitLM:
    """A copy with quantised linear layers; int4 turns everything else into bfloat16.

    Raises `ValueError` for a model that is quantised already and sizes that do not fit a group.
    """
    if (have := scheme_of(model)) is not None:
        raise ValueError(f"the model's weights are {have.bits} already, must be unquantised")
    tensors = {n: w for n, w in model.state_dict().items() if n not in _linear_weights(model)}
    if scheme.bits == "int4":
        tensors = {name: w.to(torch.bfloat16) for name, w in tensors.items()}
    out = hollow(model.config, scheme)
    for name, layer in quantized_layers(out).items():
        parts = layer.parts_of(model.get_submodule(name).get_parameter("weight").detach())
        tensors |= {f"{name}.{part}": tensor for part, tensor in parts.items()}
    out.load_state_dict(tensors, assign=True)
    return out.eval()


def hollow(config: LMConfig, scheme: Scheme | None) -> LayerSplitLM:
    """A model on the meta device: names, shapes and types without values."""
    with torch.device("meta"):
        model = LayerSplitLM(config)
        if scheme is not None:
            for name in _linear_weights(model):
                layer_name = name.removesuffix(".weight")
                n_out, n_in = model.get_parameter(name).shape
                model.set_submodule(layer_name, _layer(n_in, n_out, scheme))
    return model


def scheme_of(model: LayerSplitLM) -> Scheme | None:
    """How a model's linear weights are stored; None if they are not quantised."""
    match model.head("text"):
        case Int8Linear():
            return Scheme("int8")
        case Int4Linear(group_size=group_size):
            return Scheme("int4", group_size)
    return None


def quantized_layers(model: LayerSplitLM) -> "dict[str, Int8Linear | Int4Linear]":
    """The quantised layers of a model by name."""
    layers = model.named_modules()
    return {name: m for name, m in layers if isinstance(m, (Int8Linear, Int4Linear))}


def check_quantized(model: LayerSplitLM, where: str) -> None:
    """Raise `ValueError` naming a layer whose packed values or scales cannot be right."""
    for name, layer in quantized_layers(model).items():
        qdata, scale = layer.get_parameter(QDATA), layer.get_parameter(SCALE)
        if qdata.dtype != torch.int8:
            raise ValueError(f"{where}: {name}.{QDATA} is {qdata.dtype}, must be torch.int8")
        if not (scale > 0).all():
            raise ValueError(
                f"{where}: {name}.{SCALE} has {float(scale.min())}, must be above 0 throughout"
            )


def _linear_weights(model: LayerSplitLM) -> list[str]:
    return [f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Linear)]


def _layer(n_in: int, n_out: int, scheme: Scheme) -> "Int8Linear | Int4Linear":
    if scheme.group_size is None:
        return Int8Linear(n_in, n_out)
    return Int4Linear(n_in, n_out, scheme.group_size)


def _frozen(*shape: int, dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype), requires_grad=False)


def _scale(largest: Tensor, levels: int) -> Tensor:
    """The smallest bfloat16 scale with which `levels` steps reach the largest value."""
    exact = (largest / levels).clamp(min=_SMALLEST_SCALE)
    near = exact.to(torch.bfloat16)
    return torch.where(near < exact, torch.nextafter(near, near.new_tensor(torch.inf)), near)


class Int8Linear(nn.Module):
    """Weights in int8, one scale an output, for activations of any type."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self._weight_qdata = _frozen(n_out, n_in, dtype=torch.int8)
        self._weight_scale = _frozen(n_out, 1, dtype=torch.float32)

    @staticmethod
    def parts_of(weight_NK: Tensor) -> dict[str, Tensor]:
        """Symmetric int8 values and their scales, which bfloat16 holds exactly."""
        wide_NK = weight_NK.float()
        scale_N1 = _scale(wide_NK.abs().amax(1, keepdim=True), 127).float()
        return {QDATA: (wide_NK / scale_N1).round().to(torch.int8), SCALE: scale_N1}

    def step(self) -> Tensor:
        """Distance of neighbouring values, [N, 1]."""
        return self._weight_scale

    def dequantize(self) -> Tensor:
        """The weights in float32, [N, K]."""
        return self._weight_qdata.float() * self._weight_scale

    def forward(self, x: Tensor) -> Tensor:
        """Map the last axis; products in bfloat16, the result in the input's type."""
        x_RK = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        q_NK, scale_N = self._weight_qdata, self._weight_scale[:, 0].to(torch.bfloat16)
        n_rows, n_in = x_RK.shape
        if n_rows <= _FEW_ROWS and n_in % _KERNEL_INPUTS == 0 and x.device.type == "cpu":
            y_RN = torch.ops.aten._weight_int8pack_mm(x_RK, q_NK, scale_N)
        else:
            y_RN = F.linear(x_RK, q_NK.to(torch.bfloat16)) * scale_N
        y: Tensor = y_RN.view(*x.shape[:-1], -1).to(x.dtype)
        return y


class Int4Linear(nn.Module):
    """Weights in int4, two a byte, with a scale for each group of inputs; bfloat16 alone."""

    def __init__(self, n_in: int, n_out: int, group_size: int) -> None:
        super().__init__()
        if n_in % group_size:
            raise ValueError(f"the group size is {group_size}, must divide {n_in} inputs")
        n_groups, dtype = n_in // group_size, torch.bfloat16
        self.group_size = group_size
        self._weight_qdata = _frozen(n_out, n_in // 2, dtype=torch.int8)
        self._weight_scale = _frozen(n_groups, n_out, dtype=dtype)
        self._weight_zero_point = _frozen(n_groups, n_out, dtype=dtype)
        self._packed: tuple[Tensor, Tensor] | None = None

    def parts_of(self, weight_NK: Tensor) -> dict[str, Tensor]:
        """Symmetric int4 values, the even input in the low half of a byte, scales, zeros."""
        wide_NGg = weight_NK.float().view(len(weight_NK), -1, self.group_size)
        scale_NG = _scale(wide_NGg.abs().amax(2), 7)
        q_NK = (wide_NGg / scale_NG.float()[..., None]).round().to(torch.int8).flatten(1)
        packed_NP = (q_NK[:, ::2] & 0xF) | (q_NK[:, 1::2] << 4)
        scale_GN = scale_NG.T.contiguous()
        return {QDATA: packed_NP, SCALE: scale_GN, ZERO_POINT: torch.zeros_like(scale_GN)}

    def step(self) -> Tensor:
        """Distance of neighbouring values, [N, K]."""
        return self._weight_scale.T.float().repeat_interleave(self.group_size, dim=1)

    def dequantize(self) -> Tensor:
        """The weights in float32, [N, K]."""
        zero_NK = self._weight_zero_point.T.float().repeat_interleave(self.group_size, dim=1)
        return self._values() * self.step() + zero_NK

    def _values(self) -> Tensor:
        """Integers from -8 to 7, [N, K]."""
        packed_NP = self._weight_qdata
        return torch.stack(((packed_NP << 4) >> 4, packed_NP >> 4), -1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map the last axis in bfloat16; the result in the input's type."""
        x_RK = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        if x.device.type == "cpu":
            packed, scales_GNZ = self._kernel_weights()
            product = torch.ops.aten._weight_int4pack_mm_for_cpu
            y_RN = product(x_RK, packed, self.group_size, scales_GNZ)
            y_RN = y_RN[:, : len(self._weight_qdata)]
        else:
            y_RN = F.linear(x_RK, self.dequantize().to(torch.bfloat16))
        y: Tensor = y_RN.reshape(*x.shape[:-1], -1).to(x.dtype)
        return y

    def _kernel_weights(self) -> tuple[Tensor, Tensor]:
        """What the CPU's kernel reads, made at the first pass: outputs filled up to a block."""
        if self._packed is None:
            fill = -len(self._weight_qdata) % _KERNEL_OUTPUTS
            unsigned_NK = F.pad(self._values().int() + 8, (0, 0, 0, fill))
            packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(unsigned_NK, 1)
            scales_GNZ = torch.stack((self._weight_scale, self._weight_zero_point), -1)
            self._packed = packed, F.pad(scales_GNZ, (0, 0, 0, fill)).contiguous()
        return self._packed
