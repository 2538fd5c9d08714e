"""Released `.pt` files: converted once, strictly; the command on small random released folders."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from moss_speech.cli import app
from moss_speech.codec.config import PUBLISHED_CODEC
from moss_speech.codec.load import load_codec
from moss_speech.decoder.convert import PUBLISHED_SHAPES, convert_flow, convert_vocoder
from moss_speech.decoder.load import load_flow, load_speech_decoder, load_vocoder
from moss_speech.params.base import load_section
from moss_speech.params.decoder import TrainDecoder, TrainVocoder
from moss_speech.storage import read_json, tree_digest, write_json
from tests.codec.small import small_encoder
from tests.decoder.networks import flow_network, hift
from tests.decoder.released_folder import SMALL, write_released
from tests.workspace import ROOT

FLOW = flow_network(speaker="given", speaker_width=12, embedding_rows=80)
CONFIG = FLOW.config


def released_flow(path: Path, **more: Any) -> dict[str, Any]:
    content = FLOW.state_dict() | more
    torch.save(content, path)
    return content


def refused(path: Path, tmp_path: Path, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        convert_flow(path, CONFIG, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_flow_loses_epoch_and_step_and_keeps_every_value(tmp_path):
    content = released_flow(tmp_path / "flow-chunk-5.pt", epoch=3, step=4000)
    convert_flow(tmp_path / "flow-chunk-5.pt", CONFIG, tmp_path)
    back = load_flow(tmp_path)
    assert back.config == CONFIG
    for name, value in back.state_dict().items():
        assert torch.equal(value, content[name]), name


def test_vocoder_keeps_every_value_and_its_sound(tmp_path):
    net, mel = hift(), torch.randn(1, 80, 12)
    torch.save(net.state_dict(), tmp_path / "hift.pt")
    convert_vocoder(tmp_path / "hift.pt", net.config, tmp_path)
    with torch.no_grad():
        assert torch.equal(load_vocoder(tmp_path)(mel), net(mel))


def test_a_pickle_with_a_program_is_refused_and_does_not_run(tmp_path):
    class Program:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    released_flow(tmp_path / "flow.pt", step=Program())
    refused(tmp_path / "flow.pt", tmp_path, "damaged or holds more than tensors")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, kept):
    path = tmp_path / "flow.pt"
    released_flow(path)
    path.write_bytes(path.read_bytes()[: kept if kept >= 0 else path.stat().st_size // 2])
    refused(path, tmp_path, r"flow\.pt is missing, damaged")


def test_what_is_no_set_of_tensors_is_refused(tmp_path):
    path = tmp_path / "flow.pt"
    torch.save([1, 2], path)
    refused(path, tmp_path, "holds a list")
    released_flow(path, epochs=3)
    refused(path, tmp_path, "epochs is a int, must be a tensor")
    released_flow(path, extra=torch.ones(2))
    refused(path, tmp_path, "extra that the config does not ask for")
    name = "encoder_proj.bias"
    released_flow(path, **{name: torch.zeros(80, dtype=torch.int64)})
    refused(path, tmp_path, f"{name} is of torch.int64")
    released_flow(path, **{name: torch.zeros(79)})
    refused(path, tmp_path, rf"{name} has shape \(79,\), must be \(80,\)")
    content = FLOW.state_dict()
    del content[name]
    torch.save(content, path)
    refused(path, tmp_path, f"no tensor {name}")


def test_published_sizes_are_those_of_the_paper_preset():
    file = ROOT / "presets" / "paper.yaml"
    assert load_section(file, "train_vocoder", TrainVocoder).model == PUBLISHED_SHAPES.hift
    assert load_section(file, "train_decoder", TrainDecoder).model == PUBLISHED_SHAPES.flow


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("released") / "codec"
    write_released(folder, small_encoder(), SMALL, 64)
    return folder


@pytest.fixture
def sizes(tmp_path) -> Path:
    write_json(tmp_path / "sizes.json", SMALL.model_dump())
    return tmp_path / "sizes.json"


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["import-codec", *(str(a) for a in arguments)])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("flow", "chunk"), [("flow", 0), ("flow-chunk-5", 5), ("flow-chunk-25", 25)]
)
def test_imported_codec_opens_with_the_chunk_of_its_file(source, sizes, tmp_path, flow, chunk):
    out = tmp_path / "out"
    code, said = command(source, out, "--flow", flow, "--shapes", sizes)
    assert code == 0, said
    codec = load_codec(out)
    decoder = load_speech_decoder(out / "flow", out / "flow" / "hift")
    assert decoder.flow.config.chunk_codes == chunk
    assert decoder.flow.config.codec_digest == codec.digest
    assert decoder.flow.config.n_codes == codec.config.n_codes == 64
    original = torch.load(source / "flow" / f"{flow}.pt", weights_only=True)
    assert torch.equal(decoder.flow.encoder_proj.weight, original["encoder_proj.weight"])
    assert (out / "flow" / "campplus.onnx").read_bytes() == b"speaker network"
    assert (out / "LICENSE").read_text() == "free"
    assert not list(out.rglob("*.pt")) and not list(out.rglob("*.yaml"))


def test_unlicensed_weights_need_an_acceptance_that_is_recorded(source, sizes, tmp_path):
    bare = Path(shutil.copytree(source, tmp_path / "bare"))
    (bare / "LICENSE").unlink()
    code, said = command(bare, tmp_path / "out", "--shapes", sizes)
    assert code == 1 and "--accept-unlicensed" in said
    assert command(bare, tmp_path / "out", "--shapes", sizes, "--accept-unlicensed")[0] == 0
    assert "accepted" in read_json(tmp_path / "out" / "imported.json")["licence"]
    code, said = command(source, tmp_path / "two", "--shapes", sizes, "--accept-unlicensed")
    assert code == 1 and "has LICENSE" in said


def test_what_does_not_fit_leaves_nothing_behind(source, sizes, tmp_path):
    code, said = command(source, tmp_path / "out")
    assert code == 1 and "by the config" in said  # not the published sizes
    for missing in ("hift.pt", "flow-chunk-5.pt", "campplus.onnx"):
        broken = Path(shutil.copytree(source, tmp_path / missing))
        (broken / "flow" / missing).unlink()
        code, said = command(broken, tmp_path / "out", "--shapes", sizes)
        assert code == 1 and missing in said
    assert not (tmp_path / "out").exists()
    write_json(sizes, SMALL.model_dump() | {"extra": 1})
    code, said = command(source, tmp_path / "out", "--shapes", sizes)
    assert code == 1 and "extra" in said


def test_a_folder_that_holds_something_stays_as_it_was(source, sizes, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    before = tree_digest(tmp_path / "out")
    assert command(source, tmp_path / "out", "--shapes", sizes)[0] == 1
    assert tree_digest(tmp_path / "out") == before


@pytest.mark.slow
def test_published_size_imports_and_speaks(tmp_path):
    """Decoder and vocoder at the released size; of the encoder, whose loading is tested
    elsewhere, two narrow layers with 16,384 codes."""
    encoder = small_encoder(quantize_vocab_size=PUBLISHED_CODEC.n_codes)
    write_released(tmp_path / "codec", encoder, PUBLISHED_SHAPES, PUBLISHED_CODEC.n_codes)
    code, said = command(tmp_path / "codec", tmp_path / "out")
    assert code == 0, said
    decoder = load_speech_decoder(tmp_path / "out" / "flow", tmp_path / "out" / "flow" / "hift")
    assert len(decoder.flow.state_dict()) == 1121
    assert len(decoder.vocoder.state_dict()) == 328
    with torch.no_grad():
        assert decoder.vocoder(torch.randn(1, 80, 8)).shape == (1, 8 * 480)
