"""Command `talk`: a live conversation with a service, by microphone or with recordings."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json, Turns, Url, Voice
from moss_speech.settings import api_key

if TYPE_CHECKING:
    from moss_speech.client.dialogue import Turn
    from moss_speech.client.line import Event
    from moss_speech.client.talk import Microphone

app = typer.Typer()


@app.command()
@plain_errors
def talk(
    file: Annotated[
        list[Path] | None,
        typer.Option(help="A spoken question, can be repeated; default: the microphone"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write what was answered, WAV or FLAC")] = None,
    url: Url = "http://127.0.0.1:3000",
    voice: Voice = None,
    text: Annotated[bool, typer.Option("--text", help="Answers in text")] = False,
    turns: Turns = "vad",
    fast: Annotated[
        bool, typer.Option("--fast", help="Send recordings at once, not as they sound")
    ] = False,
    as_json: Json = False,
) -> None:
    """Talk with a service; speak into an answer to interrupt it. The key is MOSS_API_KEY.

    Wear headphones, or the answer is heard as a question. With `--turns manual` press Enter to
    speak and Enter again to be answered.
    """
    from moss_speech.client.feed import samples_of
    from moss_speech.client.line import RATE_HZ, settings_of
    from moss_speech.inference.sound_files import check_ending, write_sound

    if out is not None:
        check_ending(out)
    shown = _Shown(file or [], as_json)
    settings = settings_of(turns, voice, output_modalities=["text" if text else "audio"])
    try:
        asyncio.run(_talk(url, settings, shown, turns, fast))
    finally:
        if out is not None and shown.audio:
            write_sound(out, samples_of(shown.audio), RATE_HZ)


async def _talk(url: str, settings: "Event", shown: "_Shown", turns: Turns, fast: bool) -> None:
    from moss_speech.audio import read_audio
    from moss_speech.client.devices import open_devices
    from moss_speech.client.line import RATE_HZ, connected
    from moss_speech.client.talk import Microphone, ask_recordings

    if shown.files:
        questions = [read_audio(path, RATE_HZ) for path in shown.files]
        async with connected(url, api_key(), settings) as line:
            await ask_recordings(line, questions, turns, fast, shown.turn)
        return
    with open_devices() as devices:
        async with connected(url, api_key(), settings) as line:
            microphone = Microphone(line, devices, turns, shown.turn)
            with _key_presses(microphone, turns):
                await microphone.run(lambda error: typer.echo(f"moss-speech: {error}", err=True))


@contextmanager
def _key_presses(microphone: "Microphone", turns: Turns) -> Iterator[None]:
    """Have every line of the terminal begin or end a turn, unless the service finds turns."""
    hint = "speak" if turns == "vad" else "press Enter, speak, press Enter"
    typer.echo(f"{hint}; Ctrl-C ends", err=True)
    if turns == "vad":
        yield
        return
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def pressed() -> None:
        sys.stdin.readline()
        tasks.add(loop.create_task(microphone.press()))

    loop.add_reader(sys.stdin, pressed)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin)


@dataclass
class _Shown:
    """What the user sees of each turn."""

    files: list[Path]
    as_json: bool
    audio: bytearray = field(default_factory=bytearray)
    n_turns: int = 0

    def turn(self, turn: "Turn") -> None:
        self.n_turns += 1
        self.audio += turn.audio
        about = turn.to_json()
        if self.as_json:
            typer.echo(json.dumps({"turn": self.n_turns, **about}))
            return
        said = turn.text or f"{about['audio_s']:.2f} s of speech"
        first_s = about["from_turn_end_s"]
        when = "nothing to hear" if first_s is None else f"began after {first_s:.2f} s"
        model = turn.response["metadata"]["moss.version"]
        typer.echo(f"{said} ({when}, {about['status']}, model {model})")
