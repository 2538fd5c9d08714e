"""How one reply is chosen row by row: modality switch, masks, penalty, sampling, stop.

The rules are docs/reference/format.md section 4. A `Reply` is the state of one request and
knows nothing of its neighbours. Shapes: T rows, V vocabulary.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Rows
from moss_speech.lm.model import CHANNELS, Channel


@dataclass(frozen=True)
class Sampling:
    """How ids are drawn; temperature 0 takes the most likely one, top_k 0 and top_p 1 keep all."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    min_rows: int = 0
    """Rows before which speech may not end."""

    def __post_init__(self) -> None:
        limits = {
            "temperature": (0.0, 10.0),
            "top_k": (0, 2**31),
            "top_p": (1e-6, 1.0),
            "repetition_penalty": (0.1, 10.0),
            "min_rows": (0, 2**31),
        }
        for name, (low, high) in limits.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name} is {value}, must be {low}..{high}")


GREEDY = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
"""The most likely row each time."""
PUBLISHED = Sampling(temperature=0.6, top_k=20, top_p=0.95, repetition_penalty=1.1)
"""Defaults of the released demo."""
_COLDEST = 1e-30
"""Below, logits over the temperature overflow; long before, only the best is ever drawn."""


def penalise(logits_V: Tensor, seen_V: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of ids that occurred."""
    if penalty == 1.0:
        return logits_V
    changed_V = torch.where(logits_V < 0, logits_V * penalty, logits_V / penalty)
    return torch.where(seen_V, changed_V, logits_V)


def keep_likely(logits_V: Tensor, top_k: int, top_p: float) -> Tensor:
    """Set to -inf what is outside the `top_k` best, then outside the `top_p` mass of those."""
    if 0 < top_k < len(logits_V):
        worst = torch.topk(logits_V, top_k).values[-1]
        logits_V = logits_V.masked_fill(logits_V < worst, -torch.inf)
    if top_p < 1.0:
        ordered_V, index_V = torch.sort(logits_V)
        outside_V = ordered_V.softmax(-1).cumsum(-1) <= 1 - top_p
        outside_V[-1] = False
        logits_V = logits_V.masked_fill(outside_V.scatter(0, index_V, outside_V), -torch.inf)
    return logits_V


def draw(logits_V: Tensor, how: Sampling, key: tuple[int, int, int]) -> int:
    """One id; of equal bests the lowest if greedy. Equal keys draw equally."""
    if how.temperature < _COLDEST:
        return int(logits_V.argmax())
    likely_V = keep_likely(logits_V / how.temperature, how.top_k, how.top_p).softmax(-1).cpu()
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    generator = torch.Generator().manual_seed(seed)
    return int(torch.multinomial(likely_V, 1, generator=generator))


def _occurred(ids: Iterable[int], size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.bool).index_fill(0, torch.tensor([*ids]), True)


@dataclass
class Reply:
    """One reply in the making: its mode, history and rows.

    A draw depends on seed, row and channel alone, so a channel that is drawn from later, or not
    at all, changes no other draw.
    """

    config: LMConfig
    how: Sampling
    max_rows: int
    seed: int
    defer: bool
    mode: Channel
    last: tuple[int, int]
    seen: dict[Channel, Tensor]
    rows: list[tuple[int, int]] = field(default_factory=list)
    missed: int = 0
    """Last rows whose ignored speech id has not been drawn."""
    done: bool = False

    @classmethod
    def start(
        cls,
        prompt_TC: Rows,
        how: Sampling,
        seed: int,
        max_rows: int,
        config: LMConfig,
        defer: bool = True,
    ) -> "Reply":
        """The state after a prompt and before its first new row."""
        if max_rows < 1:
            raise ValueError(f"max_rows is {max_rows}, must be at least 1")
        if seed < 0:
            raise ValueError(f"seed is {seed}, must be at least 0")
        text, audio = (int(v) for v in prompt_TC[-1])
        speaking = text == config.ids.modality_pad and audio != config.ids.audio_pad
        sizes = (config.vocab_size, config.audio_vocab_size)
        seen = [_occurred(ids.tolist(), n) for ids, n in zip(prompt_TC.T, sizes, strict=True)]
        reply = cls(
            config=config,
            how=how,
            max_rows=max_rows,
            seed=seed,
            defer=defer,
            mode="audio" if speaking else "text",
            last=(text, audio),
            seen=dict(zip(CHANNELS, seen, strict=True)),
        )
        reply._switch()
        return reply

    @property
    def wanted(self) -> dict[Channel, int]:
        """Of which channels the next row needs logits, and of how many last rows."""
        if not self.defer:
            return {"text": 1, "audio": 1}
        if self.mode == "audio":
            return {"audio": 1}
        # speech that opens is closed at once if the ignored speech id happens to end it
        return {"text": 1, "audio": self.missed + 1} if self._opens else {"text": 1}

    @property
    def _opens(self) -> bool:
        return self.mode == "text" and self.last[0] == self.config.ids.sosp

    def _switch(self) -> None:
        """Change the mode as the last row says: start of speech first, then its end."""
        if self._opens:
            self.mode = "audio"
        if self.mode == "audio" and self.last[1] == self.config.ids.eosp:
            self.mode = "text"

    def add(self, logits: Mapping[Channel, Tensor]) -> tuple[int, int]:
        """Choose the next row from what was wanted, [n, V] each, and note if it is the last."""
        ids, index = self.config.ids, len(self.rows)
        if self._opens:
            self._make_up(logits["audio"])
        text, audio = ids.modality_pad, ids.audio_pad
        if self.mode == "text":
            text = self._draw("text", logits["text"][-1], index)
        if "audio" in logits:
            audio = self._draw("audio", logits["audio"][-1], index)
        else:
            self.missed += 1
        self.last = (text, audio)
        self.rows.append(self.last)
        self.seen["text"][text] = True
        self.done = text in (ids.pad, ids.im_end) or len(self.rows) >= self.max_rows
        if not self.missed:
            self._switch()
        return self.last

    def _make_up(self, audio_TV: Tensor) -> None:
        """Draw the speech ids that text rows ignored: they belong to the history."""
        first = len(self.rows) - self.missed
        for k in range(self.missed):
            self.last = (self.last[0], self._draw("audio", audio_TV[k], first + k))
        self.missed = 0
        self._switch()

    def _draw(self, channel: Channel, logits_V: Tensor, index: int) -> int:
        ids, allowed_V = self.config.ids, logits_V.float().clone()
        if channel == "text":
            allowed_V[ids.modality_pad] = -torch.inf
        else:
            first = ids.eosp if index + 1 < self.how.min_rows else ids.eosp + 1
            allowed_V[first:] = -torch.inf
        seen_V = self.seen[channel].to(allowed_V.device)
        likely_V = penalise(allowed_V, seen_V, self.how.repetition_penalty)
        drawn = draw(likely_V, self.how, (self.seed, index, CHANNELS.index(channel)))
        self.seen[channel][drawn] = True
        return drawn
