"""Damaged and hostile input of the catalogue's part: consents, withdrawals, questions, backups."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.catalogue.consents import Whose
from moss_speech.cli.main import app
from moss_speech.corpus.clean.withdrawn import FILE, read_withdrawn
from moss_speech.registry.backup import MANIFEST, verify_backup
from moss_speech.storage import file_digest, write_bytes, write_json

pytestmark = pytest.mark.usefixtures("project_root")
Make = Callable[[Path], None]


def _lines(content: bytes) -> Make:
    def make(folder: Path) -> None:
        write_bytes(folder / FILE, content)
        read_withdrawn(folder / FILE)

    return make


def _row(**row: object) -> Make:
    rows = ({"source": None, "speaker": "x"}, row)
    return _lines("\n".join(map(json.dumps, rows)).encode())


def _command(*words: str) -> Make:
    def make(folder: Path) -> None:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, SystemExit), done.exception
        raise ValueError(done.output)

    return make


def _name(source: str | None, speaker: str | None) -> Make:
    def make(folder: Path) -> None:
        Whose(source, speaker)

    return make


def _backup(change: Callable[[Path, dict[str, object]], None]) -> Make:
    def make(folder: Path) -> None:
        saved = folder / "saved"
        write_bytes(saved / "mlflow.db", b"x" * 100)
        sealed = {"bytes": 100, "sha256": file_digest(saved / "mlflow.db")}
        manifest: dict[str, object] = {
            "format_version": 1, "made_at": "now", "catalogue": "sqlite", "mlflow": "sqlite",
            "artifacts": "file:///a", "files": {"mlflow.db": sealed},
        }  # fmt: skip
        write_json(saved / MANIFEST, manifest)
        verify_backup(saved)
        change(saved, manifest)
        verify_backup(saved)

    return make


def _manifest(**more: object) -> Make:
    return _backup(lambda saved, manifest: write_json(saved / MANIFEST, manifest | more))


SEALED = {"bytes": 1, "sha256": "0" * 64}
KINDS: list[tuple[str, Make, str]] = [
    ("withdrawal that is no JSON", _lines(b"{\n"), "line 1 is not JSON"),
    ("withdrawal that is a list", _lines(b"[]\n"), "line 1 is [], must be an object"),
    ("withdrawal of nobody", _row(source=None), "line 2 names neither source nor speaker"),
    ("withdrawal with an unknown key", _row(spaeker="anna"), "line 2 is {'spaeker'"),
    ("withdrawal of a number", _row(speaker=7), "line 2: speaker is 7, must be a name"),
    ("withdrawal of an empty name", _row(speaker=" "), "line 2: speaker is ' '"),
    ("withdrawal of a list", _row(source=["a"]), "line 2: source is ['a']"),
    ("withdrawals in another encoding", _lines("é".encode("utf-16")), f"{FILE} line 1 is not JSON"),
    ("withdrawals that are missing", lambda folder: read_withdrawn(folder / FILE), FILE),
    ("consent of nobody", _name(None, None), "name a speaker, a source or both"),
    ("speaker without a name", _name(None, ""), "speaker is '', must be 1 to 200"),
    ("speaker with a line break", _name(None, "a\nb"), "printable"),
    ("speaker with a terminal's escape", _name(None, "\x1b[2J"), "printable"),
    ("source with a zero byte", _name("a\x00", None), "source is 'a\\x00'"),
    ("speaker of a megabyte", _name(None, "a" * 1_000_000), "aaa…"),
    ("forget nobody", _command("forget"), "name a speaker, a source or both"),
    ("forget an unknown speaker", _command("forget", "--speaker", "x"), "has a speaker 'x'"),
    ("forget an unknown source", _command("forget", "--source", "x"), "has a source 'x'"),
    ("question about nobody", _command("lineage", "heard"), "name a speaker"),
    ("answer without words", _command("lineage", "origin", "1", "--text", ""), "--text"),
    ("unknown version", _command("lineage", "origin", "9", "--text", "a"), "no model version 9"),
    ("changes of an unknown version", _command("lineage", "changed", "1", "2"), "no model"),
    ("answer that was not recorded", _command("lineage", "origin", "--response", ".."), "no rec"),
    ("restore of nothing", _command("restore", "nowhere"), "is no backup"),
    ("backup without a manifest", _backup(lambda s, m: (s / MANIFEST).unlink()), "is missing"),
    ("manifest that is no JSON", _backup(lambda s, m: write_bytes(s / MANIFEST, b"{")), "JSON"),
    ("manifest with an unknown key", _manifest(extra=1), "extra"),
    ("manifest of a later version", _manifest(format_version=2), "must be 1"),
    ("manifest of an unknown database", _manifest(mlflow="oracle"), "mlflow"),
    ("manifest with a path outside", _manifest(files={"../x": SEALED}), "../x is missing"),
    ("manifest with a short digest", _manifest(files={"a": {"bytes": 1, "sha256": "0"}}), "sha256"),
    ("file cut short", _backup(lambda s, m: os.truncate(s / "mlflow.db", 9)), "not what was"),
    ("file of other bytes", _backup(lambda s, m: write_bytes(s / "mlflow.db", b"y" * 100)), "not"),
    ("file missing", _backup(lambda s, m: (s / "mlflow.db").unlink()), "mlflow.db is missing"),
    ("file too many", _backup(lambda s, m: write_bytes(s / "cache/x", b"")), "does not belong"),
    ("link to a file", _backup(lambda s, m: (s / "x").symlink_to("/etc/passwd")), "x is a link"),
    ("link to a folder", _backup(lambda s, m: (s / "x").symlink_to("/etc")), "x is a link"),
    ("link to itself", _backup(lambda s, m: (s / "x").symlink_to("x")), "x is a link"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_bad_input_is_refused_with_what_is_wrong(make: Make, words: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError)) as refusal:
        make(tmp_path)
    assert words in str(refusal.value)
