"""MLflow's store from an older schema to that of the installed MLflow, after a copy of it."""

from pathlib import Path

from moss_speech.catalogue.copies import (
    copy_database,
    holds_tables,
    kind_of,
    newest_revision,
    put_back,
    revision_of,
)
from moss_speech.registry.store import silence
from moss_speech.settings import Settings
from moss_speech.storage import exclusive


def upgrade_store(chosen: Settings) -> Path | None:
    """Upgrade the store if it is older; returns the copy of the old one, None if there was no need.

    If it fails the store is what it was. `ValueError` for a store behind a tracking server, and
    for one that a newer MLflow made.
    """
    silence()
    import mlflow
    from mlflow.db import upgrade

    url = chosen.tracking_uri
    if kind_of(url) == "elsewhere":
        raise ValueError("the store is behind a tracking server: upgrade it where that runs")
    if not holds_tables(url):
        return None
    migrations = Path(mlflow.__file__).parent / "store" / "db_migrations"
    if (before := revision_of(url)) == newest_revision(migrations):
        return None
    copy = chosen.state / f"mlflow-{before}.db"
    with exclusive(chosen.state / "train.lock", f"the workspace {chosen.root}"):
        copy_database(url, copy)
        try:
            assert upgrade.callback is not None
            upgrade.callback(url)
        except Exception as error:
            put_back(copy, url)
            raise ValueError(f"MLflow cannot upgrade the store at {before}: {error}") from error
    return copy
