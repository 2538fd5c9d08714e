"""Audio in pieces of any size to codes: the whole file's, a code as soon as it is known.

Features have a floor below the loudest sound of the segment, which a stream cannot know before
the segment's end. A running maximum stands in for it (docs/reference/codec-format.md).

Shapes: S samples · M mel bands · F mel frames · N codes · D width · K codebook entries.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from moss_speech.audio import Samples, check_samples
from moss_speech.codec.config import CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.features import log_power, scaled
from moss_speech.codec.incremental import IncrementalEncoder
from moss_speech.codec.model import Codec, Codes
from moss_speech.codec.quantizer import half_norms, nearest

TYPICAL_LOUDNESS = 1.0
"""Loudest log10 mel power of a usual utterance: what is assumed before anything was heard."""
_STEP_CODES = 64
"""Codes encoded in one go at most, when a long piece is pushed."""


def stream_bytes(config: CodecConfig) -> int:
    """What one listener keeps, but for the few frames that wait for those ahead of them."""
    with torch.device("meta"):
        encoder = Encoder(config)
        return IncrementalEncoder(encoder, _STEP_CODES * config.pooling_kernel_size).memory_bytes()


class CodecStream:
    """One listener; it shares nothing but the weights with other streams of the codec.

    The running maximum of segment i starts at `loudness[i]`, of segments past them at the last
    value. With `features.loudness` of the whole audio the codes are those of `Codec.encode`. A
    code comes `config.stream_lag_samples` after its end, whatever the pieces.
    `ValueError` for a codec that is not causal.
    """

    def __init__(self, codec: Codec, loudness: Sequence[float] = (TYPICAL_LOUDNESS,)) -> None:
        if not len(loudness):
            raise ValueError("loudness has 0 values, must have at least 1")
        self._codec, self._loudness = codec, tuple(loudness)
        self._half_norm_K = half_norms(codec.encoder.codebook.weight)
        self._n_segments, self._finished = 0, False
        self._segment = self._begin()

    @torch.inference_mode()
    def push(self, samples_S: Samples) -> Codes:
        """Codes [N] that became known with these 16 kHz samples, often none.

        Raises `ValueError`, and leaves the stream as it was, if they are not finite mono float32,
        or if the stream is finished.
        """
        if self._finished:
            raise ValueError("the stream is finished and takes no more audio")
        check_samples(samples_S)
        codes = [np.zeros(0, np.int64)]
        while samples_S.size:
            room = self._codec.config.segment_samples - self._segment.n_samples
            codes.append(self._segment.push(samples_S[:room]))
            samples_S = samples_S[room:]
            if self._segment.n_samples == self._codec.config.segment_samples:
                codes.append(self._segment.finish())
                self._segment = self._begin()
        return np.concatenate(codes)

    @torch.inference_mode()
    def finish(self) -> Codes:
        """The last codes [N]: all samples together gave ceil(samples / 1280)."""
        if self._finished:
            raise ValueError("the stream is finished already")
        self._finished = True
        return self._segment.finish()

    def _begin(self) -> "_Segment":
        loudness = self._loudness[min(self._n_segments, len(self._loudness) - 1)]
        self._n_segments += 1
        return _Segment(self._codec, self._half_norm_K, loudness)


class _Segment:
    """Up to 30 s: samples that wait for their windows, and the encoder on its way."""

    def __init__(self, codec: Codec, half_norm_K: Tensor, loudness: float) -> None:
        form = codec.config.audio_format
        self._form, self._code_samples = form, codec.config.code_samples
        self._codebook_KD, self._half_norm_K = codec.encoder.codebook.weight, half_norm_K
        step_frames = _STEP_CODES * codec.config.pooling_kernel_size
        self._incremental = IncrementalEncoder(codec.encoder, step_frames)
        self._loudest = loudness
        self.n_samples = 0
        self._n_codes = self._n_frames = 0
        self._waiting_S = np.zeros(0, np.float32)

    def push(self, samples_S: Samples) -> Codes:
        """Codes that became known."""
        self._waiting_S = np.concatenate((self._waiting_S, samples_S))
        self.n_samples += samples_S.size
        per_code = self._form.samples_per_code
        n_known = max(0, (self.n_samples - self._code_samples) // per_code + 1)
        codes = [np.zeros(0, np.int64)]
        while (n_new := min(n_known - self._n_codes, _STEP_CODES)) > 0:
            self._n_codes += n_new
            mel_1MF = self._features()[None].to(self._codebook_KD.device)
            codes.append(self._nearest(self._incremental.step(mel_1MF)))
        return np.concatenate(codes)

    def finish(self) -> Codes:
        """The rest, with zeros to whole codes as `features.log_mel` has them."""
        missing = -self.n_samples % self._form.samples_per_code
        codes = self.push(np.zeros(missing, np.float32))
        return np.concatenate((codes, self._nearest(self._incremental.finish())))

    def _features(self) -> Tensor:
        """The next frames [M, F] up to the last that the codes begun so far need."""
        hop, reach = self._form.hop_samples, self._form.window_samples // 2
        if not self._n_frames:  # a segment's start is reflected
            self._waiting_S = np.concatenate((self._waiting_S[reach:0:-1], self._waiting_S))
        n_new = self._n_codes * self._form.frames_per_code - 1 - self._n_frames
        self._n_frames += n_new
        needed = (n_new - 1) * hop + 2 * reach
        log_MF = log_power(torch.from_numpy(self._waiting_S[:needed]), self._form)
        self._waiting_S = self._waiting_S[n_new * hop :]
        loudest_F = log_MF.amax(0).cummax(0).values.clamp(min=self._loudest)
        self._loudest = float(loudest_F[-1])
        return scaled(log_MF, loudest_F)

    def _nearest(self, x_1ND: Tensor) -> Codes:
        codes_N: Codes = nearest(x_1ND[0], self._codebook_KD, self._half_norm_K).cpu().numpy()
        return codes_N
