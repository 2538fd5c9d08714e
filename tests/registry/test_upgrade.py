"""A store that an older MLflow made: refused with the remedy, upgraded after a copy."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from typer.testing import CliRunner

from moss_speech.catalogue.copies import newest_revision, revision_of
from moss_speech.cli.main import app
from moss_speech.registry.store import silence, tracking_client
from moss_speech.registry.upgrade import upgrade_store
from moss_speech.settings import settings

silence()


def migrations() -> Path:
    import mlflow

    return Path(mlflow.__file__).parent / "store" / "db_migrations"


@pytest.fixture
def old_store(project_root: Path) -> str:
    """MLflow's own tables one migration back, with an experiment."""
    import sqlalchemy
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    settings().state.mkdir()
    url = settings().tracking_uri
    head = ScriptDirectory(str(migrations())).get_revision("head")
    engine, config = sqlalchemy.create_engine(url), _get_alembic_config(url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, str(head.down_revision))
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
                " VALUES (7, 'mine', '/a', 'active')"
            )
        )
    engine.dispose()
    return url


def test_store_of_the_previous_schema_is_upgraded_with_its_content(old_store: str) -> None:
    before = revision_of(old_store)
    assert before != newest_revision(migrations())
    done = CliRunner().invoke(app, ["upgrade-stores"])
    assert done.exit_code == 0, done.output
    assert revision_of(old_store) == newest_revision(migrations())
    assert tracking_client().get_experiment_by_name("mine").experiment_id == "7"
    copy = settings().state / f"mlflow-{before}.db"
    assert revision_of(f"sqlite:///{copy}") == before
    assert "is up to date" in CliRunner().invoke(app, ["upgrade-stores"]).output.splitlines()[1]


def test_older_store_is_refused_with_the_remedy(store: Path) -> None:
    """MLflow upgrades in silence where a table is missing; here only the revision is older."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory(str(migrations())).get_revision("head")
    with closing(sqlite3.connect(settings().state / "mlflow.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", (str(head.down_revision),))
        db.commit()
    with pytest.raises(ValueError, match="moss-speech upgrade-stores"):
        tracking_client()


def test_upgrade_that_fails_leaves_the_store_as_it_was(
    old_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.db import utils

    def fail(engine: object) -> None:
        with closing(sqlite3.connect(settings().state / "mlflow.db")) as db:
            db.execute("DROP TABLE experiments")
            db.commit()
        raise OSError("the disk is full")

    before = revision_of(old_store)
    monkeypatch.setattr(utils, "_upgrade_db", fail)
    with pytest.raises(ValueError, match="cannot upgrade the store"):
        upgrade_store(settings())
    assert revision_of(old_store) == before
    with closing(sqlite3.connect(settings().state / "mlflow.db")) as db:
        assert db.execute("SELECT name FROM experiments").fetchall() == [("mine",)]


def test_store_of_a_newer_mlflow_and_one_behind_a_server_are_refused(
    old_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(settings().state / "mlflow.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
        db.commit()
    with pytest.raises(ValueError, match="cannot upgrade the store at fromthefuture"):
        upgrade_store(settings())
    monkeypatch.setenv("MOSS_MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    settings.cache_clear()
    with pytest.raises(ValueError, match="behind a tracking server"):
        upgrade_store(settings())


def test_no_store_needs_no_upgrade(project_root: Path) -> None:
    assert upgrade_store(settings()) is None
