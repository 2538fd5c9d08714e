"""Training the vocoder on crops of speech: spectra at several resolutions and the mel itself.

Shapes: B batch · S samples · T mel frames · M mel bands · F frequencies.
"""

from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from moss_speech.decoder.mel import log_mel
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.params.decoder import TrainVocoder
from moss_speech.training.clips import Clips, draw_speaker
from moss_speech.training.launch import Fit, fit
from moss_speech.training.optim import adamw

SPECTRUM_FLOOR = 1e-5


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
    """Losses of a vocoder."""

    def __init__(self, vocoder: Vocoder, p: TrainVocoder) -> None:
        super().__init__()
        self.vocoder, self._p = vocoder, p

    def training_step(self, batch: VocoderBatch, _: int) -> Tensor:
        """Spectral and mel loss of one batch."""
        made_BS = self.vocoder(batch.mel_BMT)
        spectral = torch.stack(
            [spectral_loss(made_BS, batch.audio_BS, n_fft) for n_fft in self._p.fft_sizes]
        ).mean()
        format = self.vocoder.format
        mel = (log_mel(made_BS, format) - log_mel(batch.audio_BS, format)).abs().mean()
        self.log_dict({"spectral": spectral, "mel_l1": mel})
        return spectral + self._p.mel_weight * mel

    def configure_optimizers(self) -> Any:
        """AdamW with its schedule per step."""
        optimizer, schedule = adamw(self.parameters(), self._p.fit)
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
