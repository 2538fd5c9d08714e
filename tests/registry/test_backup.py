"""Backup and restore: into an empty root, over another one, damaged, killed at every line."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from moss_speech.catalogue.copies import holds_tables, kind_of, move_artifacts
from moss_speech.catalogue.database import make_engine, open_catalogue, promotion_lock
from moss_speech.registry import restore as module
from moss_speech.registry.backup import MANIFEST, backup
from moss_speech.registry.dvc_cache import cache_folder
from moss_speech.registry.fetch import find_model
from moss_speech.registry.promotion import champion
from moss_speech.registry.restore import recover, restore
from moss_speech.registry.store import MODEL, _open
from moss_speech.registry.versions import CHAMPION
from moss_speech.settings import settings
from moss_speech.storage import (
    InUseError,
    exclusive,
    read_json,
    tree_digest,
    write_bytes,
    write_json,
)
from tests.registry.candidates import in_process, kill_at_line, process_of, promote, register

ADDRESS = f"models:/{MODEL}@{CHAMPION}"
Enter = Callable[[Path], Path]
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    """Go on in another project root, as another process would."""

    def go(root: Path) -> Path:
        root.mkdir(exist_ok=True)
        monkeypatch.setenv("MOSS_ROOT", str(root))
        monkeypatch.chdir(root)
        settings.cache_clear()
        open_catalogue.cache_clear()
        _open.cache_clear()
        return root

    yield go
    settings.cache_clear()


def fill(root: Path, *names: str) -> None:
    """Versions, the last of them champion, a DVC cache, settings."""
    promote(register(*names)[-1], "anna")
    write_bytes(root / ".dvc/cache/files/md5/ab/cdef", b"data")
    write_bytes(root / "dvc.lock", b"schema: '2.0'\n")
    write_bytes(root / ".env", b"MOSS_RECORD=true\n")
    write_bytes(root / "voices/anna/voice.json", b"{}")


@pytest.fixture
def saved(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a root in which version 2 is champion."""
    fill(store, "first", "second")
    target = tmp_path_factory.mktemp("saved") / "backup"
    backup(target)
    (store / ".env").unlink()
    return target


