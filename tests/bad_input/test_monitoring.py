"""Damaged and hostile recordings, canaries and limits of the monitor."""

import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from moss_speech.monitoring.canary import read_canaries
from moss_speech.monitoring.measures import measure
from moss_speech.monitoring.traffic import MAX_FACTS_BYTES, read_sound, read_traffic
from moss_speech.params.base import validate_section
from moss_speech.params.monitor import Monitor
from tests.monitoring.recorded import How, record
from tests.monitoring.test_watch import P

AT = datetime(2026, 5, 4, 8, tzinfo=UTC)


def edit(**changes: Any) -> Callable[[Path], None]:
    """Turn's facts with other values."""

    def make(turn: Path) -> None:
        facts = json.loads((turn / "turn.json").read_text())
        (turn / "turn.json").write_text(json.dumps({**facts, **changes}))

    return make


def line(content: bytes) -> Callable[[Path], None]:
    return lambda turn: (turn / "turn.json").write_bytes(content) and None


def sound(content: bytes) -> Callable[[Path], None]:
    return lambda turn: (turn / "heard.flac").write_bytes(content) and None


def nan_sound(turn: Path) -> None:
    soundfile.write(
        turn / "heard.flac", np.full(16000, np.nan, np.float32), 16000, "FLOAT", format="WAV"
    )


def long_sound(turn: Path) -> None:
    soundfile.write(turn / "heard.flac", np.zeros(8000 * 601, np.float32), 8000, format="FLAC")


def cut_off(turn: Path) -> None:
    path = turn / "heard.flac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def link_out(turn: Path) -> None:
    (turn / "heard.flac").unlink()
    (turn / "heard.flac").symlink_to("/etc/passwd")


def link_loop(turn: Path) -> None:
    (turn / "turn.json").unlink()
    (turn / "turn.json").symlink_to(turn / "turn.json")


def folder_for_sound(turn: Path) -> None:
    (turn / "heard.flac").unlink()
    (turn / "heard.flac").mkdir()


def pipe(turn: Path) -> None:
    (turn / "heard.flac").unlink()
    os.mkfifo(turn / "heard.flac")


TURNS: list[tuple[str, Callable[[Path], Any], str]] = [
    ("no line", lambda turn: (turn / "turn.json").unlink(), "no turn.json"),
    ("empty line", line(b""), "turn.json"),
    ("no json", line(b"{'ids': 1}"), "turn.json: the line: json_invalid"),
    ("not utf-8", line(b'{"ids": "\xff\xfe"}'), "turn.json: the line: json_invalid"),
    ("a list", line(b"[1, 2]"), "turn.json: the line: model_type"),
    ("nested without end", line(b"[" * 100_000), "turn.json: the line"),
    ("a line of megabytes", line(b" " * (MAX_FACTS_BYTES + 1)), "more than 1000000 bytes"),
    ("no time", edit(ended_at=None), "turn.json: ended_at"),
    ("a time without a zone", edit(ended_at="2026-05-04T08:00:00"), "ended_at: timezone_aware"),
    ("no model", edit(model={}), "turn.json: model.version: missing"),
    ("a session that is no name", edit(ids={"session": 7}), "turn.json: ids.session"),
    ("a path out of the folder", edit(heard={"file": "../../x.flac"}), "heard.file: literal"),
    ("an absolute path", edit(heard={"file": "/etc/passwd"}), "heard.file: literal"),
    ("the other one's sound", edit(heard={"file": "said.flac"}), "heard.flac is missing"),
    ("negative length", edit(heard={"file": "heard.flac", "seconds": -1}), "seconds: greater"),
    ("length of a year", edit(heard={"file": "heard.flac", "seconds": 3e7}), "seconds: less"),
    ("length NaN", line(b'{"ids": {}, "model": {"version": "1"}, "ended_at": '
     b'"2026-05-04T08:00:00Z", "said": null, "heard": {"file": "heard.flac", "seconds": NaN}}'),
     "seconds: "),
    ("sound missing", lambda turn: (turn / "heard.flac").unlink(), "heard.flac is missing"),
    ("link to a file outside", link_out, "heard.flac is missing or no file"),
    ("link to itself", link_loop, "no turn.json"),
    ("folder in place of sound", folder_for_sound, "heard.flac is missing or no file"),
    ("pipe in place of sound", pipe, "heard.flac is missing or no file"),
    ("sound of zero bytes", sound(b""), "heard.flac: "),
    ("text as sound", sound(b"hello, I am no sound" * 50), "heard.flac: "),
    ("sound cut off", cut_off, "heard.flac: "),
    ("NaN in the sound", nan_sound, "NaN or infinite"),
    ("sound of ten minutes", long_sound, "heard.flac: sound of more than 600 s"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "words"), TURNS, ids=[kind[0] for kind in TURNS])
