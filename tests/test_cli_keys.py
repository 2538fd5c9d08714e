"""Keys of the service at the command line, and whom `serve` lets in."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.keys import find_key
from moss_speech.cli import app
from moss_speech.settings import settings


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.stderr
    return done.stdout.strip()


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 1
    return done.stderr


def test_key_is_printed_once_and_opens_what_was_asked_for(project_root: Path) -> None:
    key = run("key", "add", "phone", "--scope", "chat", "--scope", "realtime", "--sessions", "0",
              "--requests-per-minute", "7", "--expires-days", "3")  # fmt: skip
    with catalogue() as session:
        row = find_key(session, key)
        assert row is not None
        assert (row.scopes, row.sessions, row.requests_per_minute) == (["chat", "realtime"], 0, 7)
        assert row.tokens_per_minute == settings().tokens_per_minute
    (listed,) = json.loads(run("key", "list", "--json"))
    assert (listed["name"], listed["state"]) == ("phone", "in use")
    assert key not in run("key", "list")
    assert key not in (project_root / ".moss" / "catalogue.db").read_bytes().decode("latin-1")


def test_key_that_names_nothing_opens_everything(project_root: Path) -> None:
    run("key", "add", "all")
    (listed,) = json.loads(run("key", "list", "--json"))
    assert listed["scopes"] == "chat,models,realtime,secrets,speech,transcriptions"
    assert listed["expires"] == "never"


def test_what_cannot_be_done_is_one_line(project_root: Path) -> None:
    assert "scope 'chats' must be one of realtime, chat" in refused(
        "key", "add", "a", "--scope", "chats"
    )
    assert "key name 'a b' must be 1 to 64 of" in refused("key", "add", "a b")
    run("key", "add", "a")
    assert "'a' exists or existed" in refused("key", "add", "a")
    assert "no key 'b' in use; there are a" in refused("key", "revoke", "b")
    assert run("key", "revoke", "a") == "a is revoked"
    assert "revoked" in run("key", "list")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "speech.example"])
def test_open_service_is_not_shown_to_other_machines_unless_told(
    project_root: Path, host: str
) -> None:
    assert "MOSS_AUTH=keys" in refused("serve", "--host", host)


def test_host_is_asked_for_keys_only_where_there_are_none(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moss_speech.doctor.require_port", _stop)
    with_keys, told = ("MOSS_AUTH", "keys"), ("--open-to-everybody",)
    assert "the port" in refused("serve")
    assert "the port" in refused("serve", "--host", "0.0.0.0", *told)
    monkeypatch.setenv(*with_keys)
    settings.cache_clear()
    assert "the port" in refused("serve", "--host", "0.0.0.0")


def _stop(port: int) -> None:
    raise ValueError("the port is asked for next")
