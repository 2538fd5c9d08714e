"""Training of the flow network: batches, learning, kill and resume."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.load import begin_flow, save_network
from moss_speech.params.decoder import TrainDecoder
from moss_speech.records import SilentTracker
from moss_speech.speech.ge2e import ge2e
from moss_speech.training.clips import Clips
from moss_speech.training.decoder import DecoderBatches, DecoderTraining, train_decoder
from moss_speech.training.launch import Fit
from tests.decoder.networks import flow_shape
from tests.training.speech_clips import N_CODES, clips, codes_of, fit_params

ROOT = Path(__file__).parents[2]


def section(**changes):
    values = {
        "threads": 1,
        "start": None,
        "keep": False,
        "model": flow_shape(),
        "fit": fit_params(steps=8),
        "batch": 3,
        "crop_codes": 12,
        "answer_share": 0.5,
        "other_voices_share": 0.25,
        "prompt_share": 0.5,
        "prompt_max_ratio": 0.5,
        "unconditional_share": 0.2,
        "coarse_weight": 1.0,
        "flow_weight": 1.0,
        "flow_share": 1.0,
        "code_noise": 0.1,
    }
    return TrainDecoder(**values | changes)


def trained(folder: Path, run: Path, p: TrainDecoder, codes=codes_of) -> FlowNetwork:
    torch.manual_seed(0)
    config = FlowConfig(**p.model.model_dump(), n_codes=N_CODES, codec_digest="d", format=SPEAKING)
    flow = FlowNetwork(config)
    train_decoder(flow, clips(folder), codes, p, Fit(p.fit, 1, run, SilentTracker()))
    return flow


def test_a_batch_depends_on_the_step_and_nothing_else(tmp_path):
    batches = [DecoderBatches(clips(tmp_path), codes_of, section(), N_CODES, 1) for _ in range(2)]
    batches[0](3)
    first, again, other = batches[0](7), batches[1](7), batches[1](8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.mel_BTM, other.mel_BTM)


def test_codes_and_mel_of_a_sequence_stay_together(tmp_path):
    p = section(code_noise=0.0, crop_codes=5, batch=16)
    corpus = clips(tmp_path)
    batch = DecoderBatches(corpus, codes_of, p, N_CODES, 1)(0)
    assert batch.codes_BN.shape == (16, 5)
    assert batch.mel_BTM.shape == (16, 20, 80)
    ids = [*corpus.answers, *corpus.assistant, *corpus.others]
    frames_by_code = {
        (int(code), tuple(frames.flatten().tolist()))
        for clip in ids
        for code, frames in zip(
            codes_of(clip), corpus.mel(clip, len(codes_of(clip))).split(4), strict=True
        )
    }
    for codes, mel in zip(batch.codes_BN, batch.mel_BTM, strict=True):
        for code, frames in zip(codes, mel.split(4), strict=True):
            assert (int(code), tuple(frames.flatten().tolist())) in frames_by_code


def test_clips_without_codes_are_counted_and_named(tmp_path):
    with pytest.raises(ValueError, match="1 of 8 clips have no codes, such as joe-answer-2"):
        corpus = clips(tmp_path)
        corpus.check_codes({*corpus.answers, *corpus.assistant, *corpus.others} - {"joe-answer-2"})


def test_held_out_answers_are_never_drawn(tmp_path):
    corpus = clips(tmp_path)
    assert corpus.answers == [f"joe-answer-{i}" for i in range(3)]
    assert corpus.assistant == [f"joe-question-{i}" for i in range(2)]
    assert len(corpus.others) == 3


def test_a_corpus_without_answers_trains_on_all_voices(tmp_path):
    clips(tmp_path)
    from tests.training.speech_clips import utterances

    questions = [u for u in utterances() if u.role == "question"]
    groups = Clips(questions, tmp_path, SPEAKING).groups(0.5, 0.25)
    assert [share for share, _ in groups] == [1.0]
    assert sum(len(ids) for ids in groups[0][1].values()) == len(questions)


def losses(flow, batch):
    torch.manual_seed(5)
    values = {}
    module = DecoderTraining(flow, section(unconditional_share=0.0))
    module.log = lambda name, value: values.update({name: float(value)})
    with torch.no_grad():
        module.training_step(batch, 0)
    return values


def test_both_losses_fall_on_a_corpus_of_tones(tmp_path):
    batch = DecoderBatches(clips(tmp_path), codes_of, section(batch=16), N_CODES, 1)(1000)
    start, end = section(fit=fit_params(steps=1)), section(fit=fit_params(steps=150))
    before = losses(trained(tmp_path, tmp_path / "start", start), batch)
    after = losses(trained(tmp_path, tmp_path / "end", end), batch)
    assert after["coarse_l1"] < 0.95 * before["coarse_l1"]
    assert after["flow"] < 0.95 * before["flow"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.test_decoder import codes_of, section, trained

count = 0
def deadly(clip):
    global count
    count += 1
    if count == 90:
        os.kill(os.getpid(), signal.SIGKILL)
    return codes_of(clip)

folder = Path(sys.argv[1])
trained(folder, folder / "run", section(), deadly)
"""


def test_killed_and_resumed_training_gives_the_unbroken_weights(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    killed = subprocess.run(command, env=environment, check=False, capture_output=True, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert (tmp_path / "run" / "train" / "last.ckpt").is_file()
    resumed = trained(tmp_path, tmp_path / "run", section()).state_dict()
    unbroken = trained(tmp_path, tmp_path / "other", section()).state_dict()
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


def test_training_goes_on_from_a_folder_whose_tensors_fit(tmp_path):
    torch.manual_seed(3)
    config = FlowConfig(
        **flow_shape().model_dump(), n_codes=N_CODES, codec_digest="d", format=SPEAKING
    )
    learnt = FlowNetwork(config)
    (tmp_path / "start").mkdir()
    save_network(learnt, tmp_path / "start")
    begun = begin_flow(config, str(tmp_path / "start"))
    assert all(
        torch.equal(a, b) for a, b in zip(begun.parameters(), learnt.parameters(), strict=True)
    )
    wider = config.model_copy(update={"width": 32})
    with pytest.raises(ValueError, match=r"must be .* by the config"):
        begin_flow(wider, str(tmp_path / "start"))
    p = section(start=str(tmp_path / "start"), fit=fit_params(1).model_copy(update={"lr": 1e-9}))
    before = begun.encoder_proj.bias.clone()
    how = Fit(p.fit, 1, tmp_path / "run", SilentTracker())
    train_decoder(begun, clips(tmp_path), codes_of, p, how)
    assert torch.allclose(begun.encoder_proj.bias, before, atol=1e-6)  # no start at the average


def test_a_network_that_is_given_speaker_vectors_learns_from_those_of_an_encoder(tmp_path):
    shape = flow_shape(speaker="given", speaker_width=256)
    speech = clips(tmp_path)
    batch = DecoderBatches(speech, codes_of, section(model=shape), N_CODES, 1, ge2e())(0)
    assert batch.speaker_BK.shape == (3, 256)
    assert torch.allclose(batch.speaker_BK.norm(dim=-1), torch.ones(3), atol=1e-4)
    trained(tmp_path, tmp_path / "run", section(model=shape))
    with pytest.raises(ValueError, match=r"campplus\.onnx"):
        other = flow_shape(speaker="given", speaker_width=192)
        trained(tmp_path, tmp_path / "other", section(model=other))
