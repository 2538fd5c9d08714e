"""A voice: what the decoder needs to speak like someone, made once from a prompt recording.

A voice folder holds `prompt.flac`, `voice.safetensors` (codes, mel, speaker) and `voice.json`
(name, text, licence, consent, the digest of the codec that made the codes).
Shapes: S samples · N codes · T mel frames · M mel bands · K speaker width.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import load_file, save_file

from moss_speech.audio import LISTENING, Samples, read_audio, resample, write_audio
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.mel import log_mel, mel_statistics
from moss_speech.params.base import Params
from moss_speech.storage import fresh_dir, write_json

MIN_S, MAX_S = 1.0, 30.0
"""A prompt's length in seconds."""
MIN_PEAK = 0.02
"""A prompt whose loudest sample is below this is taken for silence."""
MAX_CLIPPED = 0.001
"""Largest part of samples at full scale."""
FULL_SCALE = 0.999
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Encoder(Protocol):
    """What makes codes of speech; the codec does."""

    def encode(self, audio: Sequence[Samples]) -> list[NDArray[np.int64]]:
        """Codes of each piece of 16 kHz audio."""


class Rights(Params):
    """Under which terms a voice may be used."""

    licence: str = Field(min_length=1)
    consent: str = Field(min_length=1)
    """Who agreed, how and when; or why no agreement is needed."""


@dataclass(frozen=True)
class Voice:
    """Codes, mel and speaker vector of a prompt, with the prompt and its rights."""

    name: str
    codes: NDArray[np.int64]
    mel: NDArray[np.float32]
    """Log mel [4 * N, M]."""
    speaker: NDArray[np.float32]
    prompt: Samples
    prompt_hz: int
    """Rate of the prompt, as it was recorded."""
    text: str
    """What the prompt says; empty if unknown."""
    rights: Rights
    codec_digest: str


