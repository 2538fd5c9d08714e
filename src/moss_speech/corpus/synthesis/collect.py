"""Synthesised sources of a corpus: read, made speakable, spoken, heard, and what failed dropped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import jiwer

from moss_speech.audio import SPEAKING
from moss_speech.corpus.items import Dialogue
from moss_speech.corpus.passages import Passage, write_passages
from moss_speech.corpus.sources.lines import Line
from moss_speech.corpus.sources.manifests import Collected, Item, Source
from moss_speech.corpus.synthesis import converse, read_aloud
from moss_speech.corpus.synthesis.rendering import Rendered, render_kept
from moss_speech.corpus.synthesis.rewriting import rewriter_of
from moss_speech.corpus.synthesis.rows import Dropped, Row, read_rows
from moss_speech.params.synthesis import Instructions, Synthesised, Texts
from moss_speech.settings import settings
from moss_speech.speech.text import normalise
from moss_speech.storage import link_or_copy, write_json, write_jsonl

Planned = converse.Planned | read_aloud.Planned


@dataclass
class Made:
    """What one source came to."""

    collected: Collected
    passages: list[Passage] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)


def collect_synthesised(
    sources: Sequence[Texts | Instructions], seed: int, out: Path, processes: int
) -> list[Collected]:
    """Make every source into `out`: audio, passages, `dropped.jsonl` and its table of reasons.

    Raises `ValueError` for a source of which nothing is left, naming the reasons.
    """
    made = [_make(p, seed, out / "audio", processes) for p in sources]
    if made:
        write_passages(out, [passage for m in made for passage in m.passages])
        rows = [{"source": m.collected.source.name, **asdict(d)} for m in made for d in m.dropped]
        write_jsonl(out / "dropped.jsonl", rows)
        write_json(out / "dropped.json", {m.collected.source.name: _reasons(m) for m in made})
    return [m.collected for m in made]


def _reasons(made: Made) -> dict[str, int]:
    return dict(sorted(Counter(d.reason for d in made.dropped).items()))


def _make(p: Texts | Instructions, seed: int, audio: Path, processes: int) -> Made:
    kept_in = settings().state / "synthesis"
    planned: list[Planned] = []
    dropped: list[Dropped] = []
    for found in plan(p, seed, kept_in):
        if isinstance(found, Dropped):
            dropped.append(found)
        else:
            planned.append(found)
    lines = [line for one in planned for line in one.lines]
    kept: dict[str, Rendered] = {}
    for one in render_kept(lines, kept_in / "speech", seed, p.recogniser, processes):
        if (wrong := _misheard(one, p.max_word_error)) is None:
            kept[one.line.id] = one
        else:
            dropped.append(wrong)
    heard = kept.keys() | {d.item for d in dropped}
    dropped += [_unsaid(line) for line in lines if line.id not in heard]
    return _kept(p, planned, kept, dropped, audio)


def plan(p: Texts | Instructions, seed: int, kept_in: Path) -> Iterator[Planned | Dropped]:
    """What a source would have spoken, row by row; `kept_in` keeps a language model's answers."""
    root = settings().root
    rows = islice(read_rows(root / p.path, root), p.max_items)
    if isinstance(p, Instructions):
        conversations = converse.Conversations(p, rewriter_of(p, kept_in / "rewritten"), seed)
        yield from conversations.plan(rows)
        return
    for row in rows:
        yield from _read_aloud(row, p, seed)


def _read_aloud(row: Row | Dropped, p: Texts, seed: int) -> Iterator[Planned | Dropped]:
    text = row if isinstance(row, Dropped) else read_aloud.text_of(row, p)
    if isinstance(row, Row) and isinstance(text, str):
        yield from read_aloud.passages_of(row, text, p, seed)
    elif isinstance(text, Dropped):
        yield text


def _misheard(one: Rendered, limit: float) -> Dropped | None:
    error = float(jiwer.wer(normalise(one.line.text), one.heard))
    if error < limit:
        return None
    return Dropped(one.line.id, "word error", f"{error:.2f}", f"< {limit:g}")


def _unsaid(line: Line) -> Dropped:
    return Dropped(line.id, "synthesis", f"{line.synthesizer} said nothing", "speech")


def _kept(
    p: Texts | Instructions,
    planned: Iterable[Planned],
    kept: dict[str, Rendered],
    dropped: list[Dropped],
    audio: Path,
) -> Made:
    """Whole dialogues, and passages without the sentences that failed."""
    dialogues: list[Dialogue] = []
    passages: list[Passage] = []
    items: list[Item] = []
    for one in planned:
        if isinstance(one, read_aloud.Planned):
            passages += one.passage.within(kept)
            items += [_item(kept[x.id], p, audio) for x in one.lines if x.id in kept]
        elif all(line.id in kept for line in one.lines):
            dialogues.append(one.dialogue)
            items += [_item(kept[x.id], p, audio) for x in one.lines]
    made = Made(Collected(_source(p, items), items, dialogues), passages, dropped)
    if not dialogues and not passages:
        raise ValueError(f"{p.path}: nothing of it is left; dropped for {_reasons(made)}")
    return made


def _item(one: Rendered, p: Synthesised, audio: Path) -> Item:
    line = one.line
    link_or_copy(one.path, audio / one.path.name)
    return Item(
        id=line.id,
        file=one.path.name,
        n_samples=one.n_samples,
        sample_rate_hz=SPEAKING.sample_rate_hz,
        text=normalise(line.text),
        speaker=line.speaker,
        role=line.role,
        voice_split=line.voice_split,
        text_split=line.text_split,
        tags=line.tags,
        language=p.language,
    )


def _source(p: Texts | Instructions, items: Sequence[Item]) -> Source:
    counts = Counter(item.tags["synthesizer"] for item in items)
    return Source(p.name, p.licence, p.consent, False, dict(sorted(counts.items())), p.kind)
