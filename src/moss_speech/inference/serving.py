"""How an opened model is served: on which device, in which type, with which weights.

Codec, decoder and vocoder always compute in float32, as they were published; type and weights are
those of the language model.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch

from moss_speech.bundle import Bundle
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.quantize import quantize_int8, scheme_of

Device = Literal["cpu", "cuda"]
Dtype = Literal["fp32", "bf16"]
Weights = Literal["kept", "int8"]
_DTYPES: dict[Dtype, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Serving:
    """How a model is served."""

    device: Device = "cpu"
    dtype: Dtype | None = None
    """Type of the language model's activations and caches; None keeps that of its files."""
    weights: Weights = "kept"
    """`int8` quantises the language model's linear layers, unless its files hold int8."""

    def check(self) -> None:
        """Raise `ValueError` for a device that this machine does not have."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "the device is 'cuda', but torch finds no GPU here: set MOSS_DEVICE=cpu, or "
                "install a driver and a torch with CUDA"
            )


def prepared(bundle: Bundle, how: Serving) -> Bundle:
    """The bundle as it is served; it takes over the parts of `bundle`, which is used up.

    Raises `ValueError` for a device that is not there, and for int4 weights in float32.
    """
    how.check()
    codec, decoder = bundle.codec, bundle.decoder
    for part in (codec.encoder, codec.readout, decoder.flow, decoder.vocoder):
        if part is not None:
            part.to(how.device)
    return replace(bundle, lm=_language_model(bundle.lm, how))


def _language_model(lm: LayerSplitLM, how: Serving) -> LayerSplitLM:
    scheme = scheme_of(lm)
    if scheme and scheme.bits == "int4" and how.dtype == "fp32":
        raise ValueError("the dtype is 'fp32', must be 'bf16' for a model with int4 weights")
    if how.dtype is not None:
        lm = lm.to(_DTYPES[how.dtype])
    if how.weights == "int8" and (scheme is None or scheme.bits != "int8"):
        lm = quantize_int8(lm)
    return lm.to(how.device)
