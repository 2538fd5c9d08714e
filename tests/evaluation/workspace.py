"""A small project on disk: the hand-made corpus really spoken, a random model, codes, backbone."""

import shutil
from pathlib import Path

from moss_speech.audio import SPEAKING, read_audio, write_audio
from moss_speech.codec.load import load_codec
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import Dialogue, Utterance
from moss_speech.corpus.manifests import open_corpus_cuts, write_manifest
from moss_speech.corpus.sources.manifests import Collected, Item, Source, write_corpus
from moss_speech.evaluation.run import Inputs
from moss_speech.params.base import load_section
from moss_speech.params.evaluate import Evaluate, ItemCounts
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import EspeakNG
from moss_speech.storage import write_json, write_jsonl
from tests.evaluation.corpus_values import corpus
from tests.tiny_bundle import tiny_bundle

REPOSITORY = Path(__file__).parents[2]


def small_params() -> Evaluate:
    """The tiny preset with fewer items still."""
    p = load_section(REPOSITORY / "presets" / "tiny.yaml", "evaluate", Evaluate)
    few = ItemCounts(hardest=3, cell=3, repeat=2, human=1, renditions=3, tokenizer=3, codec=2)
    return p.model_copy(update={"items": few, "max_rows": 24, "resamples": 100})


def make_workspace(root: Path) -> Inputs:
    """Write corpus, clean, codes, models below `root`; audio is spoken by espeak-ng."""
    corpus_folder, clean = root / "data/corpus", root / "data/clean"
    (corpus_folder / "audio").mkdir(parents=True)
    clean.mkdir()
    utterances, dialogues = corpus()
    items = [_spoken(u, corpus_folder / "audio") for u in utterances.values()]
    source = Source("test", "CC0", "synthesised", True)
    write_corpus(corpus_folder, corpus_folder, [Collected(source, items, dialogues)])
    _clean(corpus_folder, clean, dialogues)
    bundle = tiny_bundle(root / "models")
    _codes(root / "data/codes", bundle, items, corpus_folder)
    shutil.copytree(bundle / "lm", root / "models/backbone")
    (root / "models/lm-frozen").mkdir()
    write_json(root / "models/lm-frozen/report.json", {"text_logits_largest_change": 0.0})
    return Inputs(
        corpus=corpus_folder,
        clean=clean,
        codes=root / "data/codes",
        backbone=root / "models/backbone",
        frozen=root / "models/lm-frozen",
        bundle=bundle,
    )


def _spoken(u: Utterance, audio: Path) -> Item:
    voice = "en-us+" + ("f2" if u.role == "answer" else "m3")
    samples = EspeakNG().say(u.text, voice, Manner())
    write_audio(audio / f"{u.id}.flac", samples, SPEAKING.sample_rate_hz)
    return Item(
        id=u.id,
        file=f"{u.id}.flac",
        n_samples=samples.size,
        sample_rate_hz=SPEAKING.sample_rate_hz,
        text=u.text,
        speaker=u.speaker,
        role=u.role,
        voice_split=u.voice_split,
        text_split=u.text_split,
        tags=u.tags | ({"flaw": "silent"} if u.id == "salad0" else {}),
    )


def _clean(corpus_folder: Path, clean: Path, dialogues: list[Dialogue]) -> None:
    cuts = [cut for cut in open_corpus_cuts(corpus_folder) if cut.id != "salad0"]
    write_manifest(clean / "cuts.jsonl.gz", cuts)
    write_jsonl(clean / "dialogues.jsonl", [d.to_json() for d in dialogues])
    reject = {"id": "salad0", "reason": "loudness", "value": "-100 LUFS", "allowed": "-45..-8 LUFS"}
    write_jsonl(clean / "rejects.jsonl", [reject])


def _codes(folder: Path, bundle: Path, items: list[Item], corpus_folder: Path) -> None:
    codec = load_codec(bundle / "codec")
    audio = [read_audio(corpus_folder / "audio" / i.file, 16000) for i in items]
    codes = dict(zip((i.id for i in items), codec.encode(audio), strict=True))
    folder.mkdir()
    CodeStore.write(folder, codes, codec.config.n_codes, codec.digest)
