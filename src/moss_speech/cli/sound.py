"""Commands on recordings: through codes and back."""

import json
from pathlib import Path
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json, Model, Voice
from moss_speech.settings import settings

app = typer.Typer()


@app.command()
@plain_errors
def resynthesise(
    source: Annotated[Path, typer.Argument(help="A recording, WAV or FLAC")],
    target: Annotated[Path, typer.Argument(help="What codec and decoder make of it")],
    voice: Voice = None,
    model: Model = "",
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Decode code by code, as answers are; above 30 s always"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a recording into codes and back into speech, without the language model."""
    from dataclasses import asdict

    import torch

    from moss_speech.bundle import SpeechParts
    from moss_speech.inference import resynthesis
    from moss_speech.inference.voices import choose_voice, store, with_added_voices
    from moss_speech.registry.fetch import fetch_model

    torch.set_num_threads(settings().threads)
    opened = SpeechParts.open(fetch_model(model or settings().model))
    parts = with_added_voices(opened, store())
    chosen = choose_voice(parts, voice)
    made = resynthesis.resynthesise(parts, source, target, chosen, stream)
    if as_json:
        typer.echo(json.dumps(asdict(made)))
        return
    typer.echo(
        f"{target} ({made.duration_s:.2f} s, {made.codes} codes, {made.bits_per_s:g} bit/s, "
        f"voice {made.voice}{', streamed' if made.streamed else ''}; seconds of work a second: "
        f"encoding {made.encode_rtf:.3f}, decoding {made.decode_rtf:.3f})"
    )
