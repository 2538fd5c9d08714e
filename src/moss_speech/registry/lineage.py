"""From recordings to models: a cleaned corpus is recorded with licences, consents, verdicts."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moss_speech.catalogue.consents import record_terms
from moss_speech.catalogue.data import SourceFacts, VerdictFacts, find_dataset, record_dataset
from moss_speech.catalogue.database import catalogue
from moss_speech.storage import read_json, read_jsonl, tree_digest

_CUT_NUMBER = re.compile(r"-\d{4,}$")


def _rows(manifest: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(manifest, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _verdicts(corpus: Path, clean: Path) -> Iterator[VerdictFacts]:
    """Kept cuts, then rejects; a cut of a long recording is `ID-0000`, its words belong to ID."""
    for cut in _rows(clean / "cuts.jsonl.gz"):
        yield VerdictFacts(cut["id"], cut["supervisions"][0]["speaker"], True)
    speakers = {row["id"]: row["speaker"] for row in _rows(corpus / "supervisions.jsonl.gz")}
    for row in read_jsonl(clean / "rejects.jsonl"):
        spoken = row["id"] if row["id"] in speakers else _CUT_NUMBER.sub("", row["id"])
        why = (str(row[key]) for key in ("reason", "value", "allowed"))
        yield VerdictFacts(row["id"], speakers.get(spoken, ""), False, *why)


def record_data(corpus: Path, clean: Path) -> str:
    """Record a cleaned corpus once; returns its digest, which a `Candidate` names its data by.

    What its sources declare of consent is recorded beside it.
    """
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
            for source in sources:
                record_terms(session, source.name, source.consent, "the source's declaration")
    return digest
