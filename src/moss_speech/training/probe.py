"""How much speech is in a frozen codec: small recognisers learn to read what it gives.

One reads codes, one the vectors before they are quantised: what the codes leave out shows between
them, though a small reader may well fare better without it. Both are the tokenizer's CTC read-out
with fresh weights and the numbers of its first fit, `train_tokenizer.readout_fit`; nothing of the
codec learns (the paper's table 2).

Shapes: N codes · D width.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import lightning.pytorch as pl
import torch
from torch import Tensor

from moss_speech.audio import LISTENING
from moss_speech.codec.model import Codec
from moss_speech.codec.quantizer import nearest
from moss_speech.codec.readout import ENGLISH, Alphabet, CtcReadout
from moss_speech.corpus.items import Utterance
from moss_speech.params.train_tokenizer import TrainTokenizer
from moss_speech.records import report_progress
from moss_speech.training.launch import Fit, fit
from moss_speech.training.tokenizer import adamw, ctc_loss
from moss_speech.training.tokenizer_data import LengthBatches, Spoken, SpokenBatch, can_be_spelt
from moss_speech.training.tokenizer_report import draw, held_out

ALPHABET = Alphabet(ENGLISH)
_AT_A_TIME = 100


@dataclass(frozen=True)
class Probed:
    """What one kind of input allows: its rate and the word errors of each held-out set."""

    reads: str
    bits_per_s: float
    word_error: dict[str, float]
    n: dict[str, int]


def probe_codec(
    codec: Codec, utterances: Sequence[Utterance], p: TrainTokenizer, how: Fit
) -> list[Probed]:
    """Train on the training split, measure on the test split; equal seeds give equal figures.

    Raises `ValueError` if nothing is left to train on or to measure.
    """
    form = codec.config.audio_format
    usable = [
        u for u in utterances if u.duration_s <= p.max_item_s and can_be_spelt(u, ALPHABET, form)
    ]
    chosen = draw([u for u in usable if u.for_training], p.max_items, how.seed)
    tests = {name: draw(us, p.max_dev_items, how.seed) for name, us in _tests(usable).items()}
    heard = {u.id: x_ND for us in (chosen, *tests.values()) for u, x_ND in _heard(codec, us)}
    book_KD = codec.encoder.codebook.weight
    quantised = {id_: book_KD[nearest(x_ND, book_KD)] for id_, x_ND in heard.items()}
    bits = form.codes_per_s * math.log2(codec.config.n_codes)
    raw_bits = form.codes_per_s * codec.config.d_model * torch.finfo(torch.float32).bits
    rows = {"codes": (quantised, bits), "vectors before quantising": (heard, raw_bits)}
    return [
        Probed(reads, rate, *_word_errors(vectors, chosen, tests, p, _named(how, reads)))
        for reads, (vectors, rate) in rows.items()
    ]


def _named(how: Fit, reads: str) -> Fit:
    return dataclasses.replace(how, name=f"probe-{reads.replace(' ', '-')}")


def _tests(utterances: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    if sets := held_out(utterances, "test"):
        return sets
    raise ValueError("the corpus has 0 utterances of the test split that can be spelt")


def _heard(codec: Codec, utterances: Sequence[Utterance]) -> list[tuple[Utterance, Tensor]]:
    rate_hz = codec.config.audio_format.sample_rate_hz
    heard: list[tuple[Utterance, Tensor]] = []
    for start in range(0, len(utterances), _AT_A_TIME):
        some = utterances[start : start + _AT_A_TIME]
        heard += zip(some, codec.vectors([u.read(rate_hz) for u in some]), strict=True)
        report_progress(len(heard), len(utterances), "utterances heard")
    return heard


def _word_errors(
    vectors: Mapping[str, Tensor],
    chosen: Sequence[Utterance],
    tests: Mapping[str, Sequence[Utterance]],
    p: TrainTokenizer,
    how: Fit,
) -> tuple[dict[str, float], dict[str, int]]:
    """Word error of each test set by a read-out that learnt from these vectors, and its size."""
    targets = [vectors[u.id].cpu() for u in chosen]
    items = [
        # no features: the codec is frozen and is not run again
        Spoken(torch.empty(0, len(x_ND)), len(x_ND), ALPHABET.encode(u.text))
        for u, x_ND in zip(chosen, targets, strict=True)
    ]
    width = next(iter(vectors.values())).shape[-1]
    torch.manual_seed(how.seed)
    readout = CtcReadout(width, p.readout_width, ALPHABET)
    batch_codes = int(p.batch_s * LISTENING.codes_per_s)
    batches = LengthBatches(items, targets, batch_codes, how.seed)
    fit(ProbeTraining(readout, p), batches, how)
    errors = {}
    for name, utterances in tests.items():
        said = [_spelt(readout.eval(), vectors[u.id].cpu()) for u in utterances]
        errors[name] = round(float(jiwer.wer([u.text for u in utterances], said)), 4)
    return errors, {name: len(us) for name, us in tests.items()}


@torch.inference_mode()
def _spelt(readout: CtcReadout, x_ND: Tensor) -> str:
    log_probs_1UA = readout(x_ND[None], torch.tensor([len(x_ND)]))
    return readout.alphabet.decode(log_probs_1UA[0].argmax(-1).tolist())


class ProbeTraining(pl.LightningModule):
    """A read-out learns to spell from vectors that stay as they are."""

    def __init__(self, readout: CtcReadout, p: TrainTokenizer) -> None:
        super().__init__()
        self.readout, self.p = readout, p

    def training_step(self, batch: SpokenBatch, _: int) -> Tensor:
        """CTC loss."""
        loss = ctc_loss(self.readout, batch.target_BND, batch)
        self.log("ctc", loss.detach())
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW on the read-out."""
        return adamw([(self.readout, 1.0)], self.p.readout_fit)
