"""Replies from many prompts side by side.

Shapes: T rows, C channels (0 text, 1 speech).
"""

from collections.abc import Sequence

from moss_speech.lm.batch import Batch, Generated, Request, check_request
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Rows
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.slots import EAGER, Decoding

_BLOCK_ROWS = 256
"""Capacities are rounded up to this, so that similar requests meet the same shapes."""
_MOST_SLOTS = 32


def _capacity(need: int, config: LMConfig) -> int:
    return min(config.max_position_embeddings, -(-need // _BLOCK_ROWS) * _BLOCK_ROWS)


def generate(
    model: LayerSplitLM,
    prompts: Sequence[Rows],
    sampling: Sampling,
    seeds: Sequence[int],
    max_rows: int,
    how: Decoding = EAGER,
) -> list[Generated]:
    """Reply to all prompts side by side; each prompt has its own seed."""
    if len(prompts) != len(seeds):
        raise ValueError(f"there are {len(seeds)} seeds, must be {len(prompts)} (one a prompt)")
    if not prompts:
        return []
    need = max(check_request(prompt_TC, max_rows, model.config) for prompt_TC in prompts)
    batch = Batch(model, min(len(prompts), _MOST_SLOTS), _capacity(need, model.config), how)
    requests: list[Request] = []
    while len(requests) < len(prompts) or batch.busy:
        waiting = range(len(requests), len(prompts))
        for k in waiting[: batch.free_slots]:
            requests.append(batch.join(prompts[k], sampling, seeds[k], max_rows))
        batch.step(n_chunks=_MOST_SLOTS)
    return [request.finish() for request in requests]
