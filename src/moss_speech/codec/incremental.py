"""The encoder, some frames at a time: what its convolutions and layers keep of the past.

Shapes: M mel bands · F new mel frames · T encoder frames · K frames kept · N codes · D width ·
H heads · W width of a head. The first axis is always 1.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from moss_speech.codec.config import FEATURE_STRIDE, CodecConfig
from moss_speech.codec.encoder import Block, Encoder, causally_visible


class IncrementalEncoder:
    """One segment on its way through an encoder; any cutting gives what `Encoder.forward` gives.

    A step brings at most `step_frames` encoder frames. `ValueError` for an encoder that is not
    causal.
    """

    def __init__(self, encoder: Encoder, step_frames: int) -> None:
        config, past = encoder.config, encoder.conv1.kernel_size[0] - 1
        for name in ("encoder_causal_convolution", "encoder_causal_attention"):
            if not getattr(config, name):
                raise ValueError(f"{name} is false, must be true to encode a stream")
        like = encoder.conv1.weight
        self._encoder, self._n_frames = encoder, 0
        self._mel_1MK = like.new_zeros(1, config.num_mel_bins, past)
        self._half_1DK = like.new_zeros(1, config.d_model, past)
        self._unpooled_1TD = like.new_zeros(1, 0, config.d_model)
        blocks = cast(Iterable[Block], encoder.layers)
        self._layers = [_Layer(block, config, step_frames) for block in blocks]

    def memory_bytes(self) -> int:
        """Bytes that it keeps of its own between steps."""
        ends = (self._mel_1MK, self._half_1DK, self._unpooled_1TD)
        return sum(x.nbytes for x in ends) + sum(layer.memory_bytes() for layer in self._layers)

    def step(self, mel_1MF: Tensor) -> Tensor:
        """Pooled vectors [1, N, D] that became known with these features."""
        return self._pooled(self._embed(mel_1MF), last=False)

    def finish(self) -> Tensor:
        """Pooled vectors [1, N, D] of what still waited for frames ahead: there are none."""
        return self._pooled(self._unpooled_1TD[:, :0], last=True)

    def _embed(self, mel_1MF: Tensor) -> Tensor:
        encoder = self._encoder
        mel_1MF = torch.cat((self._mel_1MK, mel_1MF), -1)
        self._mel_1MK = mel_1MF[..., -self._mel_1MK.shape[-1] :]
        x_1DF = torch.cat((self._half_1DK, functional.gelu(encoder.conv1(mel_1MF))), -1)
        x_1DT = functional.gelu(encoder.conv2(x_1DF))
        n_new = x_1DT.shape[-1]
        self._half_1DK = x_1DF[..., FEATURE_STRIDE * n_new :]
        self._n_frames += n_new
        return x_1DT.mT + encoder.embed_positions.weight[self._n_frames - n_new : self._n_frames]

    def _pooled(self, x_1TD: Tensor, last: bool) -> Tensor:
        for layer in self._layers:
            x_1TD = layer.step(x_1TD, last)
        x_1TD = torch.cat((self._unpooled_1TD, x_1TD), 1)
        n_whole = x_1TD.shape[1] - x_1TD.shape[1] % self._encoder.config.pooling_kernel_size
        self._unpooled_1TD = x_1TD[:, n_whole:]
        return self._encoder.pool(x_1TD[:, :n_whole])


class _Layer:
    """Keys and values of the frames that can still be seen, and frames that wait for those ahead.

    The buffer is made once. It holds a segment, or a window with room for new frames; what is in
    view moves to its start when the room is used up.
    """

    def __init__(self, block: Block, config: CodecConfig, step_frames: int) -> None:
        self._block, self._config = block, config
        window = (
            config.max_source_positions if config.window_frames is None else config.window_frames
        )
        self._in_view = window + config.lookahead_frames
        n_heads, like = config.encoder_attention_heads, block.fc1.weight
        size = min(self._in_view + step_frames, config.max_source_positions)
        width = config.d_model // n_heads
        self._kv_2HKW = like.new_empty(2, n_heads, size, width)
        self._begin = self._end = 0
        """Numbers of the first frame in the buffer and of the next to come."""
        self._x_1TD = like.new_zeros(1, 0, config.d_model)
        self._q_1HTW = like.new_zeros(1, n_heads, 0, width)

    def memory_bytes(self) -> int:
        """Bytes of the buffer and of what waits."""
        return self._kv_2HKW.nbytes + self._x_1TD.nbytes + self._q_1HTW.nbytes

    def step(self, x_1TD: Tensor, last: bool) -> Tensor:
        """Frames that are done: those that have all their frames ahead, or all if it is the end."""
        q, k, v = self._block.project(x_1TD)
        self._keep(torch.cat((k, v)))
        x_1TD, q = torch.cat((self._x_1TD, x_1TD), 1), torch.cat((self._q_1HTW, q), 2)
        first = self._end - x_1TD.shape[1]
        n_done = max(0, x_1TD.shape[1] - (0 if last else self._config.lookahead_frames))
        self._x_1TD, self._q_1HTW = x_1TD[:, n_done:], q[:, :, n_done:]
        query_T = torch.arange(first, first + n_done, device=x_1TD.device)
        key_K = torch.arange(self._begin, self._end, device=x_1TD.device)
        visible_1TK = causally_visible(self._config, query_T, key_K)[None]
        k, v = self._kv_2HKW[:, None, :, : self._end - self._begin]
        return self._block.mix(x_1TD[:, :n_done], q[:, :, :n_done], k, v, visible_1TK)

    def _keep(self, kv_2HTW: Tensor) -> None:
        used, n_new = self._end - self._begin, kv_2HTW.shape[2]
        if used + n_new > self._kv_2HKW.shape[2]:
            kept = min(used, self._in_view)
            self._kv_2HKW[:, :, :kept] = self._kv_2HKW[:, :, used - kept : used].clone()
            self._begin, used = self._end - kept, kept
        self._kv_2HKW[:, :, used : used + n_new] = kv_2HTW
        self._end += n_new
