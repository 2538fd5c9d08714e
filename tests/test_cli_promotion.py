"""Commands on the champion, without any server: promote, rollback, champions."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.verdict_items import last_items
from moss_speech.cli import app
from moss_speech.registry.promotion import champion
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.versions import (
    CHAMPION,
    approve,
    record_judged,
    register_candidate,
)
from tests.registry.candidates import BAD, GATES, GOOD, make_candidate, write_report
from tests.registry.candidates import promote as promote_tried
from tests.tiny_bundle import tiny_bundle
from tests.workspace import ROOT


@pytest.fixture
def root(store: Path) -> Iterator[Path]:
    """A project root whose params have the gates of these tests."""
    values = yaml.safe_load((ROOT / "presets/tiny.yaml").read_text())
    values["gates"] = GATES.model_dump()
    (store / "params.yaml").write_text(yaml.safe_dump(values))
    return store


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def register_real(root: Path, name: str) -> int:
    bundle = tiny_bundle(root / "tiny" / name, [name])
    return register_candidate(replace(make_candidate(name), bundle=bundle))


def test_promote_refuse_and_roll_back_from_the_shell(root: Path) -> None:
    assert run("champions").stdout == "no champion yet: `make train` trains and promotes one\n"
    first = register_real(root, "first")
    done = run("promote", str(first), "--by", "anna", "--why", "heard it")
    assert (done.exit_code, done.stdout[:20]) == (0, "version 1 promoted: "), done.stderr
    weak = register_candidate(make_candidate("weak", BAD))
    done = run("promote", str(weak), "--by", "bert")
    assert done.exit_code == 1
    assert "version 2 not promoted: s2s is 0.500" in done.stdout
    second = register_candidate(make_candidate("second"))
    promote_tried(second, "anna")
    done = run("rollback", "--by", "carl", "--why", "it stutters")
    assert done.stdout == "version 1 promoted: rolled back from version 3: it stutters\n"
    assert champion().version == first
    told = json.loads(run("champions", "--json").stdout)
    assert [(t["kind"], t["version"], t["result"], t["who"], t["why"]) for t in told] == [
        ("rollback", 1, "committed", "carl", "it stutters"),
        ("promote", 3, "committed", "anna", ""),
        ("promote", 2, "refused", "bert", ""),
        ("promote", 1, "committed", "anna", "heard it"),
    ]
    assert [t["is_champion"] for t in told] == [True, False, False, False]
    assert {key: told[2]["gates"][0][key] for key in ("gate", "met")} == {
        "gate": "s2s at least",
        "met": False,
    }


def test_promote_without_a_version_takes_the_approved_one(root: Path) -> None:
    done = run("promote")
    assert done.exit_code == 1
    assert "no version carries the alias 'approved'" in done.stderr
    approve(register_real(root, "first"))
    done = run("promote")
    assert done.exit_code == 0, done.stderr
    assert ", by the alias approved: s2s is 0.900" in run("champions").stdout


def test_rollback_without_an_earlier_champion_says_so(root: Path) -> None:
    done = run("rollback", "--by", "anna")
    assert (done.exit_code, done.stderr) == (
        1,
        "moss-speech: there is no earlier champion to go back to\n",
    )


def test_history_shows_edits_that_were_undone(root: Path) -> None:
    first, second = (register_candidate(make_candidate(name)) for name in ("first", "second"))
    promote_tried(first, "anna")
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(second))
    promote_tried(first, "anna")
    shown = run("champions").stdout.splitlines()
    assert len(shown) == 2
    assert "edit version 2 reverted, by a person: alias champion was moved to 2" in shown[0]
    assert shown[1].startswith("* ")


def test_figures_of_a_new_evaluation_count_for_a_registered_version(root: Path) -> None:
    made = make_candidate("first")
    version = register_candidate(made)
    write_report(root / "again", [0.5] * 4, question="who")
    assert record_judged(version, GOOD, root / "again") == 4
    with catalogue() as session:
        found = last_items(session, find_version(session, version).digest, "s2s")
    assert [item.value for item in found.values()] == [0.5] * 4


def test_judging_needs_the_data_of_the_project_root(root: Path) -> None:
    version = register_candidate(make_candidate("first"))
    shutil.rmtree(root / "data", ignore_errors=True)
    done = run("judge", str(version))
    assert done.exit_code == 1
    assert "data/corpus does not exist: run `make train` first" in done.stderr


def test_promotion_of_a_number_is_recorded_under_the_login_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "dora")
    weak = register_candidate(make_candidate("weak", BAD))
    run("promote", str(weak))
    run("promote", str(weak), "--by", "bert")
    approve(weak)
    run("promote")
    told = json.loads(run("champions", "--json").stdout)
    assert [t["who"] for t in told] == ["the alias approved", "bert", "dora"]
