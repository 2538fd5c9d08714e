"""Commands that measure a deployment."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Turns, Url
from moss_speech.settings import api_key

if TYPE_CHECKING:
    from moss_speech.audio import Samples

app = typer.Typer(no_args_is_help=True, help="Measure a deployment.")
QUESTION, QUESTION_S = "what is the color of the grass", 2.0


@app.callback()
def _group() -> None:
    """A command with one name only would lose it."""


@app.command()
@plain_errors
def serve(
    url: Url = "http://127.0.0.1:3000",
    sessions: Annotated[int, typer.Option(min=1)] = 8,
    minutes: Annotated[float, typer.Option(min=0.01)] = 5.0,
    question: Annotated[
        Path | None, typer.Option(help="What is asked, WAV or FLAC; default: 2 s of espeak-ng")
    ] = None,
    turns: Turns = "vad",
    all_at_once: Annotated[
        bool, typer.Option("--all-at-once", help="Everybody asks at the same moment")
    ] = False,
    interrupt_every: Annotated[
        int, typer.Option(min=0, help="Speak into every n-th answer; 0 for none")
    ] = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures there")] = None,
) -> None:
    """Hold conversations with a service and print what they had to wait for.

    Each asks aloud in real time, listens, pauses 1 s and asks again. The key is MOSS_API_KEY.
    """
    from moss_speech.client.load import Load, put_load
    from moss_speech.storage import write_json

    load = Load(
        spoken_question() if question is None else _read(question),
        sessions, 60 * minutes, turns, all_at_once, interrupt_every,
    )  # fmt: skip
    tally = asyncio.run(put_load(url, api_key(), load))
    for line in tally.lines():
        typer.echo(line)
    if out is not None:
        write_json(out, tally.to_json())
    if not tally.holds_real_time:
        raise typer.Exit(1)


def spoken_question() -> "Samples":
    """Exactly 2 s of a spoken question at 24 kHz."""
    import numpy as np

    from moss_speech.client.line import RATE_HZ
    from moss_speech.speech.voices.base import Manner
    from moss_speech.speech.voices.programs import EspeakNG

    n_samples = int(QUESTION_S * RATE_HZ)
    said = EspeakNG().say(QUESTION, "en-us+f4", Manner())[:n_samples]
    return np.pad(said, (0, n_samples - said.size))


def _read(path: Path) -> "Samples":
    from moss_speech.audio import read_audio
    from moss_speech.client.line import RATE_HZ

    return read_audio(path, RATE_HZ)
