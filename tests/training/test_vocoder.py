"""Training of the vocoder: crops, the spectral loss, learning."""

import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import VocosConfig
from moss_speech.decoder.mel import log_mel
from moss_speech.decoder.vocoder.vocos import Vocos
from moss_speech.params.decoder import TrainVocoder
from moss_speech.records import SilentTracker
from moss_speech.training.launch import Fit
from moss_speech.training.vocoder import VocoderBatches, spectral_loss, train_vocoder
from tests.decoder.networks import vocoder_shape
from tests.training.speech_clips import clips, fit_params


def section(**changes):
    values = {
        "threads": 1,
        "model": vocoder_shape(),
        "fit": fit_params(steps=30, checkpoint_steps=100, average_decay=0.0),
        "batch": 3,
        "crop_frames": 16,
        "other_voices_share": 0.25,
        "mel_weight": 1.0,
        "fft_sizes": [512, 1024],
        "f0_weight": 1.0,
        "adversarial": None,
    }
    return TrainVocoder(**values | changes)


def test_mel_of_a_crop_is_that_of_its_audio(tmp_path):
    batch = VocoderBatches(clips(tmp_path), section(), 1)(0)
    assert batch.audio_BS.shape == (3, 16 * 480)
    mel = log_mel(batch.audio_BS, SPEAKING)
    inside = slice(2, -2)  # at the ends the crop lacks its neighbours
    assert torch.allclose(mel[..., inside], batch.mel_BMT[..., inside], atol=1e-3)


def test_a_clip_shorter_than_the_crop_is_filled_with_silence(tmp_path):
    batch = VocoderBatches(clips(tmp_path), section(crop_frames=200), 1)(0)
    assert batch.audio_BS.shape == (3, 200 * 480)
    assert batch.mel_BMT.shape == (3, 80, 200)
    assert (batch.audio_BS[:, -480:] == 0).all()


def test_equal_steps_give_equal_crops(tmp_path):
    corpus = clips(tmp_path)
    first, again = (VocoderBatches(corpus, section(), 1)(5) for _ in range(2))
    assert torch.equal(first.audio_BS, again.audio_BS)
    assert not torch.equal(first.audio_BS, VocoderBatches(corpus, section(), 1)(6).audio_BS)


def test_spectral_loss_is_zero_only_for_the_same_spectrum():
    audio = torch.randn(2, 4800) * 0.1
    assert spectral_loss(audio, audio, 512) == 0
    assert spectral_loss(audio * 0.5, audio, 512) > 0.5
    assert torch.isfinite(spectral_loss(torch.zeros_like(audio), audio, 512))


def test_spectral_loss_falls_on_a_corpus_of_tones(tmp_path):
    points = []

    class Keeps(SilentTracker):
        def metrics(self, values, step=0):
            points.append(values)

    torch.manual_seed(0)
    p = section()
    vocoder = Vocos(VocosConfig(**p.model.model_dump(), format=SPEAKING))
    train_vocoder(vocoder, clips(tmp_path), p, Fit(p.fit, 1, tmp_path / "run", Keeps()))
    assert points[-1]["train/spectral"] < 0.9 * points[0]["train/spectral"]
