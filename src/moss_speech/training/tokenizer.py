"""Training of the tokenizer: a Whisper encoder learns causal hearing and discrete codes.

The encoder is adapted by two signals: CTC on characters, and the distance to the vectors of
the same Whisper encoder with the whole utterance in view. Half way k-means starts a codebook,
which then follows the vectors as a running mean (docs/reference/codec-format.md).

Shapes: B batch · M mel bands · F mel frames · N codes · D width · V vectors · A alphabet.
"""

import copy
import dataclasses
import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from moss_speech.codec.encoder import Encoder
from moss_speech.codec.quantizer import EmaCodebook, kmeans, nearest, perplexity
from moss_speech.codec.readout import BLANK, FRAMES_PER_CODE, CtcReadout
from moss_speech.params.train_tokenizer import TrainTokenizer
from moss_speech.training.launch import BatchOfStep
from moss_speech.training.optim import warmup_cosine
from moss_speech.training.tokenizer_data import SpokenBatch


class TokenizerTraining(pl.LightningModule):
    """An encoder and its CTC read-out under training; the encoder starts as a Whisper's."""

    def __init__(
        self, encoder: Encoder, readout: CtcReadout, p: TrainTokenizer, batch_of_step: BatchOfStep
    ) -> None:
        super().__init__()
        self.encoder, self.readout, self.p = encoder, readout, p
        self.codebook = EmaCodebook(encoder.codebook, p.codebook_decay, p.dead_below)
        self.teacher = bidirectional_twin(encoder)
        self._batch_of_step = batch_of_step
        freeze_bottom(encoder, p.frozen_layers)

    def training_step(self, batch: SpokenBatch, _: int) -> Tensor:
        """Loss of one batch; also moves the codebook."""
        if self.global_step == self.p.quantise_from_step:
            self._start_codebook()
        x_BND = self.encoder(self._disturbed(batch.mel_BMF), batch.codes_B)
        inside_BN = _inside(batch.codes_B, x_BND.shape[1])
        loss = torch.zeros((), device=x_BND.device)
        if self.p.distillation:
            loss = self.p.distillation * self._distance_to_teacher(batch, x_BND, inside_BN)
        if self.global_step >= self.p.quantise_from_step:
            x_BND, commitment = self._quantised(x_BND.float(), inside_BN)
            loss = loss + self.p.commitment * commitment
        ctc = self._ctc(x_BND, batch)
        self.log("ctc", ctc.detach())
        return loss + ctc

    def configure_optimizers(self) -> Any:
        """AdamW; the encoder learns at a part of the read-out's rate."""
        p = self.p.fit
        groups = []
        for module, lr in (
            (self.encoder, p.lr * self.p.encoder_lr_ratio),
            (self.readout, p.lr),
        ):
            weights = [w for w in module.parameters() if w.requires_grad]
            matrices = [w for w in weights if w.ndim >= 2]
            vectors = [w for w in weights if w.ndim < 2]
            groups.append({"params": matrices, "lr": lr, "weight_decay": p.weight_decay})
            groups.append({"params": vectors, "lr": lr, "weight_decay": 0.0})
        optimizer = AdamW([g for g in groups if g["params"]], betas=(0.9, p.beta2))

        def factor(step: int) -> float:
            return warmup_cosine(step, p.warmup_steps, p.steps, p.final_lr_ratio)

        schedule = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _distance_to_teacher(self, batch: SpokenBatch, x_BND: Tensor, inside_BN: Tensor) -> Tensor:
        with torch.no_grad():
            target_VD = self.teacher(batch.mel_BMF, batch.codes_B)[inside_BN].float()
        distance = functional.mse_loss(x_BND[inside_BN].float(), target_VD)
        relative: Tensor = distance / target_VD.var(0).mean()
        self.log("teacher_distance", relative.detach())
        return relative

    def _quantised(self, x_BND: Tensor, inside_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Straight-through vectors [B, N, D] and the relative distance to their entries."""
        x_VD = x_BND[inside_BN]
        index_V = nearest(x_VD, self.codebook.codebook.weight)
        book_VD = self.codebook.codebook.weight[index_V].clone()
        commitment = functional.mse_loss(x_VD, book_VD) / x_VD.detach().var(0).mean()
        quantised_BND = x_BND.clone()
        quantised_BND[inside_BN] = x_VD + (book_VD - x_VD).detach()
        self.codebook.update(x_VD.detach(), index_V)
        self.log("commitment", commitment.detach())
        self.log("perplexity", perplexity(self.codebook.ema_count))
        return quantised_BND, commitment

    def _ctc(self, x_BND: Tensor, batch: SpokenBatch) -> Tensor:
        log_probs_BUA = self.readout(x_BND, batch.codes_B)
        return functional.ctc_loss(
            log_probs_BUA.transpose(0, 1),
            batch.characters_BL,
            batch.codes_B * FRAMES_PER_CODE,
            batch.n_characters_B,
            blank=BLANK,
            zero_infinity=True,
        )

    def _disturbed(self, mel_BMF: Tensor) -> Tensor:
        """Features with noise and time masks; every step is seeded by its number."""
        mel_BMF = mel_BMF + self.p.noise * torch.randn_like(mel_BMF)
        n_items, _, n_frames = mel_BMF.shape
        frame_F = torch.arange(n_frames, device=mel_BMF.device)
        for _ in range(self.p.time_masks):
            length_B = torch.rand(n_items, device=mel_BMF.device) * self.p.mask_frames
            start_B = torch.rand(n_items, device=mel_BMF.device) * n_frames
            inside_BF = (frame_F >= start_B[:, None]) & (frame_F < (start_B + length_B)[:, None])
            mel_BMF = mel_BMF.masked_fill(inside_BF[:, None], 0.0)
        return mel_BMF

    @torch.no_grad()
    def _start_codebook(self) -> None:
        """K-means on the vectors of the last batches; depends on step and weights alone."""
        first = max(0, self.global_step - self.p.kmeans_batches)
        vectors = []
        for step in range(first, self.global_step):
            batch = self._batch_of_step(step).to(self.device)
            x_BND = self.encoder(batch.mel_BMF, batch.codes_B)
            vectors.append(x_BND[_inside(batch.codes_B, x_BND.shape[1])].float())
        draw = torch.Generator(self.device).manual_seed(self.global_step)
        n_entries, rounds = self.encoder.config.n_codes, self.p.kmeans_rounds
        self.codebook.start(kmeans(torch.cat(vectors), n_entries, rounds, draw))


def bidirectional_twin(encoder: Encoder) -> Encoder:
    """A frozen copy that hears as Whisper does: whole utterance, symmetric convolutions."""
    twin = copy.deepcopy(encoder)
    twin.config = dataclasses.replace(
        encoder.config, encoder_causal_attention=False, encoder_causal_convolution=False
    )
    return twin.requires_grad_(False)


def freeze_bottom(encoder: Encoder, n_layers: int) -> None:
    """Keep the convolutions and the lowest `n_layers` blocks as they are; 0 keeps none."""
    if n_layers > len(encoder.layers):
        raise ValueError(f"frozen_layers is {n_layers}, must be 0..{len(encoder.layers)}")
    if n_layers:
        parts: list[nn.Module] = [encoder.conv1, encoder.conv2, *encoder.layers[:n_layers]]
        for part in parts:
            part.requires_grad_(False)


def batch_codes(p: TrainTokenizer, codes_per_s: float) -> int:
    """Codes that a batch of `p.batch_s` seconds holds."""
    return math.floor(p.batch_s * codes_per_s)


def _inside(codes_B: Tensor, n_codes: int) -> Tensor:
    return torch.arange(n_codes, device=codes_B.device) < codes_B[:, None]
