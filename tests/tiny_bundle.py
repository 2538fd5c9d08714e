"""A whole model with random weights, small enough for tests, through the real save functions."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from moss_speech.audio import LISTENING, SPEAKING, Samples, resample
from moss_speech.bundle import ModelFolders, write_bundle
from moss_speech.card import About
from moss_speech.codec.config import CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.load import load_codec, save_codec
from moss_speech.decoder.config import FlowConfig, VocosConfig
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.load import save_network
from moss_speech.decoder.vocoder.vocos import Vocos
from moss_speech.decoder.voice import Rights, Voice, make_voice
from moss_speech.lm.config import LMConfig, id_values
from moss_speech.lm.load import save_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import initialise
from moss_speech.lm.tokenizer import train_tokenizer
from moss_speech.params.bundle import Generation
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import EspeakNG

N_CODES = 64
MAX_ROWS = 30
LICENCE = "CC0-1.0"


def speech_like(seconds: float, rate_hz: int, seed: int = 0) -> Samples:
    """A hummed tone whose pitch and loudness move: sound that is neither noise nor silence."""
    time_S = np.arange(int(seconds * rate_hz)) / rate_hz
    pitch = 120 + 20 * (seed % 5) + 15 * np.sin(2 * np.pi * 2.5 * time_S)
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    voiced = sum(np.sin(k * phase) / k for k in range(1, 9))
    loudness = 0.1 * (1 + np.sin(2 * np.pi * 4 * time_S))
    return np.asarray(voiced * loudness, np.float32)


@cache
def spoken(text: str = "what color is the grass", rate_hz: int = 16000) -> Samples:
    """A question spoken by a synthesiser."""
    samples_S = EspeakNG().say(text, "en-us+f4", Manner())
    return resample(samples_S, SPEAKING.sample_rate_hz, rate_hz)


def _lm(folder: Path) -> None:
    tokenizer = train_tokenizer(["what colour is the grass", "it is green"], 300)
    ids = tokenizer.special_ids(N_CODES)
    sizes = {
        "vocab_size": len(tokenizer),
        "audio_vocab_size": N_CODES + 16,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_shared_layers": 2,
        "num_modality_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "initializer_range": 0.3,
    }
    model = LayerSplitLM(LMConfig(**sizes, **id_values(ids)))  # type: ignore[arg-type]
    initialise(model, seed=1)
    folder.mkdir()
    save_lm(model, folder, tokenizer)


def _codec(folder: Path) -> None:
    torch.manual_seed(2)
    config = CodecConfig(
        d_model=32,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        num_mel_bins=LISTENING.n_mels,
        max_source_positions=1500,
        quantize_position=1,
        quantize_vocab_size=N_CODES,
        pooling_kernel_size=4,
        encoder_causal_convolution=True,
        encoder_causal_attention=True,
        lookahead_frames=0,
        window_frames=None,
    )
    folder.mkdir()
    save_codec(folder, Encoder(config), None)


def flow_config(codec_digest: str) -> FlowConfig:
    """A decoder that streams in chunks of 5 codes with 2 codes of look-ahead."""
    return FlowConfig(
        embedding_rows=N_CODES,
        width=32,
        n_heads=2,
        ffn_width=64,
        n_layers=1,
        n_up_layers=1,
        lookahead_codes=2,
        speaker="mel-statistics",
        speaker_width=2 * SPEAKING.n_mels,
        channels=16,
        attention_heads=2,
        head_width=8,
        n_mid_blocks=1,
        n_transformers=1,
        chunk_codes=5,
        context_codes=25,
        voice_codes=100,
        cache="fp32",
        steps=2,
        guidance=0.7,
        noise_scale=1.0,
        noise_frames=2000,
        n_codes=N_CODES,
        codec_digest=codec_digest,
        format=SPEAKING,
    )


def _decoder(folder: Path, vocoder_folder: Path, codec_digest: str) -> None:
    torch.manual_seed(3)
    folder.mkdir()
    save_network(FlowNetwork(flow_config(codec_digest)), folder)
    vocoder = VocosConfig(
        kind="vocos", width=32, ffn_width=64, n_blocks=1, kernel=7, lookahead_frames=2, n_fft=1920,
        format=SPEAKING,
    )  # fmt: skip
    vocoder_folder.mkdir()
    save_network(Vocos(vocoder), vocoder_folder)


def tiny_models(folder: Path) -> ModelFolders:
    """The four model folders that a bundle is made of."""
    folder.mkdir(parents=True, exist_ok=True)
    models = ModelFolders(*(folder / n for n in ("lm", "codec", "decoder", "vocoder")))
    _lm(models.lm)
    _codec(models.codec)
    _decoder(models.decoder, models.vocoder, load_codec(models.codec).digest)
    return models


def tiny_voice(models: ModelFolders, name: str) -> Voice:
    """A voice made from a hum; its pitch follows from its name."""
    codec = load_codec(models.codec)
    seed = hashlib.sha256(name.encode()).digest()[0]
    return make_voice(
        name,
        speech_like(1.2, SPEAKING.sample_rate_hz, seed),
        codec,
        flow_config(codec.digest),
        rights=Rights(licence=LICENCE, consent="synthetic, nobody's voice"),
    )


ABOUT = About(
    name="tiny random model",
    licence="Apache-2.0",
    normalise_text=True,
    generation=Generation(
        temperature=0.8, top_k=20, top_p=0.95, repetition_penalty=1.0, min_rows=20,
        max_rows=MAX_ROWS,
    ),
    parents={"clean": "0" * 64},
    params={"seed": 1},
    sources={"hum": {"licence": LICENCE}},
)  # fmt: skip


def tiny_bundle(folder: Path, voices: Sequence[str] = ("assistant",)) -> Path:
    """Write a bundle of random weights below `folder`; equal calls give equal bytes."""
    models = tiny_models(folder / "models")
    write_bundle(folder / "bundle", models, [tiny_voice(models, v) for v in voices], ABOUT)
    return folder / "bundle"
