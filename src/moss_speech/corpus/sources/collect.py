"""All sources of a corpus into one folder."""

from pathlib import Path

from moss_speech.audio import SPEAKING
from moss_speech.corpus.sources.audio_folder import collect_folder
from moss_speech.corpus.sources.embedded import plan_embedded
from moss_speech.corpus.sources.human import collect_human
from moss_speech.corpus.sources.manifests import Collected, Item, Source, count_by, write_corpus
from moss_speech.corpus.sources.render import Spoken, render
from moss_speech.params.corpus import Corpus, Embedded
from moss_speech.settings import settings


def collect_corpus(p: Corpus, seed: int, out: Path, final: Path) -> dict[str, float]:
    """Fill the fresh folder `out` that will become `final`; returns counts by source."""
    (out / "audio").mkdir()
    folders = [collect_folder(f, settings().root, out / "audio") for f in p.folders]
    collected: list[Collected] = []  # folders are read first: a wrong one must not wait for voices
    if p.embedded is not None:
        collected.append(_embedded(p.embedded, seed, out / "audio", p.threads))
    if p.human_test:
        collected.append(collect_human(out / "audio"))
    collected += folders
    if not any(part.items for part in collected):
        raise ValueError("the corpus is empty: params name no source that holds audio")
    write_corpus(out, final, collected)
    return {f"items/{part.source.name}": len(part.items) for part in collected}


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
    )
    return Collected(source, items, plan.dialogues)
