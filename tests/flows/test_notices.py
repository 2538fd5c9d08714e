"""What flows tell a team, with a real server, registry and receiver."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows._notices import TOLD, untold_verdicts
from moss_speech.registry.promotion import rollback
from moss_speech.registry.store import tracking_client
from moss_speech.registry.versions import register_candidate
from tests.receiver import Receiver
from tests.registry.candidates import BAD, make_candidate, promote, register

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow(name="verdicts", **TOLD)
def verdicts() -> State[Any]:
    """Two candidates, one of them bad; then back, and a direct edit undone."""
    first, second = register("first", "second")
    bad = register_candidate(make_candidate("bad", BAD))
    for version in (first, second, bad):
        promote(version, "test")
    rollback("test")
    tracking_client().set_registered_model_alias("moss-speech", "champion", str(bad))
    return Completed(message=str(promote(first, "test")))


@flow(name="fails", **TOLD)
def fails() -> State[Any]:
    """Ends with words of its own."""
    return Failed(message="stage b: n is broken")


@flow(name="raises", **TOLD)
def raises() -> None:
    """Ends with an error."""
    raise ValueError("no version carries the alias")


def test_every_verdict_of_a_run_is_told_once_and_in_order(receiver: Receiver) -> None:
    verdicts()
    told = [(notice["kind"], notice["version"]) for notice in receiver.notices]
    assert told == [
        ("promoted", 1),
        ("promoted", 2),
        ("refused", 3),
        ("rolled back", 1),
        ("reverted", 3),
    ]
    assert "s2s is 0.500, must be at least 0.800" in receiver.notices[2]["reason"]
    assert receiver.notices[0]["links"]["run"].startswith("http://")
    assert receiver.notices[0]["run"].startswith("verdicts/")


def test_earlier_verdicts_are_not_told_again(receiver: Receiver) -> None:
    (version,) = register("first")
    promote(version, "test")
    with pytest.raises(ValueError, match="alias"):
        raises()
    fails(return_state=True)
    assert receiver.kinds == ["failed", "failed"]
    assert "no version carries the alias" in receiver.notices[0]["reason"]
    assert receiver.notices[1]["reason"] == "stage b: n is broken"


def test_run_ends_as_it_would_though_the_receiver_is_broken(
    receiver: Receiver, store: Path
) -> None:
    receiver.statuses = [404]
    assert verdicts(return_state=True).is_completed()
    assert len(receiver.bodies) == 5


def test_nothing_is_told_of_an_empty_catalogue(store: Path) -> None:
    assert untold_verdicts(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)) == []
