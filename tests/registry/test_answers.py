"""Which data an answer came from, and the commands that ask the catalogue."""

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.cli.main import app
from moss_speech.corpus.items import Dialogue, Turn
from moss_speech.registry.answers import Question, answer_origin, recorded_answer
from moss_speech.registry.lineage import record_data
from moss_speech.registry.versions import register_candidate
from moss_speech.storage import write_json, write_jsonl
from tests.registry.candidates import make_candidate, promote

RUN = CliRunner()


@pytest.fixture
def root(store: Path, corpus: Path, clean: Path) -> Path:
    """Version 1 learnt the words of one utterance and of a written dialogue."""
    turns = (Turn("user", "what is the capital of france"), Turn("assistant", "Paris."))
    held_out = (Turn("user", "secret question"), Turn("assistant", "secret answer"))
    dialogues = [Dialogue("d1", "train", turns), Dialogue("d2", "test", held_out)]
    write_jsonl(clean / "dialogues.jsonl", [d.to_json() for d in dialogues])
    made = dataclasses.replace(make_candidate("first"), dataset=record_data(corpus, clean))
    register_candidate(made)
    return store


def test_nearest_training_texts_are_found_with_their_owners(root: Path) -> None:
    spoken = answer_origin(Question(1, "A words"), root / "data/clean", 1)
    assert spoken.searched
    (near,) = spoken.nearest
    assert (near.text, near.items, near.speakers) == ("a word", ("good",), ("espeak:f1",))
    written = answer_origin(Question(1, "Paris!"), root / "data/clean", 1).nearest[0]
    assert (written.likeness, written.items) == (1.0, ("dialogue d1",))


def test_held_out_words_are_no_training_texts(root: Path) -> None:
    found = answer_origin(Question(1, "secret answer"), root / "data/clean", 100)
    assert "secret answer" not in {near.text for near in found.nearest}


def test_other_data_in_the_project_are_not_searched(root: Path) -> None:
    write_jsonl(root / "data/clean/rejects.jsonl", [])
    found = answer_origin(Question(1, "a word"), root / "data/clean", 5)
    assert (found.searched, found.nearest) == (False, ())
    assert len(found.datasets) == 1


def test_recorded_answer_is_found_by_its_id(root: Path) -> None:
    def keep(name: str, version: str, said: dict[str, str]) -> None:
        turn = {"ids": {"response": name}, "model": {"version": version}, "said": said}
        write_json(root / f"recordings/2026-05-01/{name}/turn.json", turn)

    keep("resp_1", "1", {"text": "Paris."})
    keep("resp_2", "1", {"file": "said.flac"})
    keep("resp_3", "local", {"text": "Paris."})
    assert recorded_answer(root, "resp_1") == Question(1, "Paris.")
    with pytest.raises(ValueError, match="resp_2 was spoken: listen to"):
        recorded_answer(root, "resp_2")
    with pytest.raises(ValueError, match="'local', which is no registered version"):
        recorded_answer(root, "resp_3")
    with pytest.raises(ValueError, match="no recorded answer 'resp_4'"):
        recorded_answer(root, "resp_4")


def said(*command: str) -> str:
    done = RUN.invoke(app, ["lineage", *command])
    assert done.exit_code == 0, done.output
    return done.output


def test_commands_tell_who_heard_decided_and_served(root: Path) -> None:
    promote(1, "anna")
    assert said("heard", "espeak:f1").startswith("version 1  data ")
    assert said("heard", "espeak:f2") == "no version heard speaker espeak:f2\n"
    assert "promote of version 1 by anna: committed; s2s is 0.900" in said("decisions")
    assert said("decisions", "7") == "nothing was decided yet\n"
    assert said("deployments") == "nothing was served yet\n"
    assert "'a word'  1 items, first good" in said("origin", "1", "--text", "a word")
    row = json.loads(said("origin", "1", "--text", "a word", "--json"))
    assert row["nearest"][0]["likeness"] == 1.0
    register_candidate(dataclasses.replace(make_candidate("second"), dataset=None))
    assert "source  voices: 2 utterances" in said("changed", "1", "2")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["heard"], "name a speaker, a source or both"),
        (["heard", ""], "must be 1 to 200 printable"),
        (["origin", "1"], "name a version and its answer"),
        (["origin", "1", "--text", "  "], "name a version and its answer"),
        (["origin", "9", "--text", "a"], "no model version 9"),
        (["origin", "--response", "resp_9"], "no recorded answer 'resp_9'"),
        (["changed", "1", "9"], "no model version 9"),
    ],
)
def test_unusable_question_is_refused_in_one_line(
    root: Path, command: list[str], words: str
) -> None:
    done = RUN.invoke(app, ["lineage", *command])
    assert done.exit_code == 1
    assert words in done.output
    assert "Traceback" not in done.output
