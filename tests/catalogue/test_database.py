"""Opening the catalogue: migrations, several processes, locks."""

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, select, text

from moss_speech.catalogue.data import SourceFacts, VerdictFacts, find_dataset, record_dataset
from moss_speech.catalogue.database import (
    catalogue,
    make_engine,
    migration_config,
    open_catalogue,
    promotion_lock,
)
from moss_speech.catalogue.models import last_evaluation, record_evaluation
from moss_speech.catalogue.tables import Evaluation, Table
from moss_speech.settings import settings
from moss_speech.storage import InUseError

SPAWN = multiprocessing.get_context("spawn")
SOURCES = [SourceFacts("voices", "Apache-2.0", "synthetic", 2)]
VERDICTS = [
    VerdictFacts("a", "espeak:f1", True),
    VerdictFacts("b", "espeak:f2", False, "duration", "0.1 s", "0.3..20 s"),
]


def _migrate(engine: Engine, to: Callable[[Config, str], None], revision: str) -> None:
    config = migration_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        to(config, revision)


def test_migrations_make_exactly_the_tables_of_the_code(catalogue_url: str) -> None:
    engine = open_catalogue(catalogue_url).kw["bind"]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"render_as_batch": True})
        assert compare_metadata(context, Table.metadata) == []


def test_migrations_go_down_and_up_again_with_data_in_the_tables(catalogue_url: str) -> None:
    with catalogue() as session:
        record_dataset(session, "d" * 64, SOURCES, VERDICTS)
        record_evaluation(session, "b" * 64, {"accuracy": {"s2s": 0.5}})
    engine = open_catalogue(catalogue_url).kw["bind"]
    _migrate(engine, command.downgrade, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    _migrate(engine, command.upgrade, "head")
    assert set(Table.metadata.tables) < set(inspect(engine).get_table_names())


def test_older_figures_are_sorted_into_their_evaluations(catalogue_url: str) -> None:
    """Two evaluations of one bundle, the second without t2t; one of another in between; later a
    third that shares no figure with the second."""
    first, other = "a" * 64, "b" * 64
    with catalogue() as session:
        record_evaluation(session, first, {"accuracy": {"t2t": 1.0, "s2s": 0.5}})
        record_evaluation(session, other, {"accuracy": {"t2t": 0.9}})
        record_evaluation(session, first, {"accuracy": {"s2s": 0.7}})
    engine = open_catalogue(catalogue_url).kw["bind"]
    _migrate(engine, command.downgrade, "0005")
    assert "evaluation_sets" not in inspect(engine).get_table_names()
    _migrate(engine, command.upgrade, "head")
    assert _reached(first) == {"s2s": 0.7}
    assert _reached(other) == {"t2t": 0.9}
    with catalogue() as session:
        record_evaluation(session, first, {"accuracy": {"t2t": 0.8}})
        newest = session.scalars(select(Evaluation).order_by(Evaluation.id.desc())).first()
        newest.recorded_at += timedelta(hours=1)
    _migrate(engine, command.downgrade, "0005")
    _migrate(engine, command.upgrade, "head")
    assert _reached(first) == {"t2t": 0.8}


def _reached(digest: str) -> dict[str, float]:
    with catalogue() as session:
        return {name: row.value for name, row in last_evaluation(session, digest).items()}


def _open(url: str) -> None:
    open_catalogue(url)


def test_processes_that_open_a_new_catalogue_together_all_succeed(catalogue_url: str) -> None:
    processes = [SPAWN.Process(target=_open, args=(catalogue_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_failed_block_leaves_no_row(catalogue_url: str) -> None:
    with pytest.raises(KeyError), catalogue() as session:
        record_dataset(session, "d" * 64, SOURCES, VERDICTS)
        raise KeyError
    with catalogue() as session:
        assert find_dataset(session, "d" * 64) is None


def _hold(url: str, held: "multiprocessing.synchronize.Event") -> None:
    with promotion_lock():
        held.set()
        SPAWN.Event().wait()


def test_promotion_lock_excludes_until_its_holder_is_killed(catalogue_url: str) -> None:
    held = SPAWN.Event()
    holder = SPAWN.Process(target=_hold, args=(catalogue_url, held))
    holder.start()
    try:
        assert held.wait(60)
        with (
            pytest.raises(InUseError, match="promotion lock is held"),
            promotion_lock(wait_s=0.2),
        ):
            pass
    finally:
        holder.kill()
        holder.join()
    with promotion_lock(wait_s=10):
        pass


def test_sqlite_keeps_a_write_ahead_log_and_checks_references(project_root: Path) -> None:
    engine = open_catalogue(settings().catalogue_url).kw["bind"]
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.parametrize("url", ["sqlite://", "mysql://user:geheim@host/base"])
def test_unusable_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="must be sqlite:///FILE or postgresql://") as refusal:
        make_engine(url)
    assert "geheim" not in str(refusal.value)
