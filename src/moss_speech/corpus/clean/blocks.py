"""Long work over utterances in blocks whose results are files: a killed run goes on from them.

A block's file is named by its place and by what it was made from: utterances and the size and
time of their audio files, which may lie outside the folders that DVC watches.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from moss_speech.corpus.items import Utterance
from moss_speech.corpus.parallel import over_blocks
from moss_speech.params.clean import Clean
from moss_speech.records import report_progress
from moss_speech.storage import read_jsonl, write_jsonl

Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What every block is worked on with; `what` names it, in files and to people."""

    what: str
    function: Callable[[tuple[Utterance, ...], Path, Clean], list[Row]]
    """A row for each utterance, in order."""
    size: int
    """Utterances a block."""


@dataclass(frozen=True)
class _Block:
    file: Path
    utterances: tuple[Utterance, ...]


def _mark(u: Utterance, root: Path) -> list[str]:
    try:
        found = (root / u.audio).stat()
        state = f"{found.st_size} {found.st_mtime_ns}"
    except (OSError, ValueError) as error:
        state = type(error).__name__
    return [u.id, str(u.audio), str(u.span), str(u.channel), u.language, u.text, state]


def _blocks(
    work: Work, utterances: Iterable[Utterance], root: Path, folder: Path
) -> Iterator[_Block]:
    drawn = iter(utterances)
    number = 0
    while block := tuple(islice(drawn, work.size)):
        marks = json.dumps([_mark(u, root) for u in block]).encode()
        name = f"{work.what}-{number:06d}-{hashlib.sha256(marks).hexdigest()[:16]}.jsonl"
        yield _Block(folder / name, block)
        number += 1


def _write(block: _Block, work: Work, root: Path, p: Clean) -> int:
    own = block.file.with_suffix(f".{os.getpid()}")  # processes of a killed run may still write
    write_jsonl(own, work.function(block.utterances, root, p))
    own.replace(block.file)
    return len(block.utterances)


def over_utterances(
    work: Work, utterances: Iterable[Utterance], total: int, root: Path, p: Clean, folder: Path
) -> list[Path]:
    """Do the work on all utterances in `threads` processes; files of rows in their order.

    Blocks whose files lie in `folder` already are not done again.
    """
    files: list[Path] = []
    done = 0

    def missing() -> Iterator[_Block]:
        nonlocal done
        for block in _blocks(work, utterances, root, folder):
            files.append(block.file)
            if block.file.is_file():
                done += len(block.utterances)
            else:
                yield block

    write = partial(_write, work=work, root=root, p=p)
    for n_items in over_blocks(write, missing(), p.threads):
        done += n_items
        report_progress(done, total, work.what)
    return files


def rows_of(files: Iterable[Path]) -> Iterator[Row]:
    """The rows of all files, one file in memory at a time."""
    for file in files:
        yield from read_jsonl(file)
