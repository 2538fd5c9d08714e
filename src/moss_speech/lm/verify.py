"""Whether an exported model says what its source says: every tensor, and logits on one input.

Shapes: B batch, T rows, C channels (0 text, 1 speech), V vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from moss_speech.lm.config import LMConfig
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.probe import largest_change, text_ids
from moss_speech.lm.split import qwen3_tensors
from moss_speech.storage import read_json

_SEQUENCES = 4


@dataclass(frozen=True)
class Comparison:
    """What was compared and how far apart it is."""

    layout: str
    tensors: int
    changed_tensors: int
    logits: int
    largest_logit: float
    largest_change: float

    @property
    def identical(self) -> bool:
        """Every tensor and every logit has the same bits."""
        return self.changed_tensors == 0 and self.largest_change == 0.0


def probe_rows(config: LMConfig) -> Tensor:
    """Rows of text and speech in turn, the same for equal sizes, [B, T, C]."""
    draw = torch.Generator().manual_seed(0)
    text_BT = text_ids(config, _SEQUENCES, draw)
    audio_BT = torch.randint(config.n_codes, text_BT.shape, generator=draw)
    spoken_BT = torch.rand(text_BT.shape, generator=draw) < 0.5
    return torch.stack((text_BT.masked_fill(spoken_BT, config.ids.modality_pad), audio_BT), -1)


@torch.inference_mode()
def compare(folder: Path, source: Path) -> Comparison:
    """Compare an exported folder with the model folder that it was made from.

    A Qwen3 folder is opened by transformers and compared on text alone.
    """
    model = load_lm(source)
    if read_json(folder / "config.json").get("model_type") == "qwen3":
        return _compare_text(folder, model)
    other = load_lm(folder)
    grid_BTC = probe_rows(model.config)
    have, want = other(grid_BTC), model(grid_BTC)
    pairs = [(have.text_BTV, want.text_BTV), (have.audio_BTV, want.audio_BTV)]
    return _comparison("released", other.state_dict(), model.state_dict(), pairs)


def _compare_text(folder: Path, model: LayerSplitLM) -> Comparison:
    theirs = Qwen3ForCausalLM.from_pretrained(folder)
    text_BT = text_ids(model.config, _SEQUENCES, torch.Generator().manual_seed(0))
    pairs = [(theirs(text_BT).logits, model.text_logits(text_BT))]
    return _comparison("qwen3", theirs.state_dict(), qwen3_tensors(model), pairs)


def _comparison(
    layout: str,
    have: dict[str, Tensor],
    want: dict[str, Tensor],
    logits: list[tuple[Tensor, Tensor]],
) -> Comparison:
    changed = [n for n in have.keys() | want.keys() if not _equal(have.get(n), want.get(n))]
    return Comparison(
        layout=layout,
        tensors=len(want),
        changed_tensors=len(changed),
        logits=sum(w.numel() for _, w in logits),
        largest_logit=max(float(w.abs().max()) for _, w in logits),
        largest_change=max(largest_change(w.float(), h.float()) for h, w in logits),
    )


def _equal(have: Tensor | None, want: Tensor | None) -> bool:
    if have is None or want is None:
        return False
    return have.dtype == want.dtype and torch.equal(have, want)
