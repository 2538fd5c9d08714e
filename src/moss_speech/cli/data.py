"""Commands on recordings before they are trained on."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.corpus.check import Survey

app = typer.Typer(no_args_is_help=True, help="Look at recordings before they are trained on.")


@app.callback()
def _group() -> None:
    """Keep `data check` a command of a group."""


@app.command()
@plain_errors
def check(
    path: Annotated[Path, typer.Argument(help="A folder or file of recordings or dialogues")],
    kind: Annotated[str | None, typer.Option(help="Its kind, if looking finds another")] = None,
    items: Annotated[
        bool, typer.Option("--items", help="Decode every item: does its sound pass the rules?")
    ] = False,
    language: Annotated[
        str, typer.Option(help="ISO 639 code of what names none, as the source would declare it")
    ] = "",
    as_json: Json = False,
) -> None:
    """Say what a source is, what is wrong with it, hours, speakers, languages, licences."""
    from moss_speech.corpus.check import survey

    if items:
        _check_items(path, kind, language)
        return
    found = survey(path, kind, language)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        for line in _lines(found):
            typer.echo(line)
    if not found.usable:
        raise typer.Exit(1)


def _check_items(path: Path, kind: str | None, language: str) -> None:
    from moss_speech.corpus.check import check_items
    from moss_speech.params.base import load_section
    from moss_speech.params.clean import Clean

    rules = load_section(settings().root / "params.yaml", "clean", Clean)
    passed, rejected = 0, Counter[str]()
    for name, words, reject in check_items(path, rules, kind, language):
        if reject is None:
            passed += 1
            typer.echo(f"passed  {name}  {words!r}")
        else:
            rejected[reject.reason] += 1
            why = f"{reject.reason} {reject.value}, allowed {reject.allowed}"
            typer.echo(f"rejected  {name}  {words!r}: {why}")
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
    typer.echo(f"{passed} passed, {rejected.total()} rejected{': ' if reasons else ''}{reasons}")
    typer.echo("cleaning also asks recognisers for the words, and compares items with each other")
    if not passed:
        raise typer.Exit(1)


def _speakers(found: "Survey") -> str:
    if not found.unnamed:
        return str(len(found.speakers))
    where = f"; {len(found.folders)} folders or files at the top" if found.folders else ""
    return f"{len(found.speakers)}, and {found.unnamed} utterances name none{where}"


def _lines(found: "Survey") -> list[str]:
    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"

    lines = [
        f"{found.path}: {found.kind}, {found.utterances} utterances, "
        f"{timedelta(seconds=round(found.seconds))} hours, {found.dialogues} dialogues",
        f"speakers     {_speakers(found)}",
        f"languages    {listed(found.languages)}",
        f"splits       {listed(found.splits)}",
        f"formats      {listed(found.formats)}",
        f"transcripts  {listed(found.transcripts)}",
    ]
    lines += [f"licence?     {name}: {words}" for name, words in found.licences.items()]
    if not found.licences:
        lines.append("licence?     no LICENSE or README file: ask whoever made it")
    for problem in found.problems.values():
        lines.append(f"wrong        {problem.reason}: {problem.count} items")
        lines += [f"             {example}" for example in problem.examples]
    if found.refused is not None:
        lines.append(f"refused      {found.refused}")
    return lines
