"""What torchao and transformers read beside quantised tensors: a config key and file metadata.

Written without torchao; docs/reference/format.md section 2.
"""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from moss_speech.lm.quantize import GROUP_SIZES, QDATA, SCALE, ZERO_POINT, Scheme
from moss_speech.lm.tensors import type_name

CONFIG_KEY = "quantization_config"
_TYPES = {"int8": "Int8WeightOnlyConfig", "int4": "Int4WeightOnlyConfig"}


def scheme_json(scheme: Scheme) -> dict[str, Any]:
    """The value of `quantization_config` in config.json, as `TorchAoConfig` reads it."""
    data: dict[str, Any] = {"set_inductor_config": True, "group_size": scheme.group_size}
    if scheme.bits == "int8":
        data["granularity"] = {"_type": "PerRow", "_version": 1, "_data": {"dim": -1}}
    else:
        data["int4_packing_format"] = {"_type": "Int4PackingFormat", "_data": "PLAIN"}
        algorithm = {"_type": "Int4ChooseQParamsAlgorithm", "_data": "TINYGEMM"}
        data |= {"int4_choose_qparams_algorithm": algorithm, "int4_tile_packed_ntile": 8}
    quant_type = {"_type": _TYPES[scheme.bits], "_version": 2, "_data": data}
    return {
        "quant_method": "torchao",
        "quant_type": {"default": quant_type},
        "modules_to_not_convert": None,
        "include_input_output_embeddings": False,
        "untie_embedding_weights": False,
    }


def read_scheme(config: Mapping[str, Any], where: str) -> Scheme | None:
    """The scheme that a config.json names; None without one, `ValueError` for one not ours."""
    found = config.get(CONFIG_KEY)
    if found is None:
        return None
    schemes = [Scheme("int8"), *(Scheme("int4", size) for size in GROUP_SIZES)]
    for scheme in schemes:
        if found == scheme_json(scheme):
            return scheme
    raise ValueError(
        f"{where}: {CONFIG_KEY} is {json.dumps(found, sort_keys=True)}, must be int8 or int4 "
        "weights as `moss-speech export --weights` writes them"
    )


def file_metadata(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, str]:
    """What every file of quantised weights says of all tensors; empty if none is quantised."""
    if not any(name.endswith(f".{QDATA}") for name in tensors):
        return {}
    entries: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        if part == QDATA:
            scale, zero = tensors[f"{layer}.{SCALE}"], tensors.get(f"{layer}.{ZERO_POINT}")
            is_int8 = zero is None
            entries[f"{layer}.weight"] = (
                _int8_entry(tensor, dtype) if is_int8 else _int4_entry(tensor, scale)
            )
        elif part not in (SCALE, ZERO_POINT):
            entries[name] = {"_type": "Tensor"}
    values = {name: json.dumps(entry) for name, entry in entries.items()}
    return values | {"tensor_names": json.dumps(list(entries))}


def _dtype(dtype: torch.dtype) -> dict[str, str]:
    return {"_type": "torch.dtype", "_data": type_name(dtype)}


def _int8_entry(qdata_NK: Tensor, dtype: torch.dtype) -> dict[str, Any]:
    data = {
        "act_quant_kwargs": None,
        "reduce_range": False,
        "block_size": [1, qdata_NK.shape[1]],
        "dtype": _dtype(dtype),
    }
    return {"_type": "Int8Tensor", "_data": data, "_tensor_data_names": ["qdata", "scale"]}


def _int4_entry(qdata_NP: Tensor, scale_GN: Tensor) -> dict[str, Any]:
    n_out, n_in = qdata_NP.shape[0], 2 * qdata_NP.shape[1]
    data = {
        "activation_dtype": _dtype(torch.bfloat16),
        "block_size": [1, n_in // scale_GN.shape[0]],
        "shape": [n_out, n_in],
    }
    names = ["qdata", "scale", "zero_point"]
    return {"_type": "Int4Tensor", "_data": data, "_tensor_data_names": names}
