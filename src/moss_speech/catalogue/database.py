"""Opening the catalogue: SQLite or PostgreSQL by address alone, its tables brought up to date."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from moss_speech.settings import settings
from moss_speech.storage import InUseError

T = TypeVar("T")
Work = Callable[[Session], T]
"""What is done in one transaction."""

_BUSY_MS = 20_000
"""How long a statement waits for another writer."""
_WAIT_S = 60.0
_POLL_S = 0.05
_UPGRADE_LOCK, _PROMOTION_LOCK, _REGISTRATION_LOCK = 7701, 7702, 7703
"""Keys of PostgreSQL's advisory locks, and of the lock files beside a SQLite database."""
_HELD = "{} is held by another process for over {:g} s"


def migration_config() -> Config:
    """Alembic's configuration of the migrations in this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _prepare_sqlite(engine: Engine) -> None:
    """Write-ahead log, waiting instead of failing, and transactions that hold tables too."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # sqlite3 would not begin before DDL
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///PATH` or `postgresql+psycopg://...`; `ValueError` for others."""
    address = make_url(url)
    backend = address.get_backend_name()
    if backend == "postgresql":
        return create_engine(address.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if backend != "sqlite" or not address.database:
        shown = address.render_as_string(hide_password=True)
        raise ValueError(f"catalogue address is {shown}, must be sqlite:///FILE or postgresql://")
    Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address)
    _prepare_sqlite(engine)
    return engine


@contextmanager
def _file_lock(engine: Engine, key: int, what: str, wait_s: float) -> Iterator[None]:
    lock = FileLock(f"{engine.url.database}.{key}.lock", timeout=wait_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise InUseError(_HELD.format(what, wait_s)) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory_lock(engine: Engine, key: int, what: str, wait_s: float) -> Iterator[None]:
    deadline_s = time.monotonic() + wait_s
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            if time.monotonic() > deadline_s:
                raise InUseError(_HELD.format(what, wait_s))
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def _lock(engine: Engine, key: int, what: str, wait_s: float) -> AbstractContextManager[None]:
    """A lock over all processes that use this catalogue, freed when its holder dies."""
    lock = _file_lock if engine.dialect.name == "sqlite" else _advisory_lock
    return lock(engine, key, what, wait_s)


def _is_current(engine: Engine, config: Config) -> bool:
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def upgrade(engine: Engine) -> None:
    """Bring the tables up to date; safe when several processes open a new database."""
    config = migration_config()
    if _is_current(engine, config):
        return
    with _lock(engine, _UPGRADE_LOCK, "the catalogue's upgrade", _WAIT_S), engine.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "head")


@cache
def open_catalogue(url: str) -> sessionmaker[Session]:
    """Open a catalogue and bring its tables up to date; once a process and address."""
    engine = make_engine(url)
    upgrade(engine)
    return sessionmaker(engine, expire_on_commit=False)


class UnreachableError(RuntimeError):
    """The catalogue's database cannot be asked now."""


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise UnreachableError(f"the catalogue cannot be asked: {type(error).__name__}") from error


@contextmanager
def catalogue() -> Iterator[Session]:
    """One transaction on the catalogue that the settings name; undone if the block raises.

    `UnreachableError` while the database is away or too busy.
    """
    with _asking(), open_catalogue(settings().catalogue_url).begin() as session:
        yield session


def transact(url: str, work: Work[T]) -> T:
    """One transaction on the catalogue at an address; undone if the work raises.

    `UnreachableError` while the database is away or too busy.
    """
    with _asking(), open_catalogue(url).begin() as session:
        return work(session)


@contextmanager
def _held(key: int, what: str, wait_s: float) -> Iterator[None]:
    """It asks for no table: a restore takes a lock before there are any."""
    engine = make_engine(settings().catalogue_url)
    try:
        with _asking(), _lock(engine, key, what, wait_s):
            yield
    finally:
        engine.dispose()


def promotion_lock(wait_s: float = _WAIT_S) -> AbstractContextManager[None]:
    """Held by the one process that may move the champion; `InUseError` after `wait_s`."""
    return _held(_PROMOTION_LOCK, "the promotion lock", wait_s)


def registration_lock() -> AbstractContextManager[None]:
    """Held while a bundle gets its version: two that offer the same one make one version."""
    return _held(_REGISTRATION_LOCK, "the registration lock", _WAIT_S)
