"""Cleaning as a whole: measure everything, listen to a sample, keep or reject, count."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from moss_speech.corpus.clean.listen import Heard, listen, stratified
from moss_speech.corpus.clean.measure import Measured, Undecodable, measure
from moss_speech.corpus.clean.verdicts import (
    Reject,
    check_heard,
    check_item,
    duplicates,
    is_doubtful,
    leaks,
)
from moss_speech.corpus.items import Dialogue, Utterance, open_dialogues, utterance_of
from moss_speech.corpus.manifests import open_corpus_cuts, write_manifest
from moss_speech.corpus.parallel import over_blocks
from moss_speech.params.clean import Clean
from moss_speech.records import report_progress
from moss_speech.speech.text import normalise
from moss_speech.storage import write_json, write_jsonl

MEASURE_BLOCK, LISTEN_BLOCK = 200, 16


@dataclass(frozen=True)
class Task:
    """A block of items to measure."""

    items: tuple[tuple[str, Path, float], ...]
    clip_level: float


def _measure_block(task: Task) -> list[Measured | Undecodable]:
    return [measure(i, path, duration_s, task.clip_level) for i, path, duration_s in task.items]


class Cleaning:
    """Utterances that are still kept, and why the others are not."""

    def __init__(self, utterances: list[Utterance], root: Path, p: Clean) -> None:
        self.kept = {u.id: u for u in utterances}
        self.rejects: list[Reject] = []
        self.root, self.p = root, p
        self.heard: list[tuple[Utterance, Heard]] = []
        self.doubtful: list[Utterance] = []

    def _reject(self, rejects: Iterable[Reject | None]) -> None:
        for reject in [r for r in rejects if r is not None]:
            if self.kept.pop(reject.id, None) is not None:
                self.rejects.append(reject)

    def measure_all(self) -> None:
        """Decode and check every item; then look for doubles and leaks among what is left."""
        todo = [(u.id, self.root / u.audio, u.duration_s) for u in self.kept.values()]
        tasks = [
            Task(tuple(todo[start : start + MEASURE_BLOCK]), self.p.clip_level)
            for start in range(0, len(todo), MEASURE_BLOCK)
        ]
        known: dict[str, Measured | Undecodable] = {}
        for block in over_blocks(_measure_block, tasks, self.p.threads):
            known |= {m.id: m for m in block}
            report_progress(len(known), len(todo), "measured")
        self._reject(check_item(u, known[u.id], self.p) for u in list(self.kept.values()))
        sound = [(u, m) for u in self.kept.values() if isinstance(m := known[u.id], Measured)]
        self.doubtful = [u for u, m in sound if is_doubtful(u, m, self.p)]
        self._reject(list(duplicates(sound, self.p)))
        self._reject(list(leaks(list(self.kept.values()))))

    def listen_to_sample(self, seed: int) -> None:
        """Hear the sample and every doubtful item."""
        doubtful = [u for u in self.doubtful if u.id in self.kept]
        sample = stratified(list(self.kept.values()), self.p.sample, seed)
        chosen = list({u.id: u for u in [*doubtful, *sample]}.values())
        todo = [(u.id, self.root / u.audio) for u in chosen]
        blocks = [todo[start : start + LISTEN_BLOCK] for start in range(0, len(todo), LISTEN_BLOCK)]
        heard: dict[str, Heard] = {}
        for block in over_blocks(listen, blocks, self.p.threads):
            heard |= {h.id: h for h in block}
            report_progress(len(heard), len(todo), "listened to")
        self.heard = [(u, heard[u.id]) for u in chosen]
        self._reject(check_heard(u, h.words, h.quality, self.p) for u, h in self.heard)


def clean_corpus(corpus: Path, root: Path, p: Clean, seed: int, out: Path) -> dict[str, Any]:
    """Clean a corpus folder into the fresh folder `out`; returns the summary.

    Raises `ValueError` if more than `max_reject_share` of the items are rejected.
    """
    cuts = open_corpus_cuts(corpus)
    cleaning = Cleaning([utterance_of(cut) for cut in cuts], root, p)
    cleaning.measure_all()
    cleaning.listen_to_sample(seed)
    summary = _summary(cleaning, [utterance_of(cut) for cut in cuts])
    write_manifest(out / "cuts.jsonl.gz", (cut for cut in cuts if cut.id in cleaning.kept))
    dialogues = [_kept_turns(d, cleaning.kept) for d in open_dialogues(corpus)]
    write_jsonl(out / "dialogues.jsonl", [d.to_json() for d in dialogues])
    write_jsonl(out / "rejects.jsonl", [r.to_json() for r in cleaning.rejects])
    write_json(out / "summary.json", summary)
    _check_share(cleaning, len(cuts))
    return summary


def _kept_turns(dialogue: Dialogue, kept: dict[str, Utterance]) -> Dialogue:
    turns = tuple(
        replace(turn, utterances=tuple(u for u in turn.utterances if u in kept))
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=turns)


def _check_share(cleaning: Cleaning, total: int) -> None:
    share = len(cleaning.rejects) / total
    if share <= cleaning.p.max_reject_share:
        return
    reasons = Counter(r.reason for r in cleaning.rejects).most_common(3)
    first = cleaning.rejects[0]
    raise ValueError(
        f"{share:.1%} of {total} items are rejected, allowed is {cleaning.p.max_reject_share:.1%}; "
        f"most often {', '.join(f'{reason} ({n})' for reason, n in reasons)}; "
        f"first {first.id}: {first.reason} {first.value}, allowed {first.allowed}"
    )


def _summary(cleaning: Cleaning, utterances: list[Utterance]) -> dict[str, Any]:
    kept = list(cleaning.kept.values())
    planted = [u for u in utterances if "flaw" in u.tags]
    caught = {r.id: r.reason for r in cleaning.rejects}
    return {
        "items": len(utterances),
        "kept": len(kept),
        "rejected": dict(sorted(Counter(r.reason for r in cleaning.rejects).items())),
        "hours_kept": round(sum(u.duration_s for u in kept) / 3600, 4),
        "splits": dict(sorted(Counter(f"{u.voice_split}/{u.text_split}" for u in kept).items())),
        "flaws": {
            "planted": len(planted),
            "caught": sum(u.id in caught for u in planted),
            "missed": [u.id for u in planted if u.id not in caught],
            "caught_as": {u.id: caught[u.id] for u in planted if u.id in caught},
        },
        "listened": len(cleaning.heard),
        "by_synthesizer": _by_synthesizer(cleaning.heard),
    }


def _by_synthesizer(heard: list[tuple[Utterance, Heard]]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[tuple[Utterance, Heard]]] = {}
    for u, h in heard:
        if "flaw" not in u.tags:
            groups.setdefault(u.tags.get("synthesizer", u.role), []).append((u, h))
    return {name: _figures(group) for name, group in sorted(groups.items())}


def _figures(group: list[tuple[Utterance, Heard]]) -> dict[str, float]:
    words = [normalise(u.text) for u, _ in group]
    return {
        "items": len(group),
        "word_error": round(float(jiwer.wer(words, [h.words for _, h in group])), 3),
        "quality": round(float(np.mean([h.quality for _, h in group])), 2),
    }
