"""How fast a corpus becomes batches, in what memory, and how fast the catalogue answers for it.

`make bench-data` prints a table and writes benchmarks/data.json; with names of parts only these
run, with `--quick` a short form of each; neither is kept. Every ratio comes from one run.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _figures import Figure, report

# parts are imported where they run: every worker process imports this file anew


@dataclass(frozen=True)
class Plan:
    """How much each part does."""

    utterances: int = 1200
    """Cleaned and encoded: 2.6 hours."""
    listened: int = 150
    """Of them, as many as the demo's cleaning hears."""
    rows: tuple[int, int] = (100_000, 1_000_000)
    """Of the two manifests."""
    rounds: int = 3
    verdicts: int = 1_000_000


QUICK = Plan(utterances=400, listened=32, rows=(10_000, 50_000), rounds=1, verdicts=20_000)


def cleaning(plan: Plan) -> list[Figure]:
    """Cleaning and encoding by one process and two, and against a plain Lhotse pipeline."""
    from _data_cleaning import measure

    with tempfile.TemporaryDirectory(prefix="moss-bench-") as folder:
        return measure(Path(folder), plan.utterances, plan.listened)


def memory(plan: Plan) -> list[Figure]:
    """A manifest of a million rows against one of few."""
    from _data_memory import measure

    return measure(plan.rows)


def packing(plan: Plan) -> list[Figure]:
    """Packing, and how long a trainer waits for its batches."""
    from _data_packing import loading
    from _data_packing import packing as pack

    return [*pack(plan.rounds), loading(plan.rounds)]


def catalogue(plan: Plan) -> list[Figure]:
    """Questions to the catalogue; on PostgreSQL if a server is installed here."""
    from _data_catalogue import catalogue_figures

    sys.path.append(str(Path(__file__).parents[1]))
    from tests.databases import new_database, running_postgres, server_programs

    if (programs := server_programs()) is None:
        print("no PostgreSQL server (initdb, postgres) is installed: SQLite alone is measured")
        return catalogue_figures(None, plan.verdicts)
    with running_postgres(programs) as server:
        return catalogue_figures(new_database(server), plan.verdicts)


PARTS: dict[str, Callable[[Plan], list[Figure]]] = {
    "cleaning": cleaning,
    "packing": packing,
    "memory": memory,
    "catalogue": catalogue,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a short form that is not kept")
    asked = parser.parse_args()
    chosen = asked.parts or list(PARTS)
    found = [f for part in chosen for f in PARTS[part](QUICK if asked.quick else Plan())]
    report("data", found, keep=not asked.quick and set(chosen) == set(PARTS))
