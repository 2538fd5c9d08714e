"""What a withdrawal touches: all that must be built anew, or be deleted by hand."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moss_speech.catalogue.consents import Whose
from moss_speech.catalogue.data import KnownNames
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.deployments import Served, deployments
from moss_speech.catalogue.lineage import Heard, datasets_that_kept, versions_that_heard
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.promotions import current
from moss_speech.catalogue.tables import now
from moss_speech.corpus.clean.withdrawn import Withdrawal
from moss_speech.params.base import read_yaml
from moss_speech.settings import settings
from moss_speech.storage import read_json, tree_digest


@dataclass(frozen=True)
class Affected:
    """What a withdrawal touches; paths are relative to the project root where they lie below it."""

    datasets: list[str]
    """Digests of the cleaned corpora that kept the speech."""
    versions: list[Heard]
    champion: int | None
    """The champion, if it is one of them."""
    deployments: list[Served]
    bentos: list[str]
    outputs: list[str]
    """Outputs of stages in this workspace, in DVC's cache too."""
    audio: list[str]
    """Files of the corpus that hold the speech."""
    recordings: list[str]
    """Recorded turns of a caller with the speaker's name."""
    voices: list[str]
    """Added voices with the speaker's name."""


def affected_by(whose: Whose, root: Path) -> Affected:
    """Find everything; reads this workspace, its stores and its Bentos, and writes nothing."""
    with catalogue() as session:
        datasets = datasets_that_kept(session, whose.speaker, whose.source)
        versions = versions_that_heard(session, whose.speaker, whose.source)
        digests = {find_version(session, heard.version).digest for heard in versions}
        served = deployments(session, now(), digests)
        first = current(session)
    champion = first.new_version if first else None
    audio = sorted(set(_audio(root / "data" / "corpus", whose)))
    clean = root / "data" / "clean"
    heard_here = bool(audio) or (clean.is_dir() and tree_digest(clean) in datasets)
    return Affected(
        datasets=datasets,
        versions=versions,
        champion=champion if champion in {heard.version for heard in versions} else None,
        deployments=served,
        bentos=sorted(_bentos(settings().state / "bentoml" / "bentos", digests)),
        outputs=sorted(_outputs(root)) if heard_here else [],
        audio=audio,
        recordings=sorted(_recordings(root, whose.speaker)),
        voices=[f"voices/{whose.speaker}"] if _has_voice(root, whose.speaker) else [],
    )


def corpus_names(corpus: Path) -> KnownNames:
    """Speakers and sources of a corpus folder that may not be recorded yet."""
    rows = list(_lines(corpus / "supervisions.jsonl.gz"))
    sources = ((row.get("custom") or {}).get("source") for row in rows)
    speakers = frozenset(row["speaker"] for row in rows)
    return KnownNames(speakers, frozenset(name for name in sources if name))


def _lines(manifest: Path) -> Iterator[Any]:
    if manifest.is_file():
        with gzip.open(manifest, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _audio(corpus: Path, whose: Whose) -> Iterator[str]:
    rule = Withdrawal(whose.source, whose.speaker)
    theirs = {
        row["recording_id"]
        for row in _lines(corpus / "supervisions.jsonl.gz")
        if rule.covers((row.get("custom") or {}).get("source"), row["speaker"])
    }
    for row in _lines(corpus / "recordings.jsonl.gz"):
        if row["id"] in theirs:
            yield from (source["source"] for source in row["sources"])


def _bentos(folder: Path, digests: set[str]) -> Iterator[str]:
    """Bentos name the first 12 digits of their model's digest in a label."""
    for path in folder.glob("*/*/bento.yaml"):
        label = (read_yaml(path).get("labels") or {}).get("model_digest", "")
        if label and any(digest.startswith(label) for digest in digests):
            yield f"{path.parent.parent.name}:{path.parent.name}"


def _outputs(root: Path) -> Iterator[str]:
    lock = root / "dvc.lock"
    stages = read_yaml(lock)["stages"] if lock.is_file() else {}
    for stage in stages.values():
        yield from (out["path"] for out in stage.get("outs", []))


def _recordings(root: Path, speaker: str | None) -> Iterator[str]:
    for path in (root / "recordings").glob("*/*/turn.json") if speaker else ():
        caller = read_json(path).get("caller") or {}
        if speaker in (caller.get("name"), caller.get("id")):
            yield str(path.parent.relative_to(root))


def _has_voice(root: Path, speaker: str | None) -> bool:
    names = {path.name for path in (root / "voices").glob("[!.]*")}
    return speaker in names
