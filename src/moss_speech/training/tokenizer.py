"""Training of the tokenizer: a Whisper encoder learns causal hearing and discrete codes.

First the encoder as Whisper made it, with whole utterances in view, gives a vector for every
80 ms of the training speech (once, kept). K-means on them starts the codebook, and a read-out
learns to spell from their codes, which is cheap. Then the causal encoder learns by two signals:
the distance to those vectors, and CTC through its own codes and the read-out (beside it, if wanted,
a decoder with attention), while the codebook follows as a running mean
(docs/reference/codec-format.md).

Shapes: B batch · M mel bands · F mel frames · N codes · D width · V vectors.
"""

import copy
import dataclasses
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from moss_speech.codec.encoder import Encoder
from moss_speech.codec.quantizer import EmaCodebook, kmeans, nearest
from moss_speech.codec.readout import BLANK, FRAMES_PER_CODE, CtcReadout
from moss_speech.codec.start import Start
from moss_speech.params.fit import FitParams
from moss_speech.params.train_tokenizer import TrainTokenizer
from moss_speech.training.attention_decoder import AttentionDecoder
from moss_speech.training.launch import Fit, fit
from moss_speech.training.optim import warmup_cosine
from moss_speech.training.tokenizer_data import LengthBatches, Spoken, SpokenBatch, hear


def train_tokenizer(
    start: Start, readout: CtcReadout, items: list[Spoken], p: TrainTokenizer, how: Fit
) -> None:
    """Train an encoder, its codebook and its read-out in place.

    A codec goes on from its own codebook and stays near what it gave before; a Whisper encoder
    gets a codebook by k-means and stays near what it heard with whole utterances in view.
    """
    encoder = start.encoder
    batch_codes = int(p.batch_s * encoder.config.audio_format.codes_per_s)
    teacher = frozen_copy(encoder) if start.has_codes else bidirectional_twin(encoder)
    kept = how.run_folder / "heard.safetensors"
    targets = hear(teacher, items, batch_codes, kept, how.device)
    batches = LengthBatches(items, targets, batch_codes, how.seed)
    vectors_VD = torch.cat(targets).float()
    if not start.has_codes:
        start_codebook(encoder.codebook, vectors_VD, p.kmeans_rounds, how.seed)
    spread = float(vectors_VD.var(0).mean())
    first = dataclasses.replace(how, params=p.readout_fit, name=f"{how.name}-readout")
    fit(ReadoutTraining(encoder.codebook, readout, p, spread), batches, first)
    fit(TokenizerTraining(encoder, readout, p, spread), batches, how)


class ReadoutTraining(pl.LightningModule):
    """A read-out learns to spell from codes of vectors that are given."""

    def __init__(
        self, codebook: nn.Embedding, readout: CtcReadout, p: TrainTokenizer, spread: float
    ) -> None:
        super().__init__()
        self.codebook, self.readout, self.p = codebook, readout, p
        self._noise = p.vector_noise * spread**0.5

    def training_step(self, batch: SpokenBatch, _: int) -> Tensor:
        """CTC loss; noise on the vectors varies their codes."""
        x_BND = batch.target_BND + self._noise * torch.randn_like(batch.target_BND)
        book_BND = self.codebook(nearest(x_BND, self.codebook.weight))
        loss = ctc_loss(self.readout, book_BND, batch)
        self.log("ctc", loss.detach())
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW on the read-out."""
        return adamw([(self.readout, 1.0)], self.p.readout_fit)


class TokenizerTraining(pl.LightningModule):
    """An encoder, its codebook and its CTC read-out learn together."""

    def __init__(
        self, encoder: Encoder, readout: CtcReadout, p: TrainTokenizer, spread: float
    ) -> None:
        super().__init__()
        self.encoder, self.readout, self.p = encoder, readout, p
        self.codebook = EmaCodebook(encoder.codebook, p.codebook_decay, p.dead_below)
        self._spread = spread
        self.attention = None
        if p.attention is not None:
            width, n_characters = p.readout_width, len(readout.alphabet)
            self.attention = AttentionDecoder(
                encoder.config.d_model, width, p.attention.layers, n_characters
            )
        freeze_bottom(encoder, p.frozen_layers)

    def training_step(self, batch: SpokenBatch, _: int) -> Tensor:
        """Loss of one batch; also moves the codebook."""
        x_BND = self.encoder(self._disturbed(batch.mel_BMF), batch.codes_B).float()
        inside_BN = batch.inside
        x_VD = x_BND[inside_BN]
        distance = functional.mse_loss(x_VD, batch.target_BND[inside_BN]) / self._spread
        index_V = nearest(x_VD, self.codebook.codebook.weight)
        book_VD = self.codebook.codebook.weight[index_V].clone()
        commitment = functional.mse_loss(x_VD, book_VD) / self._spread
        quantised_BND = torch.zeros_like(x_BND)
        quantised_BND[inside_BN] = x_VD + (book_VD - x_VD).detach()
        spelling = self._spelling(quantised_BND, batch)
        self.codebook.update(x_VD.detach(), index_V)
        self.log_dict({"teacher": distance.detach(), "commit": commitment.detach()})
        self.log_dict(self.codebook.use())
        return spelling + self.p.distillation * distance + self.p.commitment * commitment

    def _spelling(self, x_BND: Tensor, batch: SpokenBatch) -> Tensor:
        """Loss of the text by CTC, and by attention if there is a decoder."""
        ctc = ctc_loss(self.readout, x_BND, batch)
        self.log("ctc", ctc.detach())
        if self.attention is None or self.p.attention is None:
            return ctc
        attention = self.attention(x_BND, batch.inside, batch.characters_BL, batch.n_characters_B)
        self.log("attention", attention.detach())
        return torch.lerp(ctc, attention, self.p.attention.weight)

    def configure_optimizers(self) -> Any:
        """AdamW; the encoder learns at a part of the read-out's rate."""
        readers = [(m, 1.0) for m in (self.readout, self.attention) if m is not None]
        return adamw([(self.encoder, self.p.encoder_lr_ratio), *readers], self.p.fit)

    def _disturbed(self, mel_BMF: Tensor) -> Tensor:
        """Features with noise and time masks; every step is seeded by its number."""
        mel_BMF = mel_BMF + self.p.noise * torch.randn_like(mel_BMF)
        n_items, _, n_frames = mel_BMF.shape
        frame_F = torch.arange(n_frames, device=mel_BMF.device)
        for _ in range(self.p.time_masks):
            length_B1 = torch.rand(n_items, 1, device=mel_BMF.device) * self.p.mask_frames
            start_B1 = torch.rand(n_items, 1, device=mel_BMF.device) * n_frames
            inside_BF = (frame_F >= start_B1) & (frame_F < start_B1 + length_B1)
            mel_BMF = mel_BMF.masked_fill(inside_BF[:, None], 0.0)
        return mel_BMF


