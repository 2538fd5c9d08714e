"""Codes and a voice to mel: the published flow network, at any size.

Tensor names are the published ones, 1,121 at the published size (tests/parity).
Shapes: B batch · N codes · L codes of look-ahead · T frames · M mel bands · K speaker width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.flow.conformer import UpsampleConformer
from moss_speech.decoder.flow.estimator import Conditions, Estimator
from moss_speech.decoder.flow.past import Pasts, Whole
from moss_speech.decoder.flow.solver import noise, solve
from moss_speech.decoder.flow.view import View, pinned_codes


class FlowMatching(nn.Module):
    """Holds the estimator under its published name."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.estimator = Estimator(config)


class FlowNetwork(nn.Module):
    """Code embedding, upsampling conformer (its output is the coarse mel), flow matching."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        n_mels = config.format.n_mels
        self.input_embedding = nn.Embedding(config.embedding_rows, config.width)
        self.spk_embed_affine_layer = nn.Linear(config.speaker_width, n_mels)
        self.encoder = UpsampleConformer(config)
        self.encoder_proj = nn.Linear(config.width, n_mels)
        self.decoder = FlowMatching(config)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.input_embedding.weight.device

    def pinned_codes(self, n_voice: int) -> int:
        """Codes of a voice that all its streams share."""
        return pinned_codes(n_voice, self.config.chunk_codes, self.config.lookahead_codes)

    def leading_codes(self, n_voice: int) -> int:
        """Codes of a voice that its streams compute themselves, before the reply's."""
        return n_voice - self.pinned_codes(n_voice) if self.config.chunk_codes else 0

    def view(self, n_voice: int) -> View:
        """What codes see of each other in a reply after so many voice codes."""
        c = self.config
        return View(c.chunk_codes, c.context_codes, self.pinned_codes(n_voice))

    def whole(self, view: View, n_codes: int) -> Pasts:
        """Pasts of a sequence of so many codes that is computed at once."""
        per_code = self.config.format.frames_per_code
        codes = Whole(view, n_codes, self.device)
        frames = Whole(view.at_rate(per_code), n_codes * per_code, self.device)
        return Pasts(codes, frames, [frames] * self.config.steps)

    def with_lookahead(
        self, codes_BN: Tensor, future_BL: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Codes [B, N + L] with the withheld ones after them, and which of them are known."""
        n_codes = codes_BN.shape[1]
        if future_BL is not None:
            codes_BN = torch.cat([codes_BN, future_BL], 1)
        n_known = codes_BN.shape[1]
        codes_BN = F.pad(codes_BN, (0, n_codes + self.config.lookahead_codes - n_known))
        known_N = torch.arange(codes_BN.shape[1], device=codes_BN.device) < n_known
        return codes_BN, known_N.expand_as(codes_BN)

    def coarse_mel(self, codes_BN: Tensor, known_BN: Tensor, pasts: Pasts) -> Tensor:
        """Coarse mel [B, T, M] of codes with their look-ahead (`with_lookahead`)."""
        h_BTD = self.encoder(self.input_embedding(codes_BN), known_BN, pasts.codes, pasts.frames)
        out_BTM: Tensor = self.encoder_proj(h_BTD)
        return out_BTM

    def conditions(self, mu_BTM: Tensor, speaker_BK: Tensor, prompt_BTM: Tensor) -> Conditions:
        """What the flow is given; the prompt may be shorter than the coarse mel."""
        speaker_BM = self.spk_embed_affine_layer(F.normalize(speaker_BK, dim=-1))
        missing = mu_BTM.shape[1] - prompt_BTM.shape[1]
        return Conditions(mu_BTM.mT, speaker_BM, F.pad(prompt_BTM.mT, (0, missing)))

    def mel(
        self,
        codes_BN: Tensor,
        known_BN: Tensor,
        prompt_BTM: Tensor,
        speaker_BK: Tensor,
        starts: Sequence[int],
        pasts: Pasts,
    ) -> Tensor:
        """Mel [B, T, M] of codes with their look-ahead, after what the pasts hold.

        `starts` says at which frame of voice and reply each item begins, for its noise.
        """
        mu_BTM = self.coarse_mel(codes_BN, known_BN, pasts)
        if not pasts.steps:
            return mu_BTM
        given = self.conditions(mu_BTM, speaker_BK, prompt_BTM)
        noise_BMT = torch.stack([self._noise(start, mu_BTM.shape[1]) for start in starts])
        start_BMT = noise_BMT.to(mu_BTM) * self.config.noise_scale
        return solve(self.decoder.estimator, start_BMT, given, self.config.guidance, pasts.steps).mT

    def _noise(self, start: int, n_frames: int) -> Tensor:
        return noise(self.config.format.n_mels, self.config.noise_frames, start, n_frames)

    @torch.no_grad()
    def forward(
        self,
        codes_BN: Tensor,
        future_BL: Tensor | None,
        prompt_BTM: Tensor,
        speaker_BK: Tensor,
        view: View | None = None,
    ) -> Tensor:
        """Mel [B, T, M] of all codes at once, the prompt's included; the view is the stream's."""
        per_code, n_codes = self.config.format.frames_per_code, codes_BN.shape[1]
        view = self.view(prompt_BTM.shape[1] // per_code) if view is None else view
        known = self.with_lookahead(codes_BN, future_BL)
        starts = [0] * len(codes_BN)
        return self.mel(*known, prompt_BTM, speaker_BK, starts, self.whole(view, n_codes))
