"""Codes and a voice to mel: the published flow network, at any size.

Tensor names are the published ones, 1,121 at the published size (tests/parity).
Shapes: B batch · N codes · L withheld codes · T frames · M mel bands · K speaker width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.flow.conformer import UpsampleConformer
from moss_speech.decoder.flow.estimator import Estimator
from moss_speech.decoder.flow.solver import Conditions, fixed_noise, solve


class FlowMatching(nn.Module):
    """Holds the estimator under its published name."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.estimator = Estimator(config)


class FlowNetwork(nn.Module):
    """Code embedding, upsampling conformer (its output is the coarse mel), flow matching."""

    noise_1MT: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        n_mels = config.format.n_mels
        self.input_embedding = nn.Embedding(config.embedding_rows, config.width)
        self.spk_embed_affine_layer = nn.Linear(config.speaker_width, n_mels)
        self.encoder = UpsampleConformer(config)
        self.encoder_proj = nn.Linear(config.width, n_mels)
        self.decoder = FlowMatching(config)
        noise = fixed_noise(n_mels, config.noise_frames)
        self.register_buffer("noise_1MT", noise, persistent=False)

    def coarse_mel(self, codes_BN: Tensor, future_BL: Tensor | None = None) -> Tensor:
        """Coarse mel [B, T, M]; `future` are the withheld codes after the last, if there are."""
        future = None if future_BL is None else self.input_embedding(future_BL)
        out_BTM: Tensor = self.encoder_proj(self.encoder(self.input_embedding(codes_BN), future))
        return out_BTM

    def conditions(self, mu_BTM: Tensor, speaker_BK: Tensor, prompt_BTM: Tensor) -> Conditions:
        """What the flow is given; the prompt may be shorter than the coarse mel."""
        speaker_BM = self.spk_embed_affine_layer(F.normalize(speaker_BK, dim=-1))
        missing = mu_BTM.shape[1] - prompt_BTM.shape[1]
        return Conditions(mu_BTM.mT, speaker_BM, F.pad(prompt_BTM.mT, (0, missing)))

    @torch.no_grad()
    def forward(
        self,
        codes_BN: Tensor,
        future_BL: Tensor | None,
        prompt_BTM: Tensor,
        speaker_BK: Tensor,
        n_dropped_frames: int = 0,
    ) -> Tensor:
        """Mel [B, T, M] of all codes, the prompt's included.

        `n_dropped_frames` says how many frames between prompt and rest were left out, so that
        the noise of each frame stays its own. Raises `ValueError` past the end of the noise.
        """
        mu_BTM = self.coarse_mel(codes_BN, future_BL)
        if self.config.steps == 0:
            return mu_BTM
        n_prompt = prompt_BTM.shape[1]
        noise_BMT = self._noise(n_prompt, n_dropped_frames, mu_BTM.shape[1])
        given = self.conditions(mu_BTM, speaker_BK, prompt_BTM)
        start_BMT = noise_BMT.expand(len(mu_BTM), -1, -1) * self.config.noise_scale
        return solve(
            self.decoder.estimator, start_BMT, given, self.config.steps, self.config.guidance
        ).mT

    def _noise(self, n_prompt: int, n_dropped: int, n_frames: int) -> Tensor:
        if n_dropped + n_frames > self.config.noise_frames:
            raise ValueError(
                f"{n_dropped + n_frames} mel frames (voice included), must be at most "
                f"{self.config.noise_frames}, the length of the model's noise"
            )
        voice_1MT = self.noise_1MT[..., :n_prompt]
        rest_1MT = self.noise_1MT[..., n_prompt + n_dropped : n_dropped + n_frames]
        return torch.cat([voice_1MT, rest_1MT], -1)
