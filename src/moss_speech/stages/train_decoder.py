"""Stage train_decoder: codes and clips → models/decoder."""

import torch

from moss_speech.audio import SPEAKING
from moss_speech.corpus.encoding import CodeStore
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.load import save_network
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
    flow = FlowNetwork(config)
    clips = Clips.open(io.inputs["clean"], settings().root, SPEAKING)
    clips.check_codes(codes)
    how = Fit(p.fit, io.seed, io.run_folder, io.tracker, settings().device, "decoder")
    train_decoder(flow, clips, codes.__getitem__, p, how)
    with fresh_dir(io.output) as out:
        save_network(flow, out)
