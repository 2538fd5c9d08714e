"""What the model was made from, for the report: composition, rejects, hearing, frozen text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lhotse import SupervisionSet

from moss_speech.codec.model import Codec, Codes
from moss_speech.corpus.items import Utterance
from moss_speech.evaluation.scores import word_error
from moss_speech.evaluation.statistics import Sampling
from moss_speech.evaluation.suites import Item
from moss_speech.storage import read_json, read_jsonl


def composition(utterances: Iterable[Utterance]) -> list[dict[str, Any]]:
    """Clips, seconds, voices and splits of each role; dev or test if voice or wording is."""
    rows: dict[str, list[Utterance]] = {}
    for u in utterances:
        rows.setdefault(u.role, []).append(u)
    return [
        {
            "role": role,
            "clips": len(found),
            "seconds": round(sum(u.duration_s for u in found), 1),
            "voices": len({u.speaker for u in found}),
            **_splits(found),
        }
        for role, found in sorted(rows.items())
    ]


def _splits(utterances: Sequence[Utterance]) -> dict[str, int]:
    counts = Counter(
        next(s for s in ("test", "dev", "train") if s in (u.voice_split, u.text_split))
        for u in utterances
    )
    return {name: counts[name] for name in ("train", "dev", "test")}


def rejects(corpus: Path, clean: Path) -> dict[str, Any]:
    """The reject table, and how many of the items broken on purpose are in it."""
    supervisions = SupervisionSet.from_jsonl(corpus / "supervisions.jsonl.gz")
    flaws = {s.id: s.custom["flaw"] for s in supervisions if "flaw" in (s.custom or {})}
    rows = read_jsonl(clean / "rejects.jsonl")
    caught = {row["id"] for row in rows} & flaws.keys()
    return {
        "rows": [{**row, "flaw": flaws.get(row["id"])} for row in rows],
        "reasons": dict(sorted(Counter(row["reason"] for row in rows).items())),
        "deliberate": len(flaws),
        "deliberate_caught": len(caught),
        "deliberate_missed": sorted(flaws.keys() - caught),
    }


def text_logits(folder: Path) -> dict[str, Any]:
    """Whether frozen pre-training left the text logits as they were, as that stage measured it."""
    if not (folder / "report.json").is_file():
        return {}
    change = read_json(folder / "report.json").get("text_logits_largest_change")
    return {} if change is None else {"logits_identical": change == 0}


def hearing(
    codec: Codec,
    rows: Mapping[str, Sequence[Utterance]],
    codes: Mapping[str, Codes],
    how: Sampling,
) -> dict[str, Any]:
    """Word error of the tokenizer's read-out for each row of held-out speech."""
    figures = {}
    for name, utterances in rows.items():
        pairs = [(u.text, codec.transcribe(codes[u.id])) for u in utterances]
        figures[name] = word_error(pairs, [_item(u) for u in utterances], how).to_json()
    return figures


def _item(u: Utterance) -> Item:
    fact = u.tags.get("fact", u.text)
    return Item(u.id, "hearing", "speech", "text", u.text, u.text, fact, u.speaker, "", u.id)
