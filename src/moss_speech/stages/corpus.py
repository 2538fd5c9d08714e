"""Stage corpus: source descriptions in params → audio, manifests, dialogues."""

from moss_speech.corpus.sources.collect import collect_corpus
from moss_speech.params.corpus import Corpus
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir

Section = Corpus


def run(p: Corpus, io: StageIO) -> None:
    """Collect every source into data/corpus."""
    with fresh_dir(io.output) as out:
        counts = collect_corpus(p, io.seed, out, io.output.relative_to(settings().root))
    io.tracker.metrics({f"corpus/{name}": count for name, count in counts.items()})
