"""All sources of a corpus into one folder."""

from pathlib import Path

from moss_speech.audio import SPEAKING
from moss_speech.corpus.sources.embedded import plan_embedded
from moss_speech.corpus.sources.human import collect_human
from moss_speech.corpus.sources.kinds import open_source
from moss_speech.corpus.sources.manifests import Collected, Item, Source, count_by, write_corpus
from moss_speech.corpus.sources.render import Spoken, render
from moss_speech.corpus.synthesis.collect import collect_synthesised
from moss_speech.params.corpus import Corpus, Embedded
from moss_speech.settings import settings


def collect_corpus(p: Corpus, seed: int, out: Path, final: Path) -> dict[str, float]:
    """Fill the fresh folder `out` that will become `final`; returns counts by source.

    Raises `ValueError` for a source that cannot be read, or if nothing was brought at all.
    """
    audio = out / "audio"
    audio.mkdir()
    # sources are opened first: a wrong one must not wait for voices
    own = [open_source(source, settings().root, p.split_shares, audio) for source in p.sources]
    collected: list[Collected] = []
    if p.embedded is not None:
        collected.append(_embedded(p.embedded, seed, audio, p.threads))
    if p.human_test:
        collected.append(collect_human(audio))
    collected += collect_synthesised(p.synthesised, seed, out, p.threads)
    sources = write_corpus(out, final, [*collected, *own])
    counts: dict[str, float] = {
        f"items/{source.name}": sum(source.counts.values()) for source in sources
    }
    if not any(counts.values()):
        quarantined = [s for s in sources if s.quarantined]
        why = f"; quarantined: {quarantined[0].quarantined}" if quarantined else ""
        raise ValueError(f"the corpus is empty: params name no source that holds audio{why}")
    return counts


def _item(spoken: Spoken) -> Item:
    line = spoken.line
    return Item(
        id=line.id,
        file=f"{line.id}.flac",
        n_samples=spoken.n_samples,
        sample_rate_hz=SPEAKING.sample_rate_hz,
        text=line.text if line.written is None else line.written,
        speaker=line.speaker,
        role=line.role,
        voice_split=line.voice_split,
        text_split=line.text_split,
        tags=line.tags,
    )


def _embedded(p: Embedded, seed: int, audio: Path, processes: int) -> Collected:
    plan = plan_embedded(p, seed)
    items = [_item(spoken) for spoken in render(plan.lines, audio, seed, processes)]
    source = Source(
        name="embedded",
        licence="synthesised: espeak-ng (GPL-3 program), flite (BSD), Piper joe (CC0 data), "
        "Kokoro-82M (Apache-2.0)",
        consent="no person was recorded for it",
        redistribute=True,
        counts=count_by(items, "synthesizer"),
        kind="embedded",
    )
    return Collected(source, items, plan.dialogues)
