import shutil
from pathlib import Path

import pytest

from moss_speech.bundle import Bundle, ModelFolders, write_bundle
from moss_speech.card import verify_bundle
from moss_speech.inference.voices import with_added_voices
from moss_speech.storage import read_json, tree_digest, write_json
from tests.poison import change_first_tensor, seal, wider, with_nan
from tests.tiny_bundle import ABOUT, tiny_bundle, tiny_models, tiny_voice


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


def test_written_bundle_opens_with_all_its_parts(whole: Path) -> None:
    bundle = Bundle.open(whole)
    assert list(bundle.voices) == ["assistant"]
    assert bundle.voices["assistant"].rights.licence == "CC0-1.0"
    assert bundle.card.about == ABOUT
    assert bundle.lm.config.n_codes == bundle.codec.config.n_codes


def test_bundle_holds_only_what_its_inputs_determine(whole: Path, tmp_path: Path) -> None:
    assert tree_digest(tiny_bundle(tmp_path)) == tree_digest(whole)


def test_reports_of_training_stay_outside(tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    write_json(models.codec / "report.json", {"seconds": 1.5})
    write_bundle(tmp_path / "bundle", models, [tiny_voice(models, "assistant")], ABOUT)
    assert not list((tmp_path / "bundle").rglob("report.json"))


@pytest.mark.parametrize(
    "name",
    ["lm/model.safetensors", "codec/flow/hift/config.json", "voices/assistant/prompt.flac"],
)
def test_truncated_missing_and_altered_files_are_named(copy: Path, name: str) -> None:
    path = copy / name
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match=f"damaged: {name} has .* bytes, must have"):
        Bundle.open(copy)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=f"damaged: {name} has SHA-256"):
        Bundle.open(copy)
    path.unlink()
    with pytest.raises(ValueError, match=f"damaged: {name} is missing"):
        Bundle.open(copy)


def test_foreign_file_is_named(copy: Path) -> None:
    (copy / "lm" / "extra.txt").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"lm/extra\.txt does not belong to it"):
        verify_bundle(copy)


def test_folder_without_card_and_unknown_version_are_refused(copy: Path) -> None:
    card = read_json(copy / "card.json")
    write_json(copy / "card.json", card | {"format_version": 2})
    with pytest.raises(ValueError, match=r"has format 2, this program reads 1: .* newer moss"):
        Bundle.open(copy)
    (copy / "card.json").unlink()
    with pytest.raises(ValueError, match=r"is no bundle: card\.json is missing"):
        Bundle.open(copy)


def test_parts_that_do_not_fit_leave_nothing_behind(tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    config = read_json(models.decoder / "config.json")
    write_json(models.decoder / "config.json", config | {"codec_digest": "another"})
    target = tmp_path / "bundle"
    with pytest.raises(ValueError, match="codec"):
        write_bundle(target, models, [tiny_voice(models, "assistant")], ABOUT)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["models"]


def test_bundle_without_a_voice_opens_but_cannot_answer(tmp_path: Path) -> None:
    models: ModelFolders = tiny_models(tmp_path / "models")
    write_bundle(tmp_path / "bundle", models, [], ABOUT)
    opened = Bundle.open(tmp_path / "bundle")
    with pytest.raises(ValueError, match=r"has no voice, .* `moss-speech voice add NAME"):
        with_added_voices(opened, tmp_path / "voices")


def test_linked_bundle_shares_its_files_and_equals_a_copied_one(tmp_path: Path) -> None:
    models, voice = tiny_models(tmp_path / "models"), "assistant"
    for name in ("linked", "copied"):
        write_bundle(tmp_path / name, models, [tiny_voice(models, voice)], ABOUT, name == "linked")
    assert tree_digest(tmp_path / "linked") == tree_digest(tmp_path / "copied")
    weights = "lm/model.safetensors"
    assert (tmp_path / "linked" / weights).samefile(models.lm / "model.safetensors")
    assert not (tmp_path / "copied" / weights).samefile(models.lm / "model.safetensors")


WEIGHTS = (
    *("lm/model.safetensors", "codec/model.safetensors"),
    *("codec/flow/model.safetensors", "codec/flow/hift/model.safetensors"),
)


@pytest.mark.parametrize("name", WEIGHTS)
def test_sealed_weights_that_are_not_finite_are_named(copy: Path, name: str) -> None:
    tensor = change_first_tensor(copy, name, with_nan)
    with pytest.raises(ValueError, match=rf"{name}: {tensor} holds NaN or infinite values"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", WEIGHTS)
def test_sealed_weights_of_another_shape_are_named(copy: Path, name: str) -> None:
    tensor = change_first_tensor(copy, name, wider)
    with pytest.raises(ValueError, match=rf"{tensor.removeprefix('encoder.')} has shape"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", WEIGHTS)
def test_sealed_but_truncated_weights_are_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:-10])
    seal(copy)
    with pytest.raises(ValueError, match=name):
        Bundle.open(copy)


@pytest.mark.parametrize(
    ("part", "key"), [("lm", "intermediate_size"), ("codec/flow", "ffn_width")]
)
def test_sealed_config_of_a_huge_network_takes_no_memory(copy: Path, part: str, key: str) -> None:
    config = read_json(copy / part / "config.json")
    write_json(copy / part / "config.json", config | {key: 2**40})
    seal(copy)
    with pytest.raises(ValueError, match=rf"has shape .* must be .*{2**40}"):
        Bundle.open(copy)


def test_links_and_pickles_are_refused_though_sealed(copy: Path, tmp_path: Path) -> None:
    (copy / "lm" / "weights.bin").write_bytes(b"x")
    seal(copy)
    with pytest.raises(ValueError, match=r"lm/weights\.bin may be a pickle"):
        verify_bundle(copy)
    (copy / "lm" / "weights.bin").unlink()
    (copy / "lm" / "config.json").rename(tmp_path / "elsewhere.json")
    (copy / "lm" / "config.json").symlink_to(tmp_path / "elsewhere.json")
    seal(copy)
    with pytest.raises(ValueError, match=r"lm/config\.json is a link"):
        verify_bundle(copy)
    (copy / "lm" / "config.json").unlink()
    (copy / "lm" / "config.json").symlink_to("/")
    with pytest.raises(ValueError, match=r"lm/config\.json is a link"):
        verify_bundle(copy)


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", "..", ""])
def test_card_cannot_name_a_voice_outside(copy: Path, name: str) -> None:
    write_json(copy / "card.json", read_json(copy / "card.json") | {"voices": [name]})
    with pytest.raises(ValueError, match=r"card\.json is no card of a bundle: voices\.0"):
        Bundle.open(copy)


def test_card_cannot_seal_a_file_outside(copy: Path) -> None:
    card = read_json(copy / "card.json")
    outside = {"bytes": 1, "sha256": "0" * 64}
    write_json(copy / "card.json", card | {"files": card["files"] | {"../../etc/passwd": outside}})
    with pytest.raises(ValueError, match=r"\.\./\.\./etc/passwd is missing"):
        Bundle.open(copy)
