"""Replies from prompts: many side by side, or one as a stream of its rows.

Shapes: T rows, C channels (0 text, 1 speech).
"""

from collections.abc import Iterator, Sequence

from moss_speech.lm.batch import Batch, Generated, NewRow, Request, check_request
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Rows
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.slots import EAGER, Decoding

_BLOCK_ROWS = 256
"""Capacities are rounded up to this, so that similar requests meet the same shapes."""
_STATIC_ROWS = 4096
"""Least capacity of a room with fixed shapes: widening compiles anew."""
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


class Room:
    """Space for one conversation at a time, kept between conversations and widened as needed."""

    def __init__(self, model: LayerSplitLM, how: Decoding = EAGER) -> None:
        self._model, self._how = model, how
        self._batch: Batch | None = None

    def reply(self, prompt_TC: Rows, sampling: Sampling, seed: int, max_rows: int) -> "Session":
        """One reply, row by row; nothing runs before its first row is asked for."""
        need = check_request(prompt_TC, max_rows, self._model.config)
        return Session(self._with(need), prompt_TC, sampling, seed, max_rows)

    def _with(self, need: int) -> Batch:
        """The kept batch; a new one if that is too small or still in use."""
        kept = self._batch
        if kept is None or kept.busy or kept.capacity < need:
            need = max(need, _STATIC_ROWS) if self._how.static else need
            kept = Batch(self._model, 1, _capacity(need, self._model.config), self._how)
            self._batch = kept
        return kept


class Session:
    """One reply as an iterator over its rows; closing it frees its slot."""

    def __init__(
        self, batch: Batch, prompt_TC: Rows, sampling: Sampling, seed: int, max_rows: int
    ) -> None:
        self._batch = batch
        self._request = batch.join(prompt_TC, sampling, seed, max_rows)

    def __iter__(self) -> Iterator[NewRow]:
        """Yield rows as they are chosen, the closing row included."""
        while not self._request.reply.done:
            for _, row in self._batch.step():
                yield row

    def close(self) -> None:
        """Free the slot; what was chosen stays."""
        self._batch.cancel(self._request)

    def finish(self) -> Generated:
        """Everything chosen so far."""
        return self._request.finish()
