"""Whole copies of a database that is in use, and the way back: SQLite files, PostgreSQL dumps."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Literal

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    URL,
    String,
    column,
    create_engine,
    func,
    inspect,
    literal,
    make_url,
    or_,
    table,
    update,
)

from moss_speech.catalogue.database import make_engine

Kind = Literal["sqlite", "postgresql", "elsewhere"]
"""`elsewhere`: behind a server, which has backups of its own."""

_DROP_TABLES = """DO $$ DECLARE name text; BEGIN
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', name); END LOOP; END $$"""
"""Tables that a copy does not have would stand in the way of later migrations."""


def kind_of(url: str) -> Kind:
    """What lies at an address."""
    if url.startswith(("http:", "https:")):
        return "elsewhere"
    return "postgresql" if make_url(url).get_backend_name() == "postgresql" else "sqlite"


def sqlite_file(url: str) -> Path:
    """The file of a SQLite address."""
    return Path(str(make_url(url).database))


def _read_only(file: Path) -> str:
    return f"{file.resolve().as_uri()}?mode=ro"


def copy_database(url: str, target: Path) -> None:
    """Write a copy as of one moment; others may go on writing. `RuntimeError` if it fails."""
    if kind_of(url) == "sqlite":
        with (
            closing(sqlite3.connect(_read_only(sqlite_file(url)), uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
        return
    _run("pg_dump", "--format=custom", f"--file={target}", url=url)


def check_copy(copy: Path, kind: Kind) -> None:
    """`ValueError` if a copy cannot be read as a database."""
    if kind == "sqlite":
        try:
            with closing(sqlite3.connect(_read_only(copy), uri=True)) as db:
                found = db.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{copy} is no SQLite database: {error}") from error
        if found != "ok":
            raise ValueError(f"{copy} is damaged: {found}")


def put_back(copy: Path, url: str) -> None:
    """Replace what is in a database by a copy, all of it or nothing."""
    if kind_of(url) == "sqlite":
        with (
            closing(sqlite3.connect(_read_only(copy), uri=True)) as source,
            closing(sqlite3.connect(sqlite_file(url))) as target,
        ):
            source.backup(target)
        return
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "copy.sql"
        _run("pg_restore", "--clean", "--if-exists", "--no-owner", f"--file={script}", str(copy))
        once = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        _run("psql", *once, f"--command={_DROP_TABLES}", f"--file={script}", url=url)


def holds_tables(url: str) -> bool:
    """Whether there is anything in a database."""
    if kind_of(url) == "sqlite":
        return sqlite_file(url).exists()
    engine = make_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _run(program: str, *arguments: str, url: str = "") -> None:
    """Run a program of PostgreSQL; the password travels in its environment, not in its words."""
    if shutil.which(program) is None:
        raise RuntimeError(f"{program} is not installed: it belongs to PostgreSQL's client")
    command, secret = [program, *arguments], {}
    if url:
        address: URL = make_url(url)
        plain = address.set(drivername="postgresql", password=None).render_as_string()
        command.append(f"--dbname={plain}")
        secret = {"PGPASSWORD": str(address.password)} if address.password else {}
    done = subprocess.run(
        command, env={**os.environ, **secret}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{program} does not copy the database: {done.stderr.strip()[-500:]}")


def move_artifacts(url: str, old: str, new: str) -> None:
    """Let the runs in a database of MLflow's find their artifacts in a new folder.

    `old` and `new` are addresses of the artifact folder.
    """
    address = make_url(url)
    if kind_of(url) == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address)  # no settings of ours: SQLite would keep them in MLflow's file
    n_old = len(old)
    try:
        with engine.begin() as connection:
            for name, key in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                place = column(key, String)
                below = or_(place == old, func.substr(place, 1, n_old + 1) == f"{old}/")
                moved = literal(new).concat(func.substr(place, n_old + 1))
                connection.execute(update(table(name, place)).where(below).values({key: moved}))
    finally:
        engine.dispose()


def revision_of(url: str) -> str | None:
    """The revision of the migrations that a database is at; None if it has none."""
    if kind_of(url) == "sqlite":
        with closing(sqlite3.connect(_read_only(sqlite_file(url)), uri=True)) as db:
            tables = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
            if db.execute(tables).fetchone() is None:
                return None
            found = db.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if found is None else str(found[0])
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def newest_revision(migrations: Path) -> str | None:
    """The last revision of a folder of Alembic's migrations."""
    return ScriptDirectory(str(migrations)).get_current_head()
