"""Weights spread over ranks (FSDP2): sharded for training, gathered for the result."""

import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from moss_speech.lm.layers import Layer


def shard(module: nn.Module, mesh: DeviceMesh) -> None:
    """Shard each layer by itself, then what is left of the module."""
    ranks = mesh["data_parallel"]
    for part in module.modules():
        if isinstance(part, Layer):
            fully_shard(part, mesh=ranks)
    fully_shard(module, mesh=ranks)


def copy_back(sharded: nn.Module, result: nn.Module) -> None:
    """Load the whole weights of a sharded module into `result` of the first rank."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    whole = get_model_state_dict(sharded, options=options)
    if dist.get_rank() == 0:
        result.load_state_dict(whole)
