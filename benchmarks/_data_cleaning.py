"""How many hours of audio are cleaned and encoded in an hour: one process, two, a Lhotse pipeline.

The corpus is that of `_data_corpus`, cleaned as the demo cleans, encoded by a codec of the demo's
shape with random weights. Each run is a new process; the start of its workers is part of its time,
its own start is not.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from _codec_listening import codec_of, demo_config
from _data_corpus import make_corpus
from _data_lhotse import lhotse_clean
from _figures import Figure, figure
from _fresh import fresh

from moss_speech.codec.load import save_codec
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.encode import encode_corpus
from moss_speech.corpus.items import open_utterances
from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from moss_speech.settings import settings

SHARD_ITEMS = 50
"""Of encoding: so few that both processes end together on a corpus as small as this."""
SPEED_UP_GOAL, LHOTSE_GOAL = 1.8, 1.0
LHOTSE_PART = 3
"""The pipeline cleans a third of the corpus and hears a third of the sample."""
UNIT = "hours/hour"


@dataclass(frozen=True)
class Took:
    """Seconds of one run, and what its cleaning kept."""

    clean_s: float
    encode_s: float
    kept: frozenset[str]

    @property
    def both_s(self) -> float:
        """Cleaning and encoding."""
        return self.clean_s + self.encode_s


def cleaning_params(threads: int, sample: int) -> Clean:
    """The demo's, in so many processes, listening to so many items."""
    p = load_section(settings().root / "presets" / "demo.yaml", "clean", Clean)
    return p.model_copy(update={"threads": threads, "sample": sample})


def clean(root: Path, threads: int, sample: int) -> float:
    """Clean the corpus of a root into ROOT/clean-THREADS; the seconds it takes."""
    out, blocks = root / f"clean-{threads}", root / f"clean-{threads}-blocks"
    out.mkdir()
    began_s = time.perf_counter()
    p = cleaning_params(threads, sample)
    clean_corpus(root / "data" / "corpus", root, p, 1, out, blocks)
    return time.perf_counter() - began_s


def encode(root: Path, threads: int) -> tuple[float, frozenset[str]]:
    """Encode what that cleaning kept: the seconds it takes, and the ids."""
    os.chdir(root)
    began_s = time.perf_counter()
    utterances = list(open_utterances(root / f"clean-{threads}").values())
    codes = encode_corpus(
        utterances, root / "codec", SHARD_ITEMS, root / f"codes-{threads}", threads
    )
    return time.perf_counter() - began_s, frozenset(codes)


def _run(root: Path, threads: int, sample: int) -> Took:
    return Took(fresh(clean, root, threads, sample), *fresh(encode, root, threads))


def _throughput(hours: float, one: Took, two: Took) -> list[Figure]:
    figures = []
    for word, took in (("one process", one), ("two processes", two)):
        figures += [
            figure(f"cleaning, {word}", [hours * 3600 / took.clean_s], UNIT),
            figure(f"encoding, {word}", [hours * 3600 / took.encode_s], UNIT),
        ]
    return [
        *figures,
        figure("cleaning, two over one", [one.clean_s / two.clean_s], "x"),
        figure("encoding, two over one", [one.encode_s / two.encode_s], "x"),
        figure("both, two over one", [one.both_s / two.both_s], "x", at_least=SPEED_UP_GOAL),
    ]


def _against_lhotse(root: Path, hours: float, one: Took, n_cuts: int, sample: int) -> list[Figure]:
    theirs = fresh(lhotse_clean, root, cleaning_params(1, sample), n_cuts)
    ours = hours * 3600 / one.clean_s
    plain, batched = (
        theirs.hours * 3600 / (seconds + theirs.listening_s)
        for seconds in (theirs.windows_s, theirs.batched_s)
    )
    same = 1 - len(theirs.kept ^ (one.kept & theirs.given)) / len(theirs.given)
    return [
        figure("cleaning, plain Lhotse pipeline", [plain], UNIT),
        figure("cleaning, Lhotse, batched voice activity", [batched], UNIT),
        figure("ours over the plain pipeline", [ours / plain], "x", at_least=LHOTSE_GOAL),
        figure("ours over the batched one", [ours / batched], "x", at_least=LHOTSE_GOAL),
        figure("items on which both verdicts agree", [100 * same], "%"),
    ]


def measure(root: Path, n_utterances: int, sample: int) -> list[Figure]:
    """All figures of a corpus of so many utterances, of which so many are listened to."""
    hours = make_corpus(root, n_utterances)
    (root / "codec").mkdir()
    save_codec(root / "codec", codec_of(demo_config()).encoder, None)
    one, two = (_run(root, threads, sample) for threads in (1, 2))
    if one.kept != two.kept:
        raise RuntimeError(f"one process kept {len(one.kept)} items, two kept {len(two.kept)}")
    part = n_utterances // LHOTSE_PART, sample // LHOTSE_PART
    return _throughput(hours, one, two) + _against_lhotse(root, hours, one, *part)
