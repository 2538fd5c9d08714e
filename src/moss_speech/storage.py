"""Files that are whole or absent: atomic folders and JSON, digests, an exclusive lock."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

_TEMPORARY = ".partial-"


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; a copy where the file system cannot. Links are followed."""
    source = source.resolve()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def copy_files(source: Path, target: Path) -> None:
    """Copy the files of a folder into another; folders within it are left out."""
    for path in sorted(p for p in source.iterdir() if p.is_file()):
        shutil.copyfile(path, target / path.name)


def require_new(target: Path) -> None:
    """Raise `ValueError` for a folder that holds something."""
    if target.exists() and any(target.iterdir()):
        raise ValueError(f"{target} is not empty, must be a new folder")


@contextmanager
def fresh_dir(target: Path) -> Iterator[Path]:
    """Yield an empty hidden sibling of `target` that replaces it if the block succeeds.

    If the block fails the sibling is removed and `target` stays as it was; what a killed
    process left behind is swept at the next start.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f"{_TEMPORARY}{target.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        for path in (*partial.rglob("*"), partial):
            _fsync(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    old = target.parent / f"{_TEMPORARY}old-{target.name}"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    _fsync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A stream into a file that is there, whole, when the block has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f"{_TEMPORARY}{path.name}"
    with partial.open("wb") as stream:
        yield stream
    _fsync(partial)
    partial.rename(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with writing(path) as stream:
        stream.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all; equal values give equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; a `ValueError` names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


@contextmanager
def jsonl_writer(path: Path) -> Iterator[Callable[[Any], None]]:
    """A function that adds a JSON value as a line; the file is whole or absent."""
    with writing(path) as stream:

        def write(row: Any) -> None:
            line = json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False)
            stream.write(f"{line}\n".encode())

        yield write


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, whole or not at all."""
    with jsonl_writer(path) as write:
        for row in rows:
            write(row)


def read_jsonl(path: Path) -> list[Any]:
    """Read one JSON value a line; a `ValueError` names file and line."""
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{path} line {number} is not JSON: {error}") from error
    return rows


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


class InUseError(RuntimeError):
    """Another process holds what this one needs alone."""


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold an OS lock on `path`; an `InUseError` names `what` if another process has it.

    The system releases the lock of a killed process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InUseError(f"{what} is in use by another process (lock {path})") from error
    try:
        yield
    finally:
        lock.release()