def ctc_loss(readout: CtcReadout, x_BND: Tensor, batch: SpokenBatch) -> Tensor:
    """Mean CTC loss a character of a batch."""
    return functional.ctc_loss(
        readout(x_BND, batch.codes_B).transpose(0, 1),
        batch.characters_BL,
        batch.codes_B * FRAMES_PER_CODE,
        batch.n_characters_B,
        blank=BLANK,
        zero_infinity=True,
    )


def start_codebook(codebook: nn.Embedding, x_VD: Tensor, rounds: int, seed: int) -> None:
    """Fill a codebook by k-means."""
    draw = torch.Generator().manual_seed(seed)
    codebook.weight.data.copy_(kmeans(x_VD, codebook.num_embeddings, rounds, draw))


def bidirectional_twin(encoder: Encoder) -> Encoder:
    """A frozen copy that hears as Whisper does: whole utterance, symmetric convolutions."""
    twin = frozen_copy(encoder)
    twin.config = dataclasses.replace(
        encoder.config, encoder_causal_attention=False, encoder_causal_convolution=False
    )
    return twin


def frozen_copy(encoder: Encoder) -> Encoder:
    """The encoder as it is now, which learns nothing."""
    return copy.deepcopy(encoder).requires_grad_(False)


def freeze_bottom(encoder: Encoder, n_layers: int) -> None:
    """Keep the convolutions and the lowest `n_layers` blocks as they are; 0 keeps none."""
    if n_layers > len(encoder.layers):
        raise ValueError(f"frozen_layers is {n_layers}, must be 0..{len(encoder.layers)}")
    if n_layers:
        parts: list[nn.Module] = [encoder.conv1, encoder.conv2, *encoder.layers[:n_layers]]
        for part in parts:
            part.requires_grad_(False)


def adamw(parts: list[tuple[nn.Module, float]], p: FitParams) -> dict[str, Any]:
    """AdamW over modules with their part of the rate; weight decay on matrices only."""
    groups = []
    for module, ratio in parts:
        weights = [w for w in module.parameters() if w.requires_grad]
        matrices, vectors = [w for w in weights if w.ndim > 1], [w for w in weights if w.ndim < 2]
        groups += [
            {"params": matrices, "lr": p.lr * ratio, "weight_decay": p.weight_decay},
            {"params": vectors, "lr": p.lr * ratio, "weight_decay": 0.0},
        ]
    optimizer = AdamW([g for g in groups if g["params"]], betas=(0.9, p.beta2))

    def factor(step: int) -> float:
        return warmup_cosine(step, p.warmup_steps, p.steps, p.final_lr_ratio)

    schedule = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": schedule}
