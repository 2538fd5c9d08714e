"""Commands that ask the catalogue: where models come from, who heard whom, who approved what."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

app = typer.Typer(no_args_is_help=True, help="Where models come from, and what became of them.")
Version = Annotated[int, typer.Argument(min=1, help="A version of the registry")]
Source = Annotated[str | None, typer.Option(help="Name of a source")]


def _print(rows: Iterable[tuple[Any, str]], as_json: bool, none: str) -> None:
    """Rows as JSON, one a line, or as the line that people read."""
    empty = True
    for facts, plain in rows:
        empty = False
        typer.echo(json.dumps(facts, default=str) if as_json else plain)
    if empty and not as_json:
        typer.echo(none)


@app.command()
@plain_errors
def heard(
    speaker: Annotated[str | None, typer.Argument(help="Id of a speaker")] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """List the versions that heard a speaker or a source, also through what they began with."""
    from moss_speech.catalogue.consents import Whose
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.lineage import versions_that_heard

    whose = Whose(source, speaker)
    with catalogue() as session:
        found = versions_that_heard(session, whose.speaker, whose.source)
    rows = []
    for h in found:
        through = f", through version {', '.join(map(str, h.through))}" if h.through else ""
        data = ", ".join(d[:12] for d in h.datasets)
        rows.append((asdict(h), f"version {h.version}  data {data}{through}"))
    _print(rows, as_json, f"no version heard {whose}")


@app.command()
@plain_errors
def verdict(
    version: Version,
    utterance: Annotated[str, typer.Argument(help="Id of an utterance")],
    as_json: Json = False,
) -> None:
    """Say what cleaning said of an utterance in the data that a version was made of."""
    from moss_speech.catalogue.data import verdict_on
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.lineage import datasets_of
    from moss_speech.catalogue.models import find_version

    with catalogue() as session:
        find_version(session, version)
        of_each = [(d, verdict_on(session, d, utterance)) for d in datasets_of(session, version)]
    rows = []
    for dataset, v in of_each:
        if v is None:
            continue
        facts = {"data": dataset.digest, "speaker": v.speaker, "kept": v.kept}
        facts |= {"reason": v.reason, "value": v.value, "allowed": v.allowed}
        said = "kept" if v.kept else f"rejected: {v.reason} is {v.value}, allowed is {v.allowed}"
        rows.append((facts, f"data {dataset.digest[:12]}  speaker {v.speaker}  {said}"))
    _print(rows, as_json, f"no data of version {version} has the utterance {utterance!r}")


@app.command()
@plain_errors
def changed(old: Version, new: Version, as_json: Json = False) -> None:
    """Say what differs between two versions: figures, sources, data, code, params."""
    from moss_speech.catalogue.changes import changes
    from moss_speech.catalogue.database import catalogue

    with catalogue() as session:
        found = changes(session, old, new)
    rows = (
        (asdict(c), f"{c.area:7} {c.name}: {c.old or 'nothing'} -> {c.new or 'nothing'}")
        for c in found
    )
    _print(rows, as_json, f"the catalogue knows of no difference between {old} and {new}")


@app.command()
@plain_errors
def origin(
    version: Annotated[int | None, typer.Argument(min=1, help="The version that answered")] = None,
    text: Annotated[str | None, typer.Option(help="The words of its answer")] = None,
    response: Annotated[str | None, typer.Option(help="Id of a recorded answer instead")] = None,
    nearest: Annotated[int, typer.Option(min=1, max=100, help="Training texts to show")] = 5,
    as_json: Json = False,
) -> None:
    """Find the data an answer came from: datasets, and the training texts nearest to it."""
    from moss_speech.registry.answers import Question, answer_origin, recorded_answer

    root = settings().root
    if response is not None:
        question = recorded_answer(root, response)
    elif version is not None and text is not None and text.strip():
        question = Question(version, text)
    else:
        raise ValueError("name a version and its answer with --text, or a recorded --response")
    found = answer_origin(question, root / "data" / "clean", nearest)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    typer.echo(f"datasets: {', '.join(found.datasets) or 'none recorded'}")
    if not found.searched:
        at = f"; code {', '.join(found.commits)}" if found.commits else ""
        typer.echo(f"data/clean is none of them, its texts were not searched{at}")
    for near in found.nearest:
        who = f"speakers {', '.join(near.speakers) or 'none'}"
        whence = f"sources {', '.join(near.sources) or 'not named'}"
        items = f"{len(near.items)} items, first {near.items[0]}"
        typer.echo(f"{near.likeness:.2f}  {near.text!r}  {items}; {who}; {whence}")


@app.command()
@plain_errors
def decisions(
    version: Annotated[int | None, typer.Argument(min=1, help="Only on this version")] = None,
    as_json: Json = False,
) -> None:
    """List who decided what on the champion, when and why, newest first."""
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.promotions import history

    with catalogue() as session:
        found = history(session)
    rows = []
    for promotion, outcome in found:
        if version not in (None, promotion.new_version):
            continue
        facts = {"version": promotion.new_version, "kind": promotion.kind}
        facts |= {"at": promotion.recorded_at, "approved_by": promotion.approved_by}
        result, reason = (outcome.result, outcome.reason) if outcome else ("open", "")
        at = f"{promotion.recorded_at:%F %T}"
        who = f"{promotion.kind} of version {promotion.new_version} by {promotion.approved_by}"
        rows.append(
            (facts | {"result": result, "reason": reason}, f"{at}  {who}: {result}; {reason}")
        )
    _print(rows, as_json, "nothing was decided yet")


@app.command()
@plain_errors
def deployments(as_json: Json = False) -> None:
    """List which version was given to conversations, where, from when to when, newest first."""
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.deployments import deployments as all_deployments
    from moss_speech.catalogue.tables import now

    with catalogue() as session:
        found = all_deployments(session, now())
    rows = (
        (
            asdict(d),
            f"{d.since:%F %T} to {f'{d.until:%F %T}' if d.until else 'now'}  version {d.version}"
            f"  {d.digest[:12]}  {d.place}",
        )
        for d in found
    )
    _print(rows, as_json, "nothing was served yet")
