"""Recordings of what clients say and hear, where an operator asks for them: `MOSS_RECORD`.

    recordings/DATE/TIME-ID/   heard.flac said.flac turn.json    one folder a turn, files mode 0600

`turn.json` is one line of JSON with ids, times and the model's version. A turn of text has its text
there. Folders appear whole or not at all, are written by a thread of their own, and are deleted
after `MOSS_RECORD_DAYS`. A client refuses with `?store=false` in the address, or `"store": false`
in the body where it has that field.
"""

import io
import json
import logging
import queue
import secrets
import shutil
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

from moss_speech.audio import Samples, write_audio
from moss_speech.settings import Settings
from moss_speech.storage import fresh_dir
from services.access.callers import Caller
from services.ids import Ids
from services.served import ModelInfo

_log = logging.getLogger(__name__)
FOLDER = "recordings"
MAX_WAITING = 64
"""Turns that wait to be written; a disk that is slower loses the next."""
DAY_S = 86_400


@dataclass(frozen=True)
class Sound:
    """Mono audio with its rate."""

    samples: Samples
    rate_hz: int


@dataclass(frozen=True)
class RecordedTurn:
    """A question and its answer, as sound or text; the ids are those of the log."""

    ids: Ids
    caller: Caller
    model: ModelInfo
    finish: str
    heard: Sound | str | None
    said: Sound | str | None


def may_record(connection: HTTPConnection, store: bool | None = None) -> bool:
    """Whether a client lets its turns be recorded; `store` is the field of its body."""
    return store is not False and connection.query_params.get("store") != "false"


def open_recorder(chosen: Settings) -> "Recorder | None":
    """The recorder that the settings ask for; None records nothing."""
    return Recorder(chosen.root / FOLDER, chosen.record_days) if chosen.record else None


class Recorder:
    """Writes turns below a folder and deletes old ones, both outside the event loop."""

    def __init__(self, folder: Path, days: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._days = folder, days
        self._waiting: queue.Queue[tuple[RecordedTurn, datetime] | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def turn(self, turn: RecordedTurn) -> None:
        """Write a turn soon; returns at once."""
        try:
            self._waiting.put_nowait((turn, datetime.now(UTC)))
        except queue.Full:
            _log.warning("the disk is too slow: a turn is not recorded")

    def close(self) -> None:
        """Write what waits."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        purge_at = 0.0
        while True:
            try:
                if time.monotonic() >= purge_at:
                    purge_at = time.monotonic() + DAY_S
                    purge(self._folder, datetime.now(UTC).date() - timedelta(days=self._days))
                item = self._waiting.get(timeout=max(0.0, purge_at - time.monotonic()))
                if item is None:
                    return
                write_turn(self._folder, *item)
            except queue.Empty:
                continue
            except Exception:  # one turn, or a folder that is away, must not end the thread
                _log.exception("a turn could not be recorded, or old ones not deleted")


def write_turn(folder: Path, turn: RecordedTurn, at: datetime) -> None:
    """Write one turn's folder, whole or not at all."""
    day = folder / f"{at:%F}"
    for private in (folder, day):
        private.mkdir(mode=0o700, exist_ok=True)
    facts: dict[str, Any] = {
        "ids": dict(turn.ids),
        "caller": {"id": turn.caller.id, "name": turn.caller.name},
        "model": asdict(turn.model),
        "ended_at": at.isoformat(),
        "finish": turn.finish,
    }
    with fresh_dir(day / f"{at:%H%M%S}-{secrets.token_hex(6)}") as partial:
        for name in ("heard", "said"):
            facts[name] = _written(partial / f"{name}.flac", getattr(turn, name))
        line = json.dumps(facts, ensure_ascii=False) + "\n"
        _write_private(partial / "turn.json", line.encode())


def _written(path: Path, what: Sound | str | None) -> dict[str, Any] | None:
    """Write sound; returns what turn.json says of it."""
    if not isinstance(what, Sound):
        return None if what is None else {"text": what}
    file = io.BytesIO()
    write_audio(file, what.samples, what.rate_hz, format="FLAC")
    _write_private(path, file.getvalue())
    return {"file": path.name, "seconds": round(what.samples.size / what.rate_hz, 3)}


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def purge(folder: Path, oldest: date) -> None:
    """Delete the days before `oldest`; leaves what is no day."""
    for path in folder.iterdir():
        try:
            is_old = date.fromisoformat(path.name) < oldest
        except ValueError:
            continue
        if is_old:
            shutil.rmtree(path, ignore_errors=True)
