"""Codes to speech in one voice, whole or as a stream; both give 1,920 samples a code.

A stream speaks a chunk as soon as its codes and the look-ahead are there. It recomputes voice
and recent codes for each chunk; under the same masks that equals the whole decode as long as
no more than `context_codes` codes precede the chunk, and comes close to it beyond.
Shapes: S samples · N codes · T frames · M mel bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moss_speech.audio import AudioFormat, Samples
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.mel import LOG_FLOOR
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.decoder.voice import Voice, check_codes, check_voice


class SpeechDecoder:
    """A flow network and a vocoder that fit each other."""

    def __init__(self, flow: FlowNetwork, vocoder: Vocoder) -> None:
        if flow.config.format != vocoder.format:
            raise ValueError(
                f"the flow network makes mel of {flow.config.format}, "
                f"the vocoder reads {vocoder.format}"
            )
        self.flow, self.vocoder = flow.eval(), vocoder.eval()

    @property
    def format(self) -> AudioFormat:
        """Rates of codes, mel and audio."""
        return self.flow.config.format

    @torch.inference_mode()
    def decode(self, codes: Sequence[int] | NDArray[np.int64], voice: Voice) -> Samples:
        """Speech of all codes at once, exactly `samples_per_code` samples a code.

        Raises `ValueError` for no codes, a code out of range, or a voice of another model.
        """
        check_voice(voice, self.flow.config)
        codes_N = check_codes(codes, self.flow.config.n_codes)
        mel_TM = self.mel(Piece(codes_N, future=None, n_dropped=0), voice)
        return _samples(self.vocoder(mel_TM.T[None]))

    def stream(self, voice: Voice) -> "DecodeStream":
        """Start to speak: push codes as they come, then finish."""
        check_voice(voice, self.flow.config)
        return DecodeStream(self, voice)

    def mel(self, piece: "Piece", voice: Voice) -> Tensor:
        """Mel [T, M] of a piece, without the voice."""
        voice_N, per_code = torch.from_numpy(voice.codes), self.format.frames_per_code
        mel_1TM: Tensor = self.flow(
            torch.cat([voice_N, piece.codes_N])[None],
            piece.future,
            torch.from_numpy(voice.mel)[None],
            torch.from_numpy(voice.speaker)[None],
            piece.n_dropped * per_code,
        )
        return mel_1TM[0, len(voice.codes) * per_code :]


@dataclass(frozen=True)
class Piece:
    """Codes of one call of the flow network."""

    codes_N: Tensor
    future: Tensor | None
    """Withheld codes [1, L] after them; None at the end."""
    n_dropped: int
    """Codes before them that are left out."""


class DecodeStream:
    """One reply being spoken; not shared between threads."""

    def __init__(self, decoder: SpeechDecoder, voice: Voice) -> None:
        self._decoder, self._voice, self._config = decoder, voice, decoder.flow.config
        self._codes: list[int] = []
        self._n_spoken = 0
        """Codes whose mel the vocoder has."""
        self._vocoder_state = decoder.vocoder.start(1)
        self._n_early = decoder.vocoder.latency_samples
        """Samples before the beginning that the vocoder has still to give."""
        self._finished = False

    def push(self, codes: Sequence[int] | NDArray[np.int64]) -> Samples:
        """Speech that is settled after more codes; may be empty.

        Raises `ValueError` for a code out of range (the stream stays as it was) and
        `RuntimeError` after the end.
        """
        if self._finished:
            raise RuntimeError("this stream has finished; start a new one")
        if len(codes):
            self._codes += check_codes(codes, self._config.n_codes).tolist()
        end = self._settled()
        if end <= self._n_spoken:
            return np.zeros(0, np.float32)
        return self._sound(self._next_mel(end))

    @torch.inference_mode()
    def finish(self) -> Samples:
        """The rest of the speech; all pieces together have `samples_per_code` samples a code."""
        if self._finished:
            raise RuntimeError("this stream has finished; start a new one")
        self._finished = True
        if not self._codes:
            return np.zeros(0, np.float32)
        end, vocoder = len(self._codes), self._decoder.vocoder
        n_frames, format = vocoder.flush_frames(), vocoder.format
        silence_TM = torch.full((n_frames, format.n_mels), LOG_FLOOR)
        if end > self._n_spoken:
            silence_TM = torch.cat([self._next_mel(end), silence_TM])
        rest_S = self._sound(silence_TM)
        n_late = n_frames * format.hop_samples - vocoder.latency_samples
        return rest_S[: rest_S.size - n_late]

    def _settled(self) -> int:
        """How many codes fill whole chunks and have their look-ahead; voice included in chunks."""
        chunk, n_voice = self._config.chunk_codes, len(self._voice.codes)
        if chunk == 0:
            return 0
        ready = n_voice + len(self._codes) - self._config.lookahead_codes
        return ready // chunk * chunk - n_voice

    @torch.inference_mode()
    def _next_mel(self, end: int) -> Tensor:
        """Mel [T, M] of the codes up to `end` that are not spoken yet."""
        start, per_code = self._first_code(), self._decoder.format.frames_per_code
        future = self._codes[end : end + self._config.lookahead_codes]
        piece = Piece(
            torch.tensor(self._codes[start:end]),
            torch.tensor([future]) if future else None,
            start,
        )
        mel_TM = self._decoder.mel(piece, self._voice)[(self._n_spoken - start) * per_code :]
        self._n_spoken = end
        return mel_TM

    @torch.inference_mode()
    def _sound(self, mel_TM: Tensor) -> Samples:
        """Audio of more mel, without what lies before the beginning."""
        audio_SN, self._vocoder_state = self._decoder.vocoder.step(
            mel_TM.T[None], self._vocoder_state
        )
        n_early = min(self._n_early, audio_SN.shape[-1])
        self._n_early -= n_early
        return _samples(audio_SN[:, n_early:])

    def _first_code(self) -> int:
        """First code that is recomputed; whole chunks are left out, so borders stay in place."""
        chunk = max(1, self._config.chunk_codes)
        return max(0, self._n_spoken - self._config.context_codes) // chunk * chunk


def _samples(audio_BS: Tensor) -> Samples:
    return np.asarray(audio_BS[0].clamp(-1, 1).numpy(), np.float32)
