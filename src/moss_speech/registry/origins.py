"""What made a version: the stage runs under its pipeline's run, the folders that went into it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moss_speech.card import CARD, read_card
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.lineage import RunFacts, record_origin
from moss_speech.catalogue.models import find_version
from moss_speech.registry.store import experiment_id, tracking_client
from moss_speech.registry.tracking import (
    FINGERPRINT_TAG,
    INPUT_TAG,
    MAKER_TAG,
    OUTPUT_TAG,
    PARENT_TAG,
    STAGE_TAG,
)
from moss_speech.storage import tree_digest

if TYPE_CHECKING:
    from mlflow.entities import Run

WHOLE = "."
"""The part that is the bundle itself."""


def record_version_origin(version: int, run_id: str, bundle: Path) -> None:
    """Copy what MLflow and the card say of a version's making into the catalogue.

    It stays known when runs are deleted from MLflow or the bundle is gone.
    """
    runs = list(_stage_runs(run_id))
    inputs = _parents_in_card(bundle) if (bundle / CARD).is_file() else {}
    parts = {p.name: tree_digest(p) for p in sorted(bundle.iterdir()) if p.is_dir()}
    with catalogue() as session:
        row = find_version(session, version)
        record_origin(session, row, runs, inputs, parts | {WHOLE: row.digest})


def _parents_in_card(bundle: Path) -> dict[str, str]:
    try:
        return read_card(bundle).about.parents
    except ValueError:  # verified where it matters: before it is promoted and served
        return {}


def _stage_runs(parent: str) -> Iterator[RunFacts]:
    """Stage runs under a pipeline's run; a skipped stage's link leads to the run that made it."""
    query = f"tags.`{PARENT_TAG}` = '{parent}'"
    for child in tracking_client().search_runs([experiment_id()], query):
        maker = child.data.tags.get(MAKER_TAG)
        known = maker not in (None, "elsewhere")
        yield _facts(tracking_client().get_run(str(maker)) if known else child)


def _facts(run: "Run") -> RunFacts:
    tags = run.data.tags
    return RunFacts(
        id=run.info.run_id,
        stage=tags.get(STAGE_TAG, ""),
        fingerprint=tags.get(FINGERPRINT_TAG, ""),
        commit=tags.get("mlflow.source.git.commit", ""),
        uncommitted=tags.get("moss.uncommitted") == "true",
        inputs={k.removeprefix(INPUT_TAG): v for k, v in tags.items() if k.startswith(INPUT_TAG)},
        output=tags.get(OUTPUT_TAG, ""),
        params=dict(run.data.params),
    )
