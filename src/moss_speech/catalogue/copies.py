"""Whole copies of a database that is in use, and the way back: SQLite files, PostgreSQL dumps."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Literal

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, inspect, make_url

from moss_speech.catalogue.database import make_engine

Kind = Literal["sqlite", "postgresql", "elsewhere"]
"""`elsewhere`: behind a server, which has backups of its own."""


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
    whole = ("--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error")
    _run("pg_restore", *whole, str(copy), url=url, into=True)


def holds_tables(url: str) -> bool:
    """Whether there is anything in a database."""
    if kind_of(url) == "sqlite":
        return sqlite_file(url).exists()
    engine = make_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _run(program: str, *arguments: str, url: str, into: bool = False) -> None:
    """Run a program of PostgreSQL; the password travels in its environment, not in its words."""
    if shutil.which(program) is None:
        raise RuntimeError(f"{program} is not installed: it belongs to PostgreSQL's client")
    address: URL = make_url(url)
    plain = address.set(drivername="postgresql", password=None).render_as_string()
    secret = {"PGPASSWORD": str(address.password)} if address.password else {}
    command = [program, *arguments, f"--dbname={plain}"]
    done = subprocess.run(
        command, env={**os.environ, **secret}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        action = "restored" if into else "copied"
        raise RuntimeError(f"the database could not be {action}: {done.stderr.strip()[-500:]}")


def move_artifacts(mlflow_copy: Path, old: str, new: str) -> None:
    """Let the runs in a copy of MLflow's SQLite database find their artifacts in a new folder.

    `old` and `new` are addresses of the artifact folder.
    """
    columns = (("experiments", "artifact_location"), ("runs", "artifact_uri"))
    with closing(sqlite3.connect(mlflow_copy)) as db:
        for table, column in columns:
            db.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
        db.commit()


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
