"""What differs between two versions, on both databases."""

import pytest

from moss_speech.catalogue.changes import changes
from moss_speech.catalogue.data import SourceFacts, VerdictFacts, record_dataset
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.lineage import RunFacts, record_origin
from moss_speech.catalogue.models import record_evaluation, record_version

pytestmark = pytest.mark.usefixtures("catalogue_url")


def version(number: int, kept: str, rate: str, commit: str, s2s: float) -> None:
    """A version of utterances named by single letters."""
    digest = f"{number:064d}"
    with catalogue() as session:
        verdicts = [VerdictFacts(name, "anna", True) for name in kept]
        verdicts.append(VerdictFacts("z", "anna", False, "silence", "0", "> 0"))
        source = SourceFacts("team", "CC0-1.0", "signed", len(verdicts))
        data = record_dataset(session, f"{number}" * 64, [source], verdicts)
        row = record_version(session, number, digest, "run", data)
        run = RunFacts(f"r{number}", "pack", "f", commit, number > 1, {}, "", {"rate": rate})
        record_origin(session, row, [run], {"clean": data.digest}, {"lm": "a" * 64})
        record_evaluation(session, digest, {"accuracy": {"s2s": {"value": s2s}, "t2t": 1.0}})


def test_exactly_what_differs_is_told() -> None:
    version(1, "abc", "0.1", "c" * 40, 0.5)
    version(2, "bcde", "0.2", "d" * 40, 0.75)
    with catalogue() as session:
        found = {(c.area, c.name): (c.old, c.new) for c in changes(session, 1, 2)}
    assert found == {
        ("figure", "s2s"): ("0.5", "0.75"),
        ("source", "team"): ("4 utterances, CC0-1.0, signed", "5 utterances, CC0-1.0, signed"),
        ("data", "input clean"): ("1" * 12, "2" * 12),
        ("data", "kept utterances only here"): ("1", "2"),
        ("code", "pack"): ("c" * 12, "d" * 12 + " with edits"),
        ("param", "pack.rate"): ("0.1", "0.2"),
    }


def test_version_differs_in_nothing_from_itself_and_unknown_ones_are_refused() -> None:
    version(1, "abc", "0.1", "c" * 40, 0.5)
    with catalogue() as session:
        assert changes(session, 1, 1) == []
        with pytest.raises(ValueError, match=r"no model version 9; registered are \[1\]"):
            changes(session, 1, 9)
