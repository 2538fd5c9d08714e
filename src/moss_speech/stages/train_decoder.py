"""Stage train_decoder: codes and clips, or a decoder to keep → models/decoder."""

import shutil
from pathlib import Path

import torch

from moss_speech.audio import SPEAKING
from moss_speech.corpus.encoding import CodeStore
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.load import begin_flow, keep_flow, save_network, speaker_file
from moss_speech.params.decoder import TrainDecoder
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir
from moss_speech.training.clips import Clips
from moss_speech.training.decoder import train_decoder
from moss_speech.training.launch import Fit

Section = TrainDecoder


def run(p: TrainDecoder, io: StageIO) -> None:
    """Train a flow network that reads the codes of the codec."""
    torch.manual_seed(io.seed)
    codes = CodeStore.open(io.inputs["codes"])
    config = FlowConfig(
        **p.model.model_dump(),
        n_codes=codes.n_codes,
        codec_digest=codes.codec_digest,
        format=SPEAKING,
    )
    if p.keep and p.start:
        with fresh_dir(io.output) as out:
            keep_flow(config, Path(p.start), out)
        return
    flow = begin_flow(config, p.start)
    clips = Clips.open(io.inputs["clean"], settings().root, SPEAKING)
    clips.check_codes(codes)
    how = Fit(p.fit, io.seed, io.run_folder, io.tracker, settings().device, "decoder")
    campplus = speaker_file(Path(p.start)) if p.start else None
    train_decoder(flow, clips, codes.__getitem__, p, how, campplus)
    with fresh_dir(io.output) as out:
        save_network(flow, out)
        if campplus:
            shutil.copyfile(campplus, out / campplus.name)