def check_name(name: str) -> None:
    """Raise `ValueError` for a name that is no plain folder name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"voice name {name!r}, must be 1..64 of a-z 0-9 _ - (no - _ first)")


def check_prompt(name: str, prompt_S: Samples, sample_rate_hz: int) -> None:
    """Raise `ValueError` for a prompt that is too short or long, silent, clipped or not finite."""
    duration_s = prompt_S.size / sample_rate_hz
    if not MIN_S <= duration_s <= MAX_S:
        raise ValueError(f"voice {name}: prompt of {duration_s:.2f} s, must be {MIN_S}..{MAX_S} s")
    if not np.isfinite(prompt_S).all():
        raise ValueError(f"voice {name}: prompt holds NaN or infinite samples")
    peak, loud = float(np.abs(prompt_S).max()), float((np.abs(prompt_S) >= FULL_SCALE).mean())
    if peak < MIN_PEAK:
        raise ValueError(f"voice {name}: prompt peaks at {peak:.4f}, must reach {MIN_PEAK}")
    if loud > MAX_CLIPPED:
        raise ValueError(f"voice {name}: {loud:.2%} of the prompt clips, at most {MAX_CLIPPED:.2%}")


def make_voice(
    name: str,
    prompt_S: Samples,
    codec: Encoder,
    config: FlowConfig,
    *,
    rights: Rights,
    speaker_K: NDArray[np.float32] | None = None,
    prompt_hz: int | None = None,
    text: str = "",
) -> Voice:
    """Compute everything of a voice from a prompt at `prompt_hz`, else the decoder's sample rate.

    Codes and mel are each resampled from the prompt itself: a detour over the other's rate
    changes codes. `speaker_K` is needed where the config says that it is given (CAM++ as
    published).
    """
    rate_hz = config.format.sample_rate_hz
    prompt_hz = prompt_hz or rate_hz
    check_name(name)
    check_prompt(name, prompt_S, prompt_hz)
    spoken_S = resample(prompt_S, prompt_hz, rate_hz)
    codes_N = codec.encode([resample(prompt_S, prompt_hz, LISTENING.sample_rate_hz)])[0]
    codes_N = codes_N[: spoken_S.size // config.format.samples_per_code]
    mel_TM = log_mel(torch.from_numpy(spoken_S)[None], config.format)[0].T
    mel_TM = mel_TM[: len(codes_N) * config.format.frames_per_code].contiguous()
    if config.speaker == "mel-statistics":
        speaker_K = np.asarray(mel_statistics(mel_TM).numpy(), np.float32)
    if speaker_K is None or speaker_K.shape != (config.speaker_width,):
        got = None if speaker_K is None else speaker_K.shape
        raise ValueError(f"voice {name}: speaker vector {got}, must be ({config.speaker_width},)")
    about = (prompt_S, prompt_hz, text, rights, config.codec_digest)
    return Voice(name, codes_N, mel_TM.numpy(), speaker_K, *about)


def save_voice(voice: Voice, folder: Path) -> None:
    """Write a voice folder, whole or not at all."""
    tensors = {"codes": voice.codes, "mel": voice.mel, "speaker": voice.speaker}
    with fresh_dir(folder) as out:
        save_file(
            {k: np.ascontiguousarray(v) for k, v in tensors.items()}, out / "voice.safetensors"
        )
        write_audio(out / "prompt.flac", voice.prompt, voice.prompt_hz)
        about = {"name": voice.name, "text": voice.text, "codec_digest": voice.codec_digest}
        write_json(out / "voice.json", about | voice.rights.model_dump())


class _About(Rights):
    name: str
    text: str = ""
    codec_digest: str


def read_voice(folder: Path) -> Voice:
    """Read a voice folder of any model; `ValueError` if a part is missing or damaged."""
    try:
        about = _About.model_validate_json((folder / "voice.json").read_bytes())
        tensors = load_file(folder / "voice.safetensors")
        codes_N, mel_TM, speaker_K = tensors["codes"], tensors["mel"], tensors["speaker"]
        prompt_hz = soundfile.info(folder / "prompt.flac").samplerate
    except (OSError, soundfile.SoundFileError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} is no voice: {error}") from error
    prompt_S = read_audio(folder / "prompt.flac", prompt_hz)
    rights = Rights(licence=about.licence, consent=about.consent)
    made_by = (prompt_S, prompt_hz, about.text, rights, about.codec_digest)
    return Voice(about.name, codes_N, mel_TM, speaker_K, *made_by)


def load_voice(folder: Path, config: FlowConfig) -> Voice:
    """Read a voice folder; `ValueError` if a part is missing, damaged or of another model."""
    voice = read_voice(folder)
    check_voice(voice, config)
    return voice


def check_voice(voice: Voice, config: FlowConfig) -> None:
    """Raise `ValueError` if a voice does not fit a flow network."""
    if voice.codec_digest != config.codec_digest:
        raise ValueError(
            f"voice {voice.name} was made with codec {voice.codec_digest[:12]!r}, "
            f"the decoder reads codec {config.codec_digest[:12]!r}: make the voice anew"
        )
    wanted = (len(voice.codes) * config.format.frames_per_code, config.format.n_mels)
    if voice.mel.shape != wanted:
        raise ValueError(f"voice {voice.name}: mel of shape {voice.mel.shape}, must be {wanted}")
    if voice.speaker.shape != (config.speaker_width,):
        raise ValueError(
            f"voice {voice.name}: speaker vector {voice.speaker.shape}, "
            f"must be ({config.speaker_width},)"
        )
    check_codes(voice.codes, config.n_codes)


def check_codes(codes: Sequence[int] | NDArray[np.int64], n_codes: int) -> torch.Tensor:
    """Codes as a tensor [N]; `ValueError` for none at all or one out of range."""
    codes_N = torch.as_tensor(np.asarray(codes, np.int64))
    if codes_N.ndim != 1 or codes_N.numel() == 0:
        raise ValueError(f"codes of shape {tuple(codes_N.shape)}, must be at least one in a row")
    if not 0 <= int(codes_N.min()) <= int(codes_N.max()) < n_codes:
        outside = codes_N[(codes_N < 0) | (codes_N >= n_codes)]
        raise ValueError(f"code {int(outside[0])}, must be 0..{n_codes - 1}")
    return codes_N
