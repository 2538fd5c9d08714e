"""Parts of a start that are handed on as they are."""

import shutil
from pathlib import Path

import pytest
import torch

from moss_speech.bundle import CODEC, FLOW, LM, VOCODER
from moss_speech.card import CARD, read_card
from moss_speech.codec.load import READOUT, load_codec, save_codec
from moss_speech.codec.readout import ENGLISH, Alphabet, CtcReadout
from moss_speech.codec.start import keep_codec
from moss_speech.decoder.load import keep_flow, keep_vocoder, load_flow, load_vocoder
from moss_speech.lm.load import load_lm
from moss_speech.params.lm import InitBackbone, Started
from moss_speech.records import SilentTracker
from moss_speech.stages import init_backbone
from moss_speech.stages.runner import StageIO
from moss_speech.storage import file_digest, write_json
from tests.tiny_bundle import N_CODES, tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("made"))


def spelling_codec(bundle: Path, folder: Path) -> Path:
    """The bundle's codec with a read-out."""
    encoder = load_codec(bundle / CODEC).encoder
    folder.mkdir()
    save_codec(folder, encoder, CtcReadout(encoder.config.d_model, 16, Alphabet(ENGLISH)))
    return folder


def test_codec_is_kept_byte_for_byte_so_decoders_still_know_it(
    bundle: Path, tmp_path: Path
) -> None:
    codec, out = spelling_codec(bundle, tmp_path / "codec"), tmp_path / "out"
    out.mkdir()
    keep_codec(codec, 1, N_CODES, 0, out)
    assert load_codec(out).digest == load_codec(codec).digest
    assert file_digest(out / READOUT) == file_digest(codec / READOUT)


@pytest.mark.parametrize(
    ("layers", "codes", "words"),
    [(2, N_CODES, "layers is 2, must be 1"), (1, 32, f"codes is 32, must be {N_CODES}")],
)
def test_codec_that_is_another_is_not_kept(
    bundle: Path, tmp_path: Path, layers: int, codes: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        keep_codec(spelling_codec(bundle, tmp_path / "codec"), layers, codes, 0, tmp_path)


def test_codec_without_a_readout_is_not_kept(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"readout\.safetensors"):
        keep_codec(bundle / CODEC, 1, N_CODES, 0, tmp_path)


def test_folder_that_is_no_codec_is_not_kept(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a codec folder"):
        keep_codec(bundle / LM, 1, N_CODES, 0, tmp_path)


def test_decoder_and_vocoder_are_kept_without_what_lies_in_their_folders(
    bundle: Path, tmp_path: Path
) -> None:
    flow, vocoder = tmp_path / "flow", tmp_path / "vocoder"
    flow.mkdir()
    vocoder.mkdir()
    keep_flow(load_flow(bundle / FLOW).config, bundle / FLOW, flow)
    keep_vocoder(load_vocoder(bundle / VOCODER).config, bundle / VOCODER, vocoder)
    assert {path.name for path in flow.iterdir()} == {"config.json", "model.safetensors"}
    assert load_flow(flow).config == load_flow(bundle / FLOW).config
    assert load_vocoder(vocoder).config == load_vocoder(bundle / VOCODER).config


def test_decoder_of_another_codec_is_not_kept(bundle: Path, tmp_path: Path) -> None:
    config = load_flow(bundle / FLOW).config.model_copy(update={"codec_digest": "0" * 64})
    with pytest.raises(ValueError, match=r"codec_digest is '000.*to keep"):
        keep_flow(config, bundle / FLOW, tmp_path)


def backbone(start: Path, out: Path, accept_unlicensed: bool = False) -> Path:
    source = Started(kind="start", accept_unlicensed=accept_unlicensed)
    p = InitBackbone(threads=1, n_codes=N_CODES, n_tail_layers=1, source=source)
    io = StageIO({"start": start}, out, out.parent / "run", SilentTracker(), 1)
    init_backbone.run(p, io)
    return out


def test_backbone_is_the_language_model_of_the_start(bundle: Path, tmp_path: Path) -> None:
    made = load_lm(backbone(bundle, tmp_path / "backbone")).state_dict()
    for name, tensor in load_lm(bundle / LM).state_dict().items():
        assert torch.equal(tensor, made[name]), name


def test_backbone_without_a_start_is_refused(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    with pytest.raises(ValueError, match=r"so start\.model must name a model"):
        backbone(tmp_path / "start", tmp_path / "backbone")


def test_licence_that_a_start_lacks_must_be_accepted_again(bundle: Path, tmp_path: Path) -> None:
    start = shutil.copytree(bundle, tmp_path / "start")
    card = read_card(start)
    source = {"kind": "released", "folder": "found/weights", "accept_unlicensed": True}
    params = {"init_backbone": {"source": source}}
    about = card.about.model_copy(update={"params": params})
    write_json(start / CARD, card.model_copy(update={"about": about}).model_dump())
    with pytest.raises(ValueError, match="made from found/weights, which has no licence"):
        backbone(start, tmp_path / "backbone")
    backbone(start, tmp_path / "backbone", accept_unlicensed=True)
    with pytest.raises(ValueError, match="from licensed weights"):
        backbone(bundle, tmp_path / "backbone", accept_unlicensed=True)
