"""How one reply is chosen row by row: modality switch, masks, penalty, sampling, stop.

The rules are docs/reference/format.md section 4. A `Reply` is the state of one request and
knows nothing of its neighbours. Shapes: V vocabulary.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Output, Rows


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


def penalise(logits_V: Tensor, seen: set[int], penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of ids that occurred."""
    if penalty == 1.0 or not seen:
        return logits_V
    index = torch.tensor(sorted(seen), device=logits_V.device)
    value = logits_V[index]
    return logits_V.index_copy(0, index, torch.where(value < 0, value * penalty, value / penalty))


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


def draw(logits_V: Tensor, how: Sampling, generator: torch.Generator) -> int:
    """One id; of equal bests the lowest if greedy."""
    if how.temperature == 0:
        return int((logits_V == logits_V.max()).nonzero()[0])
    likely_V = keep_likely(logits_V / how.temperature, how.top_k, how.top_p)
    return int(torch.multinomial(likely_V.softmax(-1), 1, generator=generator))


@dataclass
class Reply:
    """One reply in the making: its mode, history, generator and rows."""

    config: LMConfig
    how: Sampling
    max_rows: int
    generator: torch.Generator
    mode: Output
    last: tuple[int, int]
    text_seen: set[int]
    audio_seen: set[int]
    rows: list[tuple[int, int]] = field(default_factory=list)
    done: bool = False

    @classmethod
    def start(
        cls, prompt_TC: Rows, how: Sampling, seed: int, max_rows: int, config: LMConfig
    ) -> "Reply":
        """The state after a prompt and before its first new row."""
        if max_rows < 1:
            raise ValueError(f"max_rows is {max_rows}, must be at least 1")
        text, audio = (int(v) for v in prompt_TC[-1])
        speaking = text == config.ids.modality_pad and audio != config.ids.audio_pad
        generator = torch.Generator().manual_seed(seed)
        seen_text, seen_audio = (set(column.tolist()) for column in prompt_TC.T)
        mode: Output = "audio" if speaking else "text"
        return cls(
            config, how, max_rows, generator, mode, (text, audio), seen_text, seen_audio
        )._switched()

    def _switched(self) -> "Reply":
        """Change the mode as the last row says: start of speech first, then its end."""
        text, audio = self.last
        if self.mode == "text" and text == self.config.ids.sosp:
            self.mode = "audio"
        if self.mode == "audio" and audio == self.config.ids.eosp:
            self.mode = "text"
        return self

    def add(self, text_V: Tensor, audio_V: Tensor) -> tuple[int, int]:
        """Choose the next row from the logits of the last one, and note if it is the final one."""
        ids = self.config.ids
        audio_V = audio_V.float().clone()
        audio_V[ids.eosp + 1 :] = -torch.inf
        if len(self.rows) + 1 < self.how.min_rows:
            audio_V[ids.eosp] = -torch.inf
        penalty = self.how.repetition_penalty
        text = draw(penalise(text_V.float(), self.text_seen, penalty), self.how, self.generator)
        audio = draw(penalise(audio_V, self.audio_seen, penalty), self.how, self.generator)
        if self.mode == "audio":
            text = ids.modality_pad
        self.last = (text, audio)
        self.rows.append(self.last)
        self.text_seen.add(text)
        self.audio_seen.add(audio)
        self.done = text in (ids.pad, ids.im_end) or len(self.rows) >= self.max_rows
        self._switched()
        return self.last
