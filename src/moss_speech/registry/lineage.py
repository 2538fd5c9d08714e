"""From recordings to models: a cleaned corpus is recorded with licences, consents, verdicts."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from moss_speech.catalogue.data import SourceFacts, VerdictFacts, find_dataset, record_dataset
from moss_speech.catalogue.database import catalogue
from moss_speech.storage import read_json, read_jsonl, tree_digest


def _speakers(corpus: Path) -> dict[str, str]:
    with gzip.open(corpus / "supervisions.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        return {row["recording_id"]: row["speaker"] for row in rows}


def _verdicts(corpus: Path, clean: Path) -> Iterator[VerdictFacts]:
    rejects = {row["id"]: row for row in read_jsonl(clean / "rejects.jsonl")}
    for utterance, speaker in _speakers(corpus).items():
        reject = rejects.get(utterance)
        if reject is None:
            yield VerdictFacts(utterance, speaker, True)
        else:
            why = (reject[key] for key in ("reason", "value", "allowed"))
            yield VerdictFacts(utterance, speaker, False, *why)


def record_data(corpus: Path, clean: Path) -> str:
    """Record a cleaned corpus once; returns its digest, which a `Candidate` names its data by."""
    digest = tree_digest(clean)
    with catalogue() as session:
        if find_dataset(session, digest) is None:
            sources = [
                SourceFacts(
                    row["name"], row["licence"], row["consent"], sum(row["counts"].values())
                )
                for row in read_json(corpus / "sources.json")
            ]
            record_dataset(session, digest, sources, _verdicts(corpus, clean))
    return digest
