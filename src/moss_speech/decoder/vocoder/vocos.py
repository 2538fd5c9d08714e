"""Mel to waveform, whole or in pieces: causal ConvNeXt blocks and an inverse Fourier transform.

The architecture is that of Vocos (arXiv 2306.00814) with its tensor names. Only the first
convolution sees future frames; a whole decode is one push and a finish, so pieces equal it.
Shapes: B batch · M mel bands · T frames · D width · F frequencies · W window · S samples.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import VocoderConfig
from moss_speech.decoder.mel import LOG_FLOOR

MAX_MAGNITUDE = 100.0


@dataclass
class VocoderState:
    """What a running decode remembers; belongs to one stream."""

    past_mel_BMT: Tensor
    past_BDT: list[Tensor]
    """Past inputs of each block's convolution."""
    sum_BS: Tensor
    weight_S: Tensor
    """Overlapping ends of windows not yet spoken, and of their weights."""
    n_to_trim: int
    """Samples before the first frame's hop, still to be dropped."""


class Vocoder(nn.Module):
    """Mel [B, M, T] to audio [B, T * hop], the interface that every vocoder here has."""

    window_W: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = nn.ModuleDict({"out": nn.Linear(config.width, config.n_fft + 2)})
        self.register_buffer("window_W", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, mel_BMT: Tensor) -> Tensor:
        """Audio [B, T * hop] of a whole mel."""
        state = self.init_state(len(mel_BMT), mel_BMT.device)
        return torch.cat([self.push(mel_BMT, state), self.finish(state)], -1)

    def init_state(self, batch: int, device: torch.device) -> VocoderState:
        """The state before the first frame."""
        c = self.config
        n_past, n_overlap = c.kernel - 1, c.n_fft - c.format.hop_samples
        silence = torch.full((batch, c.format.n_mels, n_past - c.lookahead_frames), LOG_FLOOR)
        past = [torch.zeros(batch, c.width, n_past, device=device) for _ in range(c.n_blocks)]
        return VocoderState(
            past_mel_BMT=silence.to(device),
            past_BDT=past,
            sum_BS=torch.zeros(batch, n_overlap, device=device),
            weight_S=torch.zeros(n_overlap, device=device),
            n_to_trim=n_overlap // 2,
        )

    def push(self, mel_BMT: Tensor, state: VocoderState) -> Tensor:
        """Audio [B, S] that is settled after more mel; may be empty."""
        mel_BMT = torch.cat([state.past_mel_BMT, mel_BMT], -1)
        n_past = self.config.kernel - 1
        state.past_mel_BMT = mel_BMT[..., max(0, mel_BMT.shape[-1] - n_past) :]
        if mel_BMT.shape[-1] <= n_past:
            return mel_BMT.new_zeros(len(mel_BMT), 0)
        return self._overlap(self._frames(self.backbone(mel_BMT, state.past_BDT)), state)

    def finish(self, state: VocoderState) -> Tensor:
        """The rest of the audio [B, S]; the mel is followed by silence."""
        n, n_mels, _ = state.past_mel_BMT.shape
        silence = state.past_mel_BMT.new_full((n, n_mels, self.config.lookahead_frames), LOG_FLOOR)
        last_BS = self.push(silence, state)
        n_rest = (self.config.n_fft - self.config.format.hop_samples) // 2
        rest = slice(state.n_to_trim, n_rest)
        return torch.cat([last_BS, state.sum_BS[:, rest] / state.weight_S[rest]], -1)

    def _frames(self, h_BTD: Tensor) -> Tensor:
        magnitude_BTF, phase_BTF = self.head["out"](h_BTD).chunk(2, -1)
        spectrum_BTF = torch.polar(magnitude_BTF.exp().clamp(max=MAX_MAGNITUDE), phase_BTF)
        frames_BTW: Tensor = torch.fft.irfft(spectrum_BTF, self.config.n_fft) * self.window_W
        return frames_BTW

    def _overlap(self, frames_BTW: Tensor, state: VocoderState) -> Tensor:
        hop = self.config.format.hop_samples
        sum_BS = overlap_add(frames_BTW, hop)
        n_frames, n_kept = frames_BTW.shape[1], state.weight_S.shape[0]
        weight_S = overlap_add(self.window_W.square().expand(1, n_frames, -1), hop)[0]
        sum_BS = sum_BS + F.pad(state.sum_BS, (0, sum_BS.shape[-1] - n_kept))
        weight_S = weight_S + F.pad(state.weight_S, (0, weight_S.shape[-1] - n_kept))
        n_ready = n_frames * hop
        state.sum_BS, state.weight_S = sum_BS[:, n_ready:], weight_S[n_ready:]
        n_cut = min(state.n_to_trim, n_ready)
        state.n_to_trim -= n_cut
        return sum_BS[:, n_cut:n_ready] / weight_S[n_cut:n_ready]


class Backbone(nn.Module):
    """Mel to hidden frames."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.embed = nn.Conv1d(config.format.n_mels, config.width, config.kernel)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.convnext = nn.ModuleList(ConvNeXtBlock(config) for _ in range(config.n_blocks))
        self.final_layer_norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, mel_BMT: Tensor, past_BDT: list[Tensor]) -> Tensor:
        """Mel with its past [B, M, T + kernel - 1] to [B, T, D]; replaces the blocks' pasts."""
        x_BDT = self.norm(self.embed(mel_BMT).mT).mT
        for i, block in enumerate(self.convnext):
            padded_BDT = torch.cat([past_BDT[i], x_BDT], -1)
            past_BDT[i] = padded_BDT[..., x_BDT.shape[-1] :]
            x_BDT = x_BDT + block(padded_BDT)
        out_BTD: Tensor = self.final_layer_norm(x_BDT.mT)
        return out_BTD


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution, norm, feed-forward, learned scale."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        width = config.width
        self.dwconv = nn.Conv1d(width, width, config.kernel, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, config.ffn_width)
        self.pwconv2 = nn.Linear(config.ffn_width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1 / config.n_blocks))

    def forward(self, x_BDT: Tensor) -> Tensor:
        """Input with its past [B, D, T + kernel - 1] to the residual [B, D, T]."""
        h_BTD = self.norm(self.dwconv(x_BDT).mT)
        out_BTD: Tensor = self.gamma * self.pwconv2(F.gelu(self.pwconv1(h_BTD)))
        return out_BTD.mT


def overlap_add(frames_BTW: Tensor, hop: int) -> Tensor:
    """Sum windows [B, T, W] placed every `hop` samples: [B, (T - 1) * hop + W]."""
    n_samples = (frames_BTW.shape[1] - 1) * hop + frames_BTW.shape[2]
    summed = F.fold(frames_BTW.mT, (1, n_samples), (1, frames_BTW.shape[2]), stride=(1, hop))
    return summed[:, 0, 0]