def test_bad_turn_is_set_aside_with_its_reason_and_the_others_go_on(
    tmp_path: Path, name: str, make: Callable[[Path], Any], words: str
) -> None:
    record(tmp_path, 2, AT, How(), seed=1)
    bad, _ = sorted((tmp_path / f"{AT:%F}").iterdir())
    make(bad)
    traffic = read_traffic(tmp_path, AT - timedelta(days=1), AT + timedelta(days=1))
    reasons, n_read = Counter(traffic.set_aside), 0
    for turn in traffic.turns:
        try:
            n_read += read_sound(turn.heard or tmp_path).size > 0
        except ValueError as error:
            reasons[str(error)] += 1
    assert (n_read, sum(reasons.values())) == (1, 1), reasons
    assert words in next(iter(reasons)), reasons
    assert str(tmp_path) not in next(iter(reasons))


@pytest.mark.slow
def test_bad_turns_of_every_kind_leave_the_figures_of_the_others(tmp_path: Path) -> None:
    record(tmp_path, len(TURNS) + 3, AT, How(), seed=1)
    turns = sorted((tmp_path / f"{AT:%F}").iterdir())
    for (_, make, _), turn in zip(TURNS, turns, strict=False):
        make(turn)
    traffic = read_traffic(tmp_path, AT - timedelta(days=1), AT + timedelta(days=1))
    measured = measure(traffic.turns)
    assert (traffic.set_aside + measured.set_aside).total() == len(TURNS)
    assert len(measured.values["heard_lufs", ""]) == 3


CANARIES: list[tuple[str, bytes, str]] = [
    ("no json", b"{", "line 1 is not JSON"),
    ("not utf-8", b'{"id": "\xff"}', "line 1 is not JSON"),
    ("a number", b"7", "line 1"),
    ("unknown key", b'{"id": "a", "text": "hi", "answers": ["b"], "why": 1}', "why"),
    ("no answers", b'{"id": "a", "text": "hi", "answers": []}', "answers"),
    ("answers without words", b'{"id": "a", "text": "hi", "answers": ["?!"]}', "hold a word"),
    ("text without words", b'{"id": "a", "text": "...", "answers": ["b"]}', "must hold a word"),
    ("a long text", b'{"id": "a", "text": "' + b"x" * 501 + b'", "answers": ["b"]}', "text"),
    ("neither text nor audio", b'{"id": "a", "answers": ["b"]}', "either text or audio"),
    ("both", b'{"id": "a", "text": "hi", "audio": "x.wav", "answers": ["b"]}', "either text or"),
    ("audio missing", b'{"id": "a", "audio": "x.wav", "answers": ["b"]}', "'x.wav' is missing"),
    ("audio outside", b'{"id": "a", "audio": "../x.wav", "answers": ["b"]}', "must lie in"),
    ("audio that is none", b'{"id": "a", "audio": "canary.jsonl", "answers": ["b"]}', "audio"),
    ("one id twice", b'{"id": "a", "text": "hi", "answers": ["b"]}\n' * 2, "occurs twice"),
    ("no lines", b"", "holds 0 questions"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), CANARIES, ids=[kind[0] for kind in CANARIES])
def test_bad_canaries_are_refused_by_file_and_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / "canary.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=r"canary\.jsonl") as found:
        read_canaries(tmp_path / "canary.jsonl")
    assert words in str(found.value)


def test_missing_file_of_canaries_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.jsonl is missing: monitor\.canary must be"):
        read_canaries(tmp_path / "none.jsonl")


LIMITS: list[tuple[str, dict[str, Any], str]] = [
    ("no day", {"days": 0}, "monitor.days is 0"),
    ("too few turns", {"min_turns": 3}, "monitor.min_turns is 3"),
    ("a reference of nothing", {"reference_turns": 0}, "monitor.reference_turns is 0"),
    ("alarms always", {"false_alarms": 1.0}, "monitor.false_alarms is 1.0"),
    ("alarms never", {"false_alarms": 0.0}, "monitor.false_alarms is 0.0"),
    ("shift NaN", {"min_shift": float("nan")}, "monitor.min_shift is nan"),
    ("floor above all", {"canary_floor": 1.5}, "monitor.canary_floor is 1.5"),
    ("text for a switch", {"retrain": "yes"}, "monitor.retrain is 'yes'"),
    ("unknown key", {"retrian": True}, "monitor.retrian is True"),
]


@pytest.mark.parametrize(("name", "change", "words"), LIMITS, ids=[kind[0] for kind in LIMITS])
def test_limit_that_cannot_be_used_is_named(name: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="monitor") as found:
        validate_section({**P.model_dump(), **change}, Monitor, "monitor")
    assert words in str(found.value)


KINDS: list[tuple[str, Any, str]] = [*TURNS, *CANARIES, *LIMITS]
