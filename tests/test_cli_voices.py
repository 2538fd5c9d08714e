"""Voice commands in the shell, and an added voice used by name."""

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import Result
from typer.testing import CliRunner

from moss_speech.audio import write_audio
from moss_speech.cli import app
from tests.tiny_bundle import spoken, tiny_bundle

TERMS = ("--licence", "CC0-1.0", "--consent", "synthetic, nobody's voice")
ROOT = Path(__file__).parents[1]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def prompt(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_audio(project_root / "prompt.wav", spoken(rate_hz=22050), 22050)
    return project_root / "prompt.wav"


def test_a_voice_is_added_listed_used_and_removed(bundle: Path, prompt: Path) -> None:
    added = run("voice", "add", "ann", prompt, *TERMS, "--model", bundle, "--json")
    assert added.exit_code == 0, added.stderr
    assert json.loads(added.stdout)["name"] == "ann"
    listed = json.loads(run("voice", "list", "--model", bundle, "--json").stdout)
    assert [(row["name"], row["from"]) for row in listed] == [
        ("ann", "added"),
        ("assistant", "model"),
    ]
    asked = run("ask", prompt, prompt.parent / "a.wav", "--model", bundle, "--voice", "ann")
    assert asked.exit_code == 0, asked.stderr
    assert soundfile.info(prompt.parent / "a.wav").frames > 0
    assert run("voice", "remove", "ann").exit_code == 0
    asked = run("ask", prompt, prompt.parent / "a.wav", "--model", bundle, "--voice", "ann")
    assert "voice is 'ann', must be one of assistant" in asked.stderr


@pytest.mark.parametrize(("missing", "other"), [("--licence", 2), ("--consent", 0)])
def test_terms_are_asked_for(bundle: Path, prompt: Path, missing: str, other: int) -> None:
    terms = TERMS[other : other + 2]
    done = run("voice", "add", "ann", prompt, *terms, "--model", bundle)
    assert done.exit_code == 1
    assert f"{missing} is missing; say" in done.stderr
    assert not (prompt.parent / "voices").exists()


def test_a_models_own_voice_is_not_removed(project_root: Path) -> None:
    done = run("voice", "remove", "assistant")
    assert done.exit_code == 1
    assert "a model's own voices stay with it" in done.stderr


def test_a_recording_is_resynthesised_in_an_added_voice(bundle: Path, prompt: Path) -> None:
    run("voice", "add", "ann", prompt, *TERMS, "--model", bundle)
    out = prompt.parent / "out.wav"
    done = run(
        "resynthesise", prompt, out, "--voice", "ann", "--model", bundle, "--stream", "--json"
    )
    assert done.exit_code == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["voice"], made["streamed"]) == ("ann", True)
    assert soundfile.info(out).frames == 1920 * made["codes"]
    assert made["encode_rtf"] > 0
    plain = run("resynthesise", prompt, out, "--model", bundle)
    assert f"{made['codes']} codes, 75 bit/s, voice assistant;" in plain.stdout
    unknown = run("resynthesise", prompt, out, "--voice", "eve", "--model", bundle)
    assert "voice is 'eve', must be one of assistant, ann" in unknown.stderr
