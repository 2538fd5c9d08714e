"""How fast the catalogue answers for a million utterances, on SQLite and on PostgreSQL."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from _figures import Figure, figure

from moss_speech.catalogue.consents import Whose, record_consent
from moss_speech.catalogue.data import SourceFacts, VerdictFacts, find_dataset, record_dataset
from moss_speech.catalogue.data import verdict_on as ask_verdict
from moss_speech.catalogue.database import open_catalogue
from moss_speech.catalogue.lineage import versions_that_heard, withdrawals_touching
from moss_speech.catalogue.models import record_version

N_SPEAKERS, N_DATASETS = 2_000, 2
ROUNDS = 50
LIMIT_MS = 50.0


def _verdicts(n: int, prefix: str) -> Iterator[VerdictFacts]:
    """Every tenth is rejected; one speaker is in all but few of the rest."""
    for i in range(n):
        speaker = "everywhere" if i % 2 else f"speaker{i % N_SPEAKERS}"
        if i % 10 == 4:
            yield VerdictFacts(f"{prefix}{i:07d}", speaker, False, "loudness", "-60", "-45..-8")
        else:
            yield VerdictFacts(f"{prefix}{i:07d}", speaker, True)


def _times_ms(work: Callable[[int], object]) -> list[float]:
    times_ms = []
    for n in range(ROUNDS):
        started_s = time.perf_counter()
        work(n)
        times_ms.append(1000 * (time.perf_counter() - started_s))
    return times_ms


def figures_of(url: str, name: str, n_utterances: int) -> list[Figure]:
    """Fill an empty catalogue at an address and time its queries, each a transaction of its own."""
    sessions, draw = open_catalogue(url), random.Random(0)
    n_each = n_utterances // N_DATASETS
    started_s = time.perf_counter()
    for number in range(1, N_DATASETS + 1):
        with sessions.begin() as session:
            source = SourceFacts("team", "CC0-1.0", "signed", n_each)
            rows = _verdicts(n_each, f"u{number}-")
            dataset = record_dataset(session, f"{number:064d}", [source], rows)
            record_version(session, number, f"{number:064d}", "run", dataset)
            record_consent(session, "withdrawn", Whose(speaker=f"speaker{number}"), "", "bench")
    filled_s = time.perf_counter() - started_s

    def verdict(n: int) -> None:
        with sessions.begin() as session:
            dataset = find_dataset(session, f"{1 + n % N_DATASETS:064d}")
            item = draw.randrange(n_each)
            found = dataset and ask_verdict(session, dataset, f"u{1 + n % N_DATASETS}-{item:07d}")
            assert found is not None

    def heard(n: int) -> None:
        speaker = "everywhere" if n % 2 else f"speaker{2 * draw.randrange(N_SPEAKERS // 2)}"
        with sessions.begin() as session:
            versions_that_heard(session, speaker)

    def barred(n: int) -> None:
        with sessions.begin() as session:
            withdrawals_touching(session, 1 + n % N_DATASETS)

    return [
        figure(f"{name}: {n_utterances:,} verdicts written", [n_utterances / filled_s], "rows/s"),
        figure(f"{name}: verdict on an utterance", _times_ms(verdict), "ms", LIMIT_MS),
        figure(f"{name}: versions that heard a speaker", _times_ms(heard), "ms", LIMIT_MS),
        figure(f"{name}: withdrawals that bar a version", _times_ms(barred), "ms", LIMIT_MS),
    ]


def catalogue_figures(postgresql: str | None, n_utterances: int) -> list[Figure]:
    """Figures on a SQLite file, and on an empty PostgreSQL database if its address is given."""
    with tempfile.TemporaryDirectory() as folder:
        found = figures_of(f"sqlite:///{Path(folder) / 'catalogue.db'}", "SQLite", n_utterances)
    return found + (figures_of(postgresql, "PostgreSQL", n_utterances) if postgresql else [])
