"""Stage train_vocoder: clips, or a vocoder to keep → models/vocoder."""

from pathlib import Path

import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import vocoder_config
from moss_speech.decoder.load import begin_vocoder, keep_vocoder, save_network
from moss_speech.params.decoder import TrainVocoder
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir
from moss_speech.training.clips import Clips
from moss_speech.training.launch import Fit
from moss_speech.training.vocoder import train_vocoder

Section = TrainVocoder


def run(p: TrainVocoder, io: StageIO) -> None:
    """Train a vocoder on the clips that are for training."""
    torch.manual_seed(io.seed)
    config = vocoder_config(p.model, SPEAKING)
    if p.keep and p.start:
        with fresh_dir(io.output) as out:
            keep_vocoder(config, Path(p.start), out)
        return
    vocoder = begin_vocoder(config, p.start)
    clips = Clips.open(io.inputs["clean"], settings().root, SPEAKING)
    how = Fit(p.fit, io.seed, io.run_folder, io.tracker, settings().device, "vocoder")
    train_vocoder(vocoder, clips, p, how)
    with fresh_dir(io.output) as out:
        save_network(vocoder, out)
