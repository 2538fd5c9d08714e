"""Commands that train, judge, ask and serve; the others are in modules by what they act on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from moss_speech.cli import (
    bench,
    checkpoints,
    codec,
    composition,
    consents,
    data,
    evaluate,
    house,
    keys,
    lineage,
    package,
    plan,
    promotion,
    rejects,
    reports,
    sound,
    talk,
    upgrade,
    voices,
)
from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json, Model, Voice
from moss_speech.cli.stages import reproduce
from moss_speech.settings import child_environment, settings, switch_off_telemetry

app = typer.Typer(no_args_is_help=True, help="Train, judge, promote and serve speech models.")
app.add_typer(data.app, name="data")
data.app.add_typer(composition.app)
data.app.add_typer(rejects.app)
app.add_typer(bench.app, name="bench")
app.add_typer(consents.app, name="consent")
app.add_typer(consents.forget_app)
app.add_typer(keys.app, name="key")
app.add_typer(lineage.app, name="lineage")
app.add_typer(reports.app, name="report")
app.add_typer(voices.app, name="voice")
app.add_typer(checkpoints.app)
app.add_typer(codec.app)
app.add_typer(evaluate.app)
app.add_typer(house.app)
app.add_typer(plan.app)
app.add_typer(promotion.app)
app.add_typer(package.app)
app.add_typer(sound.app)
app.add_typer(talk.app)
app.add_typer(upgrade.app)


@app.callback()
def _start() -> None:
    switch_off_telemetry()


@app.command()
@plain_errors
def train(
    stage: Annotated[str, typer.Argument(help="A stage of dvc.yaml")],
    force: Annotated[bool, typer.Option(help="Run even if nothing changed")] = False,
) -> None:
    """Bring one stage up to date with DVC, leaving what is upstream alone."""
    reproduce(stage, force)


@app.command()
@plain_errors
def ask(
    question: Annotated[Path, typer.Argument(help="A spoken question, WAV or FLAC")],
    answer: Annotated[Path | None, typer.Argument(help="Spoken answer; text if left out")] = None,
    model: Model = "",
    voice: Voice = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Ask the champion a recorded question and write its answer."""
    from dataclasses import asdict

    from moss_speech.inference.ask import ask as ask_model
    from moss_speech.registry.fetch import fetch_model

    result = ask_model(fetch_model(model or settings().model), question, answer, voice, seed)
    reply = result.reply
    if as_json:
        timings, usage = asdict(reply.timings), asdict(reply.usage)
        typer.echo(json.dumps({"text": reply.text, "timings": timings, "usage": usage}))
    else:
        typer.echo(reply.text if answer is None else f"{answer} ({_length(reply)} s)")


def _length(reply: Any) -> str:
    return f"{len(reply.audio) / reply.sample_rate_hz:.2f}"


@app.command()
@plain_errors
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser")] = False,
    to_everybody: Annotated[
        bool, typer.Option("--open-to-everybody", help="Let other machines in without keys")
    ] = False,
) -> None:
    """Serve the champion: `bentoml serve` at the project root."""
    from moss_speech.doctor import require_port

    _require_keys(host, to_everybody)
    require_port(port)
    command = [sys.executable, "-m", "bentoml", "serve", "--host", host, "--port", str(port)]
    env = child_environment(BENTOML_HOME=str(settings().state / "bentoml"))
    os.chdir(settings().root)
    if not open_page:
        os.execve(sys.executable, command, env)
    with subprocess.Popen(command, env=env) as service:
        _open_when_ready(f"http://127.0.0.1:{port}", service)


def _require_keys(host: str, to_everybody: bool) -> None:
    """`ValueError` if whoever reaches another address than loopback could use the service."""
    is_loopback = host in ("localhost", "::1") or host.startswith("127.")
    if settings().auth == "open" and not is_loopback and not to_everybody:
        raise ValueError(
            f"at {host} everybody who reaches this machine could use the service: set "
            "MOSS_AUTH=keys and make keys with `moss-speech key add`, or say --open-to-everybody"
        )


def _open_when_ready(address: str, service: "subprocess.Popen[bytes]") -> None:
    """Open the page once the service answers; a service that ends is not waited for."""
    import time
    import urllib.request

    while service.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                typer.launch(f"{address}/")
                return
        except OSError:
            time.sleep(0.5)


@app.command()
def doctor() -> None:
    """Check machine, versions, disk, programs, audio, ports and weights."""
    from moss_speech.doctor import examine

    findings = list(examine())
    for finding in findings:
        typer.echo(str(finding))
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
