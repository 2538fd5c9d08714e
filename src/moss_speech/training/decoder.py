"""Training the flow network: coarse mel by L1, mel by flow matching, voice by prefix masking.

A sequence is clips of one speaker one after the other, cut to a fixed number of codes; its
beginning may be given as voice prompt, as a prompt precedes a reply (paper section 2).
Shapes: B batch · N codes · T mel frames · M mel bands · K speaker width.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.flow.past import Past
from moss_speech.decoder.flow.solver import flow_matching_loss
from moss_speech.decoder.flow.view import View
from moss_speech.decoder.mel import mel_statistics
from moss_speech.params.decoder import TrainDecoder
from moss_speech.speech.encoders import speaker_encoder
from moss_speech.speech.speaker import SpeakerEncoder
from moss_speech.training.clips import Clips, draw_speaker
from moss_speech.training.launch import Fit, fit
from moss_speech.training.optim import adamw

CLIPS_FOR_MEAN = 64


class DecoderBatch(NamedTuple):
    """Sequences of one step."""

    codes_BN: Tensor
    mel_BTM: Tensor
    speaker_BK: Tensor
    prompt_frames_B: Tensor
    """How much of each beginning is given as voice prompt."""


class DecoderBatches:
    """Step number to batch; equal steps give equal batches."""

    def __init__(
        self,
        clips: Clips,
        codes_of: Callable[[str], NDArray[np.int64]],
        p: TrainDecoder,
        n_codes: int,
        seed: int,
        speakers: SpeakerEncoder | None = None,
    ) -> None:
        self._clips, self._codes_of, self._p = clips, codes_of, p
        self._speakers = speakers
        self._speaker_of = cache(self._vector_of)
        self._n_codes, self._seed = n_codes, seed
        self._groups = clips.groups(p.answer_share, p.other_voices_share)

    def __call__(self, step: int) -> DecoderBatch:
        """The batch of a step."""
        rows = [
            self._row(np.random.default_rng((self._seed, step, i))) for i in range(self._p.batch)
        ]
        codes, mels, speakers, prompts = zip(*rows, strict=True)
        return DecoderBatch(
            torch.stack(codes), torch.stack(mels), torch.stack(speakers), torch.tensor(prompts)
        )

    def _row(self, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, int]:
        speaker_clips = draw_speaker(self._groups, random)
        codes_N, mel_TM = self._sequence(speaker_clips, random)
        speaker_K = self._speaker(speaker_clips, random)
        n_prompt = 0
        if random.random() < self._p.prompt_share:
            n_prompt = int(random.random() * self._p.prompt_max_ratio * len(mel_TM))
        wrong_N = torch.from_numpy(random.random(len(codes_N)) < self._p.code_noise)
        noise_N = torch.from_numpy(random.integers(self._n_codes, size=len(codes_N)))
        return torch.where(wrong_N, noise_N, codes_N), mel_TM, speaker_K, n_prompt

    def _speaker(self, clips: list[str], random: np.random.Generator) -> Tensor:
        """Speaker vector [K] of a clip of the same speaker."""
        clip = clips[random.integers(len(clips))]
        if self._speakers is None:
            return mel_statistics(self._clips.mel(clip, len(self._codes_of(clip))))
        return self._speaker_of(clip)

    def _vector_of(self, clip: str) -> Tensor:
        assert self._speakers is not None
        return torch.from_numpy(self._speakers(self._clips.audio(clip)))

    def _draw(self, clips: list[str], random: np.random.Generator) -> tuple[Tensor, Tensor]:
        clip = clips[random.integers(len(clips))]
        codes_N = torch.from_numpy(self._codes_of(clip))
        return codes_N, self._clips.mel(clip, len(codes_N))

    def _sequence(self, clips: list[str], random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Codes [N] and mel [T, M] of clips one after the other, beginning inside the first."""
        per_code, wanted = self._clips.format.frames_per_code, self._p.crop_codes
        codes, mels = self._draw(clips, random)
        start = int(random.integers(len(codes)))
        while len(codes) < start + wanted:
            more_codes, more_mels = self._draw(clips, random)
            codes, mels = torch.cat([codes, more_codes]), torch.cat([mels, more_mels])
        end = start + wanted
        return codes[start:end], mels[start * per_code : end * per_code]


class DecoderTraining(pl.LightningModule):
    """Losses of a flow network."""

    def __init__(self, flow: FlowNetwork, p: TrainDecoder) -> None:
        super().__init__()
        self.flow, self._p = flow, p

    def training_step(self, batch: DecoderBatch, _: int) -> Tensor:
        """Coarse L1 and flow matching of one batch."""
        pasts = self.flow.whole(View(self.flow.config.chunk_codes), batch.codes_BN.shape[1])
        mu_BTM = self.flow.coarse_mel(*self.flow.with_lookahead(batch.codes_BN), pasts)
        coarse = (mu_BTM - batch.mel_BTM).abs().mean()
        loss = self._p.coarse_weight * coarse
        self.log("coarse_l1", coarse)
        if self._p.flow_weight:
            given_BTM = mu_BTM.detach() if self._p.coarse_weight else mu_BTM
            flow = self._flow_loss(batch, given_BTM, pasts.frames)
            self.log("flow", flow)
            loss = loss + self._p.flow_weight * flow
        return loss

    def _flow_loss(self, batch: DecoderBatch, mu_BTM: Tensor, past: Past) -> Tensor:
        first = slice(max(1, round(self._p.flow_share * len(mu_BTM))))  # sequences are in no order
        frames_T = torch.arange(mu_BTM.shape[1], device=mu_BTM.device)
        in_prompt_BT = frames_T < batch.prompt_frames_B[first, None]
        mel_BTM = batch.mel_BTM[first]
        prompt_BTM = mel_BTM * in_prompt_BT[..., None]
        given = self.flow.conditions(mu_BTM[first], batch.speaker_BK[first], prompt_BTM)
        return flow_matching_loss(
            self.flow.decoder.estimator, mel_BTM.mT, given, self._p.unconditional_share, past
        )

    def configure_optimizers(self) -> Any:
        """AdamW with its schedule per step."""
        optimizer, schedule = adamw(self.parameters(), self._p.fit)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def train_decoder(
    flow: FlowNetwork,
    clips: Clips,
    codes_of: Callable[[str], NDArray[np.int64]],
    p: TrainDecoder,
    how: Fit,
    campplus: Path | None = None,
) -> None:
    """Train a flow network in place, from nothing or on from what it has learnt.

    A network that is given speaker vectors gets those of `campplus` or of the packaged encoder;
    `ValueError` if their width is another.
    """
    config, speakers = flow.config, None
    if config.speaker == "given":
        speakers = speaker_encoder(config.speaker_width, campplus)
    if p.start is None:
        begin_at_the_average(flow, clips)
    batches = DecoderBatches(clips, codes_of, p, config.n_codes, how.seed, speakers)
    fit(DecoderTraining(flow, p), batches, how)


@torch.no_grad()
def begin_at_the_average(flow: FlowNetwork, clips: Clips) -> None:
    """Let the outputs of a new network begin at the average mel instead of far above it."""
    mean_M = clips.mean_mel(CLIPS_FOR_MEAN)
    flow.encoder_proj.bias.copy_(mean_M)
    assert flow.decoder.estimator.final_proj.bias is not None
    flow.decoder.estimator.final_proj.bias.copy_(mean_M)
