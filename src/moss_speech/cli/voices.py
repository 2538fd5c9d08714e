"""Commands on voices: add one from a recording, list them, remove one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json, Model
from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.decoder.voice import Rights

app = typer.Typer(no_args_is_help=True, help="Voices that a model speaks with.")


@app.command()
@plain_errors
def add(
    name: Annotated[str, typer.Argument(help="a-z 0-9 _ -")],
    prompt: Annotated[Path, typer.Argument(help="1 to 30 s of one person speaking")],
    licence: Annotated[str, typer.Option(help="Terms of the voice, such as CC0-1.0")] = "",
    consent: Annotated[str, typer.Option(help="Who agreed, how and when; or why nobody must")] = "",
    text: Annotated[str, typer.Option(help="What the prompt says; is checked")] = "",
    campplus: Annotated[
        Path | None,
        typer.Option(help="The released speaker encoder, campplus.onnx; default: the model's own"),
    ] = None,
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Check a recording and keep it as a voice that every command and the service know by name."""
    from dataclasses import asdict

    from moss_speech.bundle import FLOW, SpeechParts
    from moss_speech.decoder.load import speaker_file
    from moss_speech.inference.add_voice import Wanted, add_voice
    from moss_speech.inference.voices import store
    from moss_speech.registry.fetch import fetch_model

    rights, folder = _rights(licence, consent), fetch_model(model or settings().model)
    wanted = Wanted(name, prompt, rights, text, campplus or speaker_file(folder / FLOW))
    added = add_voice(wanted, SpeechParts.open(folder), store())
    figures = asdict(added.speaking) | {"text_error": added.text_error}
    found = {"name": name, "codes": len(added.voice.codes), **figures}
    shown = ", ".join(f"{k} {v}" for k, v in found.items() if k != "name" and v is not None)
    typer.echo(json.dumps(found) if as_json else f"{store() / name} ({shown})")


def _rights(licence: str, consent: str) -> "Rights":
    from moss_speech.decoder.voice import Rights

    for option, value, meaning in (
        ("--licence", licence, "under which terms the voice may be used, such as CC0-1.0"),
        ("--consent", consent, "who agreed, how and when, or why nobody must"),
    ):
        if not value.strip():
            raise ValueError(f"{option} is missing; say {meaning}")
    return Rights(licence=licence.strip(), consent=consent.strip())


@app.command("list")
@plain_errors
def list_voices(model: Model = "", as_json: Json = False) -> None:
    """Name the voices of the model and those that were added, with their terms."""
    from moss_speech.bundle import SpeechParts
    from moss_speech.inference.voices import added_voices, speaks, store
    from moss_speech.registry.fetch import fetch_model

    parts, added = SpeechParts.open(fetch_model(model or settings().model)), added_voices(store())
    config = parts.decoder.flow.config
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "from": "model" if name in parts.voices else "added",
            "usable": name in parts.voices or speaks(voice, config),
            "seconds": round(voice.prompt.size / voice.prompt_hz, 2),
            **voice.rights.model_dump(),
        }
        for name, voice in (added | parts.voices).items()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        lacks = "" if row["usable"] else "; not usable: add it anew with --campplus"
        typer.echo(
            f"{row['name']:20} {row['from']:6} {row['seconds']:5.2f} s  {row['licence']}; "
            f"{row['consent']}{lacks}"
        )


@app.command()
@plain_errors
def remove(name: Annotated[str, typer.Argument(help="A voice that was added")]) -> None:
    """Delete an added voice with its recording."""
    from moss_speech.inference.voices import remove_voice, store

    remove_voice(name, store())
    typer.echo(f"removed {name}")
