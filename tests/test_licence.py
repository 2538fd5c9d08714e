"""Weights without a licence file: refused, or accepted and recorded."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.bundle import write_bundle
from moss_speech.card import read_card
from moss_speech.cli import app
from moss_speech.lm.load import load_lm
from moss_speech.lm.quantize import scheme_of
from moss_speech.params.lm import InitBackbone, Released
from moss_speech.records import SilentTracker
from moss_speech.stages import init_backbone
from moss_speech.stages.runner import StageIO
from tests.lm.small import small_checkpoint
from tests.tiny_bundle import ABOUT, tiny_models, tiny_voice


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A released folder with a licence file and what else such a folder has."""
    small_checkpoint(tmp_path / "source")
    (tmp_path / "source" / "chat_template.jinja").write_text("{{ messages }}")
    return tmp_path / "source"


def take(folder: Path, out: Path, accept_unlicensed: bool) -> None:
    released = Released(kind="released", folder=str(folder), accept_unlicensed=accept_unlicensed)
    section = InitBackbone(threads=1, n_codes=512, n_tail_layers=2, source=released)
    io = StageIO(inputs={}, output=out, run_folder=out, tracker=SilentTracker(), seed=0)
    init_backbone.run(section, io)


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.output


def test_licence_and_tokenizer_files_travel_with_the_weights(source: Path, tmp_path: Path) -> None:
    take(source, tmp_path / "backbone", accept_unlicensed=False)
    assert command("export", tmp_path / "backbone", tmp_path / "out")[0] == 0
    for name in ("LICENSE", "tokenizer.json", "chat_template.jinja"):
        content = (source / name).read_bytes()
        assert (tmp_path / "backbone" / name).read_bytes() == content
        assert (tmp_path / "out" / name).read_bytes() == content
    assert "| licence | LICENSE |" in (tmp_path / "out" / "README.md").read_text()


def test_weights_without_a_licence_need_an_acceptance(source: Path, tmp_path: Path) -> None:
    (source / "LICENSE").unlink()
    with pytest.raises(ValueError, match=r"has no licence file .*source.accept_unlicensed: true"):
        take(source, tmp_path / "backbone", accept_unlicensed=False)
    assert not (tmp_path / "backbone").exists()
    take(source, tmp_path / "backbone", accept_unlicensed=True)
    code, said = command("export", source, tmp_path / "out")
    assert code == 1 and "--accept-unlicensed" in said and not (tmp_path / "out").exists()
    assert command("export", source, tmp_path / "out", "--accept-unlicensed")[0] == 0
    assert "accepted by --accept-unlicensed" in (tmp_path / "out" / "README.md").read_text()


def test_acceptance_of_licensed_weights_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has LICENSE"):
        take(source, tmp_path / "backbone", accept_unlicensed=True)


def test_card_of_a_bundle_records_the_acceptance(source: Path, tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    (models.lm / "merges.txt").write_text("a b")
    accepted = {"kind": "released", "folder": "checkpoints/some", "accept_unlicensed": True}
    about = ABOUT.model_copy(update={"params": {"init_backbone": {"source": accepted}}})
    write_bundle(tmp_path / "bundle", models, [tiny_voice(models, "assistant")], about)
    assert read_card(tmp_path / "bundle").about.unlicensed == "checkpoints/some"
    code, said = command("export", tmp_path / "bundle", tmp_path / "out")
    assert code == 1 and "made from checkpoints/some, which has no licence file" in said
    assert command("export", tmp_path / "bundle", tmp_path / "out", "--accept-unlicensed")[0] == 0
    assert "made from checkpoints/some" in (tmp_path / "out" / "README.md").read_text()
    assert (tmp_path / "out" / "merges.txt").read_text() == "a b"


def test_bundle_of_our_own_weights_is_exported_under_its_licence(tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    write_bundle(tmp_path / "bundle", models, [tiny_voice(models, "assistant")], ABOUT)
    assert command("export", tmp_path / "bundle", tmp_path / "out")[0] == 0
    assert "| licence | Apache-2.0 |" in (tmp_path / "out" / "README.md").read_text()


def test_quantised_weights_are_no_start_of_a_training(source: Path, tmp_path: Path) -> None:
    code, said = command("export", source, tmp_path / "int8", "--weights", "int8")
    assert code == 0 and "MB before" in said
    assert scheme_of(load_lm(tmp_path / "int8")) is not None
    with pytest.raises(ValueError, match="int8 weights, which cannot be trained"):
        take(tmp_path / "int8", tmp_path / "backbone", accept_unlicensed=False)


def test_commands_quantise_and_verify(source: Path, tmp_path: Path) -> None:
    options = ("--weights", "int4", "--group-size", "32")
    assert command("export", source, tmp_path / "int4", *options)[0] == 0
    code, said = command("verify", tmp_path / "int4", source)
    assert code == 0 and "weights int4: 0 of" in said and "of rows choose the same" in said
    small_checkpoint(tmp_path / "other", seed=5)
    assert command("verify", tmp_path / "int4", tmp_path / "other")[0] == 1
