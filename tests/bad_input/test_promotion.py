"""Damaged and hostile input of gates, promotion and reproduction: refused by name and limit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from moss_speech.params.base import load_section
from moss_speech.params.gates import Gates
from moss_speech.registry.locked import read_lock, stages_to
from moss_speech.registry.promotion import promote, rollback
from moss_speech.registry.reproduction import Wanted, reproduce
from moss_speech.registry.versions import register_candidate
from moss_speech.storage import read_jsonl, write_jsonl
from tests.registry.candidates import GATES, make_candidate, write_report
from tests.registry.candidates import promote as promote_tried

Make = Callable[[Path], object]


def params(**changes: Any) -> Make:
    """Gates with changed keys; a dotted name (with __) changes one within."""

    def make(root: Path) -> object:
        values = GATES.model_dump()
        for name, value in changes.items():
            outer, _, inner = name.partition("__")
            if inner:
                values[outer][inner] = value
            else:
                values[outer] = value
        (root / "params.yaml").write_text(yaml.safe_dump({"gates": values}))
        return load_section(root / "params.yaml", "gates", Gates)

    return make


def report(change: Callable[[Path], None]) -> Make:
    """A candidate whose report was changed."""

    def make(root: Path) -> object:
        candidate = make_candidate("first")
        change(candidate.report)
        return register_candidate(candidate)

    return make


def rows(change: Callable[[list[Any]], list[Any]]) -> Make:
    def edit(folder: Path) -> None:
        write_jsonl(folder / "items.jsonl", change(read_jsonl(folder / "items.jsonl")))

    return report(edit)


def promoted(change: Callable[[Path], object]) -> Make:
    """The decision on a candidate whose bundle was changed after it was registered."""

    def make(root: Path) -> object:
        version = register_candidate(make_candidate("first"))
        (card,) = (root / ".moss" / "artifacts").rglob("bundle/*/card.json")
        change(card.parent)
        decision = promote_tried(version, "anna")
        assert decision.result == "refused"
        raise ValueError(decision.reason)

    return make


def lock(text: str) -> Make:
    return lambda root: stages_to(read_lock(text, "dvc.lock"), "models/bundle", "dvc.lock")


def _without_data(root: Path) -> object:
    version = register_candidate(replace(make_candidate("first"), dataset=None))
    raise ValueError(promote_tried(version, "anna").reason)


def _no_model(root: Path) -> object:
    """Real trial of a bundle without a model in it."""
    version = register_candidate(make_candidate("first"))
    raise ValueError(promote(version, "anna", GATES).reason)


def _no_recipe(root: Path) -> object:
    from moss_speech.catalogue.database import catalogue
    from moss_speech.catalogue.models import record_version

    with catalogue() as session:
        record_version(session, 7, "e" * 64, "run", None)
    return reproduce(Wanted(7), print)


def _no_lock(root: Path) -> object:
    return reproduce(Wanted(register_candidate(make_candidate("first"))), print)


def _other_items(root: Path) -> object:
    promote_tried(register_candidate(make_candidate("first")), "anna")
    other = make_candidate("second")
    write_report(other.report, [1.0] * 8, question="who")
    raise ValueError(promote_tried(register_candidate(other), "anna").reason)


def _no_items(root: Path) -> object:
    for name in ("first", "second"):
        made = make_candidate(name)
        (made.report / "items.jsonl").unlink()
        decision = promote_tried(register_candidate(made), "anna")
    raise ValueError(decision.reason)


KINDS: list[tuple[str, Make, str]] = [
    ("margin of 0", params(no_worse__margin=0.0), "gates.no_worse.margin is 0.0: .*than 0"),
    ("margin below 0", params(no_worse__margin=-0.03), "margin is -0.03"),
    ("margin above 1", params(no_worse__margin=3), "margin is 3: .*less than or equal to 1"),
    ("margin that is no number", params(no_worse__margin=float("nan")), "margin is nan"),
    ("margin in words", params(no_worse__margin="3 points"), "margin is '3 points'"),
    ("confidence of 1", params(no_worse__confidence=1.0), "confidence is 1.0: .*less than 1"),
    ("confidence in percent", params(no_worse__confidence=95), "confidence is 95"),
    ("no resamples", params(no_worse__resamples=0), "resamples is 0: .*100"),
    ("resamples without end", params(no_worse__resamples=10**9), "resamples is 1000000000"),
    ("nothing to compare", params(no_worse__figures=[]), r"figures is \[\]: .*at least 1 item"),
    ("no floor at all", params(at_least={}), "gates.at_least is {}"),
    ("floor above 1", params(at_least={"s2s": 1.2}), "at_least.s2s is 1.2: .*equal to 1"),
    ("ceiling below 0", params(at_most={"text.lost": -1.0}), "at_most.text.lost is -1.0"),
    ("ceiling without end", params(at_most={"x": float("inf")}), "at_most.x is inf: .*finite"),
    ("switch that is none", params(undeclared_sources="yes"), "undeclared_sources is 'yes'"),
    ("unknown key", params(no_worse__margn=0.1), "no_worse.margn is 0.1: Extra inputs"),
    ("time limit of 0", params(answers_within_s=0.0), "answers_within_s is 0.0"),
    ("items that are no JSON", report(lambda f: _put(f, "{")), "items.jsonl line 1 is not JSON"),
    ("items of another kind", rows(lambda r: [*r, {"cell": "s2s"}]), "line 9 is no item"),
    ("items that are lists", rows(lambda r: [[1, 2]]), "line 1 is no item"),
    ("an item twice", rows(lambda r: [*r, r[0]]), "has the item s2s s2s/0 twice"),
    (
        "an answer that nobody knows",
        rows(lambda r: [{**r[0], "expected": "perhaps"}]),
        "line 1 is no item of this report: KeyError.'perhaps'",
    ),
    ("report that is no JSON", report(lambda f: _put(f, "", "report.json")), "report.json is not"),
    ("weights cut short", promoted(lambda b: _cut(b)), "is damaged: .* must be"),
    ("weights gone", promoted(lambda b: (b / "lm/model.safetensors").unlink()), "is damaged"),
    ("file added", promoted(lambda b: (b / "x.pt").write_text("")), "is damaged"),
    ("folder gone", promoted(lambda b: b.rename(b.with_name("x"))), "has no bundle at"),
    ("data that nobody recorded", _without_data, "no data is recorded for it"),
    ("bundle without a model", _no_model, "the bundle does not answer: .*codec has no config.json"),
    ("other test data", _other_items, "8 items differ and 0 are the same"),
    ("no items at all", _no_items, "no items are recorded for either"),
    ("unknown version", lambda r: promote(9, "anna", GATES), "no model version 9; .* are none"),
    ("nothing to go back to", lambda r: rollback("anna"), "there is no earlier champion"),
    ("version without a recipe", _no_recipe, "version 7 was registered without its recipe"),
    ("version without a lock", _no_lock, "the dvc.lock of version 1 is no dvc.lock"),
    ("lock that is no YAML", lock("stages: ["), "dvc.lock is no dvc.lock: .*Error"),
    ("lock that is a list", lock("[1]"), "dvc.lock is no dvc.lock"),
    ("lock without a bundle", lock("stages: {}"), "no stage that makes models/bundle"),
    ("lock without digests", lock("stages: {a: {outs: [{path: x}]}}"), "KeyError 'md5'"),
    (
        "lock that runs in circles",
        lock(
            json.dumps(
                {
                    "stages": {
                        name: {
                            "deps": [{"path": f"data/{other}", "md5": "1"}],
                            "outs": [{"path": f"data/{name}", "md5": "1"}],
                        }
                        for name, other in (("a", "b"), ("b", "a"))
                    }
                }
            )
        ),
        "dvc.lock has stages that need each other",
    ),
]


def _put(folder: Path, text: str, name: str = "items.jsonl") -> None:
    (folder / name).write_text(text)


def _cut(bundle: Path) -> None:
    weights = bundle / "lm/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("make", "words"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_it_is_refused_with_name_value_and_limit(make: Make, words: str, store: Path) -> None:
    with pytest.raises(ValueError, match=words):
        make(store)
