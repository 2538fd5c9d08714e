"""Codes to speech in one voice, whole or as a stream; both give 1,920 samples a code.

A stream equals the whole decode, which sees as much under the same masks (`flow/view.py`).
Shapes: S samples · N codes · T frames · M mel bands.
"""

import numpy as np
import torch
from torch.nn import functional as F

from moss_speech.audio import AudioFormat, Samples
from moss_speech.decoder.at_once import WholeRoom
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.flow.stream import VoicePrompt, VoiceState
from moss_speech.decoder.intake import Codes
from moss_speech.decoder.mel import LOG_FLOOR
from moss_speech.decoder.published import PublishedStream
from moss_speech.decoder.room import Room
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.decoder.vocoder.hift import HiFT
from moss_speech.decoder.voice import Voice, check_codes, check_voice

_KEPT_VOICES = 8
"""Voices whose state stays in memory; at the published size one takes gigabytes."""


class SpeechDecoder:
    """A flow network and a vocoder that fit each other."""

    def __init__(self, flow: FlowNetwork, vocoder: Vocoder) -> None:
        if flow.config.format != vocoder.format:
            raise ValueError(
                f"the flow network makes mel of {flow.config.format}, "
                f"the vocoder reads {vocoder.format}"
            )
        self.flow, self.vocoder = flow.eval(), vocoder.eval()
        self._states: dict[int, tuple[Voice, VoiceState]] = {}

    @property
    def format(self) -> AudioFormat:
        """Rates of codes, mel and audio."""
        return self.flow.config.format

    @torch.inference_mode()
    def decode(self, codes: Codes, voice: Voice) -> Samples:
        """Speech of all codes at once, exactly `samples_per_code` samples a code.

        Memory grows with the square of the length; a stream's does not. Raises `ValueError` for
        no codes, a code out of range, or a voice of another model.
        """
        prompt = self._used(voice)
        codes_N = check_codes(codes, self.flow.config.n_codes).to(self.flow.device)
        mel_1TM = self.flow(
            torch.cat([prompt.codes_N, codes_N])[None],
            None,
            prompt.mel_TM[None],
            prompt.speaker_K[None],
        )
        n_voice, per_code = len(prompt.codes_N), self.format.frames_per_code
        n_before = self.flow.leading_codes(n_voice) * per_code
        reply_1MT = mel_1TM[:, n_voice * per_code :].mT
        audio_1S = self.vocoder(F.pad(reply_1MT, (n_before, 0), value=LOG_FLOOR))
        said_S = audio_1S[0, n_before * self.format.hop_samples :]
        return np.asarray(said_S.clamp(-1, 1).cpu().numpy(), np.float32)

    def room(self, voice: Voice, slots: int) -> Room | WholeRoom:
        """Slots for several streams of one voice that are computed together."""
        if self.flow.config.chunk_codes == 0:
            return WholeRoom(self, voice, slots)
        return Room(self.flow, self.vocoder, self._state(voice), slots)

    def stream(self, voice: Voice) -> "DecodeStream":
        """Start to speak: push codes as they come, then finish."""
        return DecodeStream(self.room(voice, 1))

    def published_stream(self, voice: Voice, seed: int) -> PublishedStream:
        """Start to speak by the released protocol; `ValueError` without the released vocoder."""
        if not isinstance(self.vocoder, HiFT):
            raise ValueError(
                f"the vocoder is of kind {self.vocoder.config.kind!r}, must be 'hift' to stream as "
                "published"
            )
        prompt = self._prompt(voice, len(voice.codes))
        return PublishedStream(self.flow, self.vocoder, prompt, seed)

    def _state(self, voice: Voice) -> VoiceState:
        if id(voice) not in self._states:
            if len(self._states) == _KEPT_VOICES:
                del self._states[next(iter(self._states))]
            self._states[id(voice)] = voice, VoiceState.of(self.flow, self._used(voice))
        return self._states[id(voice)][1]

    def _used(self, voice: Voice) -> VoicePrompt:
        return self._prompt(voice, self.flow.config.used_codes(len(voice.codes)))

    def _prompt(self, voice: Voice, n_codes: int) -> VoicePrompt:
        """The last codes of a voice."""
        check_voice(voice, self.flow.config)
        device, n_frames = self.flow.device, n_codes * self.format.frames_per_code
        return VoicePrompt(
            torch.from_numpy(voice.codes)[-n_codes:].to(device),
            torch.from_numpy(voice.mel)[-n_frames:].to(device),
            torch.from_numpy(voice.speaker).to(device),
        )


class DecodeStream:
    """One reply being spoken, in a room to itself; not shared between threads."""

    def __init__(self, room: Room | WholeRoom) -> None:
        self._room, self._stream = room, room.join()

    def push(self, codes: Codes) -> Samples:
        """Speech that is settled after more codes; may be empty.

        Raises `ValueError` for a code out of range (the stream stays as it was) and
        `RuntimeError` after the end.
        """
        self._stream.push(codes)
        return self._speak()

    def finish(self) -> Samples:
        """The rest of the speech; all pieces together have `samples_per_code` samples a code."""
        self._stream.end()
        return self._speak()

    def _speak(self) -> Samples:
        pieces = [np.zeros(0, np.float32)]
        while said := self._room.advance():
            pieces += said.values()
        return np.concatenate(pieces)