def test_restored_into_an_empty_root_it_serves_the_same_champion(
    saved: Path, enter: Enter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = champion()
    first_root = settings().root
    root = enter(tmp_path_factory.mktemp("new"))
    assert restore(saved).catalogue == "sqlite"
    shutil.rmtree(first_root / ".moss")  # nothing may lead back to the first root
    found = find_model(ADDRESS)
    assert champion() == before
    assert (found.version, found.digest) == (2, tree_digest(found.folder))
    assert found.folder.is_relative_to(root)
    assert (root / ".dvc/cache/files/md5/ab/cdef").read_bytes() == b"data"
    assert (root / ".env").read_bytes() == b"MOSS_RECORD=true\n"
    assert (root / "voices/anna/voice.json").exists()
    assert promote(register("third")[0], "anna").result == "committed"


def test_cache_is_saved_where_it_is_and_left_out_where_others_use_it(
    store: Path, enter: Enter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (store / ".dvc").mkdir()
    config = "[core]\n    no_scm = true\n[cache]\n    dir = {}\n"
    (store / ".dvc/config.local").write_text(config.format("../cache/dvc"))
    write_bytes(store / "cache/dvc/files/md5/ab/cdef", b"data")
    below, outside = (tmp_path_factory.mktemp("saved") / "backup" for _ in range(2))
    assert backup(below).cache == "cache/dvc"
    shared = tmp_path_factory.mktemp("shared")
    write_bytes(shared / "files/md5/ab/cdef", b"data")
    (store / ".dvc/config.local").write_text(config.format(shared))
    manifest = backup(outside)
    assert manifest.cache == ""
    assert not any(name.startswith("cache/") for name in manifest.files)
    root = enter(tmp_path_factory.mktemp("new"))
    restore(below)
    assert (root / "cache/dvc/files/md5/ab/cdef").read_bytes() == b"data"
    assert cache_folder(root) == root / "cache/dvc"


def test_backup_is_for_its_owner_only_and_names_every_file(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o700
    files = {p.relative_to(saved).as_posix() for p in saved.rglob("*") if p.is_file()}
    assert files - {MANIFEST} == set(read_json(saved / MANIFEST)["files"])
    with pytest.raises(ValueError, match="is not empty, must be a new folder"):
        backup(saved)


def test_root_that_holds_something_is_replaced_only_on_demand(
    saved: Path, enter: Enter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = enter(tmp_path_factory.mktemp("other"))
    fill(root, "another")
    other = champion()
    with pytest.raises(ValueError, match="holds something: restore into an empty root"):
        restore(saved)
    assert champion() == other
    restore(saved, replace=True)
    assert in_process(_served_version) == 2
    assert not list(settings().state.glob(".restore*"))


def _state(root: Path) -> dict[str, bytes]:
    """All that a restore may change, but what SQLite and locks leave beside it."""
    passing = ("-wal", "-shm", ".lock")
    files = (p for p in root.rglob("*") if p.is_file() and not p.name.endswith(passing))
    kept = (p for p in files if ".restore" not in str(p) and "made" not in p.parts)
    return {str(p.relative_to(root)): p.read_bytes() for p in kept}


def _replace(source: str) -> None:
    restore(Path(source), replace=True)


@pytest.mark.parametrize("step", [23, pytest.param(3, marks=pytest.mark.slow)])
def test_restore_that_is_killed_leaves_the_old_state_or_the_new(
    saved: Path, enter: Enter, tmp_path_factory: pytest.TempPathFactory, step: int
) -> None:
    """Killed before every `step`-th line; the next command undoes a swap that had begun."""
    root = enter(tmp_path_factory.mktemp("other"))
    fill(root, "another")
    open_catalogue(settings().catalogue_url).kw["bind"].dispose()
    clean = tmp_path_factory.mktemp("clean") / "copy"
    shutil.copytree(root, clean)
    old, outcomes, number = _state(root), set(), 0
    while True:
        number += step
        code = kill_at_line(number, (Path(module.__file__),), _replace, str(saved))
        if code == 0:
            break
        recover(settings())
        if _state(root) == old:
            outcomes.add("old")
        else:
            assert in_process(_served_version) == 2, f"neither old nor new at line {number}"
            outcomes.add("new")
            shutil.rmtree(root)
            shutil.copytree(clean, root)
            os.chdir(root)
    print(f"killed at {number // step - 1} of {number} lines: {', '.join(sorted(outcomes))}")
    assert "old" in outcomes
    assert in_process(_served_version) == 2


def _served_version() -> int | None:
    """In a process of its own: MLflow keeps a replaced database open."""
    return find_model(ADDRESS).version


def test_interrupted_swap_is_undone_wherever_it_stopped(
    saved: Path, enter: Enter, tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    root = enter(tmp_path_factory.mktemp("other"))
    fill(root, "another")
    open_catalogue(settings().catalogue_url).kw["bind"].dispose()
    old, rename = _state(root), Path.rename
    for last in range(1, 12):
        left = last

        def fail(path: Path, target: Path) -> Path:
            nonlocal left
            if ".restore" in f"{path}{target}" and path.name != ".partial-.restore.json":
                left -= 1
                if left == 0:
                    raise OSError("no space left")
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", fail)
            with pytest.raises(OSError, match="no space left"):
                restore(saved, replace=True)
        assert _state(root) == old


def test_postgresql_is_dumped_and_put_back(
    store: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str,
) -> None:  # fmt: skip
    from tests.databases import new_database

    if shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump is installed")
    monkeypatch.setenv("MOSS_DATABASE_URL", new_database(postgres_server))
    enter(store)
    fill(store, "first")
    target = tmp_path_factory.mktemp("saved") / "backup"
    assert backup(target).catalogue == "postgresql"
    promote(register("second")[0], "anna")
    with pytest.raises(ValueError, match="holds something"):
        restore(target)
    open_catalogue(settings().catalogue_url).kw["bind"].dispose()
    restore(target, replace=True)
    assert in_process(_served_version) == 1
    monkeypatch.setenv("MOSS_DATABASE_URL", new_database(postgres_server))
    enter(tmp_path_factory.mktemp("new"))
    restore(target)
    assert champion().version == 1


def _replace_until_the_first_rename(source: str) -> None:
    def end(path: Path, target: Path) -> None:
        if ".restore-" in f"{path}{target}":
            os.kill(os.getpid(), 9)
        path.replace(target)

    pytest.MonkeyPatch().setattr(Path, "rename", end)
    restore(Path(source), replace=True)


def test_killed_restore_gives_postgresql_back_what_it_held(
    store: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str,
) -> None:  # fmt: skip
    from tests.databases import new_database

    if shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump is installed")
    monkeypatch.setenv("MOSS_DATABASE_URL", new_database(postgres_server))
    enter(store)
    fill(store, "first")
    target = tmp_path_factory.mktemp("saved") / "backup"
    backup(target)
    promote(register("second")[0], "anna")
    with make_engine(settings().catalogue_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE later (name text)")  # not in the backup
    _kill_and_recover(target)
    assert in_process(_served_version) == 2
    assert "later" in _tables()
    open_catalogue(settings().catalogue_url).kw["bind"].dispose()
    restore(target, replace=True)
    assert in_process(_served_version) == 1
    assert "later" not in _tables(), "a table of a later migration would end that migration"
    monkeypatch.setenv("MOSS_DATABASE_URL", new_database(postgres_server))
    enter(tmp_path_factory.mktemp("new"))
    _kill_and_recover(target)
    assert not holds_tables(settings().catalogue_url)


def _kill_and_recover(source: Path) -> None:
    """End a restore when the database is replaced and no file is, then undo it."""
    process = process_of(_replace_until_the_first_rename, str(source))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert recover(settings())
    assert not list(settings().state.glob(".restore*"))


def _tables() -> list[str]:
    return inspect(make_engine(settings().catalogue_url)).get_table_names()


def test_nobody_promotes_during_a_restore_or_trains_while_one_is_undone(saved: Path) -> None:
    with promotion_lock(), pytest.raises(InUseError, match="promotion lock is held"):
        restore(saved, replace=True)
    assert champion().version == 2
    write_json(settings().state / ".restore.json", {"databases": [], "renames": []})
    lock = exclusive(settings().state / "train.lock", "the workspace")
    with lock, pytest.raises(InUseError, match="in use by another process"):
        recover(settings())
    assert recover(settings())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_runs_find_their_artifacts_at_the_new_place(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from tests.databases import new_database

    url = f"sqlite:///{tmp_path}/mlflow.db"
    if kind == "postgresql":
        url = new_database(request.getfixturevalue("postgres_server"))
    engine = create_engine(make_url(url).set(drivername=DRIVERS[kind]))
    places = ["file:///a/artifacts", "file:///a/artifacts/1/x", "file:///a/artifacts2/1", "s3://b"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE experiments (artifact_location VARCHAR(200))"))
        connection.execute(text("CREATE TABLE runs (artifact_uri VARCHAR(200))"))
        for place in places:
            connection.execute(text("INSERT INTO experiments VALUES (:p)"), {"p": place})
            connection.execute(text("INSERT INTO runs VALUES (:p)"), {"p": place})
    move_artifacts(url, "file:///a/artifacts", "file:///b c/%d")
    moved = ["file:///b c/%d", "file:///b c/%d/1/x", *places[2:]]
    with engine.connect() as connection:
        for query in ("SELECT * FROM experiments", "SELECT * FROM runs"):
            assert sorted(connection.scalars(text(query))) == sorted(moved)
        if kind == "sqlite":
            assert connection.scalar(text("PRAGMA journal_mode")) == "delete", "MLflow's setting"


@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://host:5000", "elsewhere"), ("https://host", "elsewhere"),
     ("sqlite:////a/b.db", "sqlite"), ("postgresql+psycopg://h/b", "postgresql")],
)  # fmt: skip
def test_kind_of_a_store_is_known_by_its_address(url: str, kind: str) -> None:
    assert kind_of(url) == kind


def _break(folder: Path, how: str) -> None:
    manifest = read_json(folder / MANIFEST)
    if how == "no manifest":
        (folder / MANIFEST).unlink()
    elif how == "manifest is no JSON":
        (folder / MANIFEST).write_text("{")
    elif how == "manifest is a list":
        (folder / MANIFEST).write_text("[]")
    elif how == "unknown key":
        write_json(folder / MANIFEST, manifest | {"extra": 1})
    elif how == "later version":
        write_json(folder / MANIFEST, manifest | {"format_version": 2})
    elif how == "negative size":
        manifest["files"]["mlflow.db"]["bytes"] = -1
        write_json(folder / MANIFEST, manifest)
    elif how == "path outside":
        manifest["files"]["../../escape"] = manifest["files"]["mlflow.db"]
        write_json(folder / MANIFEST, manifest)
    elif how == "file missing":
        (folder / "mlflow.db").unlink()
    elif how == "file cut short":
        os.truncate(folder / "mlflow.db", 100)
    elif how == "one bit":
        content = bytearray((folder / "mlflow.db").read_bytes())
        content[5000] ^= 1
        (folder / "mlflow.db").write_bytes(content)
    elif how == "file too many":
        (folder / "artifacts/evil.txt").write_text("x")
    elif how == "link":
        (folder / "artifacts/link").symlink_to("/etc/passwd")
    elif how == "link to a folder":
        (folder / "artifacts/link").symlink_to("/etc")
    elif how == "other database":
        write_json(folder / MANIFEST, manifest | {"catalogue": "postgresql"})
    elif how == "cache outside":
        write_json(folder / MANIFEST, manifest | {"cache": "../cache"})
    elif how == "unknown database":
        write_json(folder / MANIFEST, manifest | {"catalogue": "oracle"})


BROKEN = [
    ("no manifest", "is no backup: backup.json is missing"),
    ("manifest is no JSON", "is not JSON"),
    ("manifest is a list", "backup.json"),
    ("unknown key", "extra"),
    ("later version", "format_version is 2, must be 1"),
    ("negative size", "bytes"),
    ("path outside", "escape is missing"),
    ("file missing", "mlflow.db is missing"),
    ("file cut short", "mlflow.db is not what was written"),
    ("one bit", "mlflow.db is not what was written"),
    ("file too many", "evil.txt does not belong to it"),
    ("link", "link is a link"),
    ("link to a folder", "link is a link"),
    ("other database", "the backup's catalogue is postgresql, the settings name sqlite"),
    ("cache outside", "the backup's cache is '../cache', must lie below the root"),
    ("unknown database", "catalogue"),
]


@pytest.mark.parametrize(("how", "words"), BROKEN, ids=[how for how, _ in BROKEN])
def test_damaged_backup_is_refused_and_nothing_changes(
    saved: Path, enter: Enter, tmp_path_factory: pytest.TempPathFactory, how: str, words: str
) -> None:
    root = enter(tmp_path_factory.mktemp("new"))
    _break(saved, how)
    with pytest.raises(ValueError, match=words):
        restore(saved)
    assert _state(root) == {}
