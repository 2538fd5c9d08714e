"""Training the vocoder on crops of speech: its mel, spectra, pitch, and discriminators.

Shapes: B batch · S samples · T mel frames · M mel bands · F frequencies.
"""

from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from moss_speech.decoder.mel import log_mel
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.decoder.vocoder.hift import HiFT
from moss_speech.params.decoder import Adversarial, TrainVocoder
from moss_speech.training.clips import Clips, draw_speaker
from moss_speech.training.discriminators import (
    Discriminators,
    feature_loss,
    fooling_loss,
    judging_loss,
)
from moss_speech.training.launch import Fit, fit
from moss_speech.training.optim import Learning, adamw_groups
from moss_speech.training.pitch import pitch_hz

SPECTRUM_FLOOR = 1e-5
PITCH_UNIT_HZ = 100.0


class VocoderBatch(NamedTuple):
    """Crops of one step."""

    audio_BS: Tensor
    mel_BMT: Tensor


class VocoderBatches:
    """Step number to batch; equal steps give equal batches."""

    def __init__(self, clips: Clips, p: TrainVocoder, seed: int) -> None:
        self._clips, self._p, self._seed = clips, p, seed
        others = p.other_voices_share
        n_answers, n_more = len(clips.answers), len(clips.assistant)
        self._groups = clips.groups((1 - others) * n_answers / max(1, n_answers + n_more), others)

    def __call__(self, step: int) -> VocoderBatch:
        """The batch of a step."""
        randoms = (np.random.default_rng((self._seed, step, i)) for i in range(self._p.batch))
        audio, mels = zip(*(self._crop(random) for random in randoms), strict=True)
        return VocoderBatch(torch.stack(audio), torch.stack(mels))

    def _crop(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Audio [S] and mel [M, T] of a crop; a shorter clip is followed by silence."""
        ids, hop = draw_speaker(self._groups, random), self._clips.format.hop_samples
        clip, wanted = ids[random.integers(len(ids))], self._p.crop_frames
        audio_S = self._clips.audio(clip)
        n_codes = max(-(-audio_S.size // self._clips.format.samples_per_code), 1)
        mel_TM = self._clips.mel(clip, n_codes)
        start = int(random.integers(max(1, len(mel_TM) - wanted + 1)))
        piece_S = audio_S[start * hop : (start + wanted) * hop]
        piece_S = np.pad(piece_S, (0, wanted * hop - piece_S.size))
        mel_TM = mel_TM[start : start + wanted]
        if len(mel_TM) < wanted:
            mel_TM = log_mel(torch.from_numpy(piece_S)[None], self._clips.format)[0].T
        return torch.from_numpy(piece_S), mel_TM.T


class VocoderTraining(pl.LightningModule):
    """Losses of a vocoder, and of the discriminators that teach it.

    Both learn in one step: the vocoder's losses pass through fixed copies of the discriminators,
    theirs through audio that is cut off from the vocoder.
    """

    def __init__(self, vocoder: Vocoder, p: TrainVocoder) -> None:
        super().__init__()
        self.vocoder, self._p = vocoder, p
        self.discriminators = Discriminators(p.adversarial) if p.adversarial else None

    def training_step(self, batch: VocoderBatch, _: int) -> Tensor:
        """All losses of one batch."""
        made_BS = self.vocoder(batch.mel_BMT)
        loss = self._spectral(made_BS, batch.audio_BS)
        if isinstance(self.vocoder, HiFT) and self._p.f0_weight:
            loss = loss + self._p.f0_weight * self._pitch(self.vocoder, batch)
        if self._p.adversarial and self.global_step >= self._p.adversarial.from_step:
            loss = loss + self._adversarial(made_BS, batch.audio_BS, self._p.adversarial)
        return loss

    def _spectral(self, made_BS: Tensor, real_BS: Tensor) -> Tensor:
        """Mel L1 and spectra at several resolutions."""
        format = self.vocoder.format
        mel = (log_mel(made_BS, format) - log_mel(real_BS, format)).abs().mean()
        self.log("mel_l1", mel)
        loss = self._p.mel_weight * mel
        if self._p.fft_sizes:
            sizes = [spectral_loss(made_BS, real_BS, n_fft) for n_fft in self._p.fft_sizes]
            spectral = torch.stack(sizes).mean()
            self.log("spectral", spectral)
            loss = loss + spectral
        return loss

    def _pitch(self, vocoder: HiFT, batch: VocoderBatch) -> Tensor:
        """L1 of the pitch in units of 100 Hz."""
        heard_BT = pitch_hz(batch.audio_BS, vocoder.format)
        pitch = (vocoder.f0_hz(batch.mel_BMT) - heard_BT).abs().mean() / PITCH_UNIT_HZ
        self.log("pitch_l1", pitch)
        return pitch

    def _adversarial(self, made_BS: Tensor, real_BS: Tensor, p: Adversarial) -> Tensor:
        """What the discriminators teach, and what they learn."""
        assert self.discriminators is not None
        real = self.discriminators(real_BS)
        judging = judging_loss(real, self.discriminators(made_BS.detach()))
        seen = self.discriminators.as_teachers(made_BS)
        fooling, features = fooling_loss(seen), feature_loss(real, seen)
        self.log_dict({"judging": judging, "fooling": fooling, "features": features})
        return judging + p.weight * fooling + p.feature_weight * features

    def configure_optimizers(self) -> Any:
        """AdamW with its schedules per step; the discriminators' begins when they do."""
        learning = [Learning(list(self.vocoder.parameters()))]
        if self._p.adversarial and self.discriminators:
            p, weights = self._p.adversarial, list(self.discriminators.parameters())
            learning.append(Learning(weights, p.from_step, p.lr_ratio))
        optimizer, schedule = adamw_groups(learning, self._p.fit)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def spectral_loss(made_BS: Tensor, real_BS: Tensor, n_fft: int) -> Tensor:
    """Spectral convergence plus L1 of log magnitudes at one resolution."""
    made_BFT, real_BFT = _magnitude(made_BS, n_fft), _magnitude(real_BS, n_fft)
    convergence = torch.linalg.vector_norm(made_BFT - real_BFT) / torch.linalg.vector_norm(real_BFT)
    loss: Tensor = convergence + (made_BFT.log() - real_BFT.log()).abs().mean()
    return loss


def _magnitude(audio_BS: Tensor, n_fft: int) -> Tensor:
    window = torch.hann_window(n_fft, device=audio_BS.device)
    spectrum = torch.stft(audio_BS, n_fft, n_fft // 4, window=window, return_complex=True)
    power_BFT = spectrum.real.square() + spectrum.imag.square()
    return torch.sqrt(power_BFT.clamp(min=SPECTRUM_FLOOR**2))


def train_vocoder(vocoder: Vocoder, clips: Clips, p: TrainVocoder, how: Fit) -> None:
    """Train a new vocoder in place."""
    fit(VocoderTraining(vocoder, p), VocoderBatches(clips, p, how.seed), how)
