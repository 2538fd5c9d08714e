"""What may not be said may not stand in a clean folder as typed text either."""

import dataclasses
from pathlib import Path

from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.items import Dialogue, Turn, open_dialogues
from moss_speech.corpus.passages import Passage, Piece, open_passages, write_passages
from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from moss_speech.storage import read_json, read_jsonl
from tests.bad_input.corpora import SmallCorpus, small_corpus, speech

_DEMO = load_section(Path(__file__).parents[2] / "presets" / "demo.yaml", "clean", Clean)
P = _DEMO.model_copy(
    update={"personal_data": "reject", "sample": 0, "max_reject_share": 1.0, "threads": 1}
)

HELD_OUT = "the quick brown fox jumps over the lazy dog and runs away"
NEAR = HELD_OUT.replace("lazy", "sleepy").capitalize() + "!"


def turns(asked: str, answered: str) -> Dialogue:
    """A dialogue of one exchange whose turns name the recordings u0 and u1."""
    said = (Turn("user", asked, ("u0",)), Turn("assistant", answered, ("u1",)))
    return Dialogue("d", "train", said, {"source": "calls"})


def cleaned(corpus: SmallCorpus) -> tuple[Path, dict[str, str]]:
    """The clean folder, and why each rejected thing is gone."""
    out = corpus.root / "out"
    out.mkdir()
    clean_corpus(corpus.write(), corpus.root, P, 1, out, corpus.root / "blocks")
    return out, {row["id"]: row["reason"] for row in read_jsonl(out / "rejects.jsonl")}


def test_what_was_rejected_as_a_leak_does_not_come_back_as_typed_text(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path)
    corpus.say("u0", speech(HELD_OUT, "kal16"), text=NEAR, role="question")
    held_out = {"speaker": "bob", "voice_split": "test", "text_split": "test"}
    corpus.say("t", speech(HELD_OUT, "slt"), text=HELD_OUT, role="question", **held_out)
    spoken = turns("something else was typed", "it is green")
    typed = dataclasses.replace(turns(NEAR, "it is green"), id="typed")
    corpus.dialogues += [spoken.to_json(), typed.to_json()]
    out, reasons = cleaned(corpus)
    assert reasons == dict.fromkeys(("u0", "d", "typed"), "wording leak")
    assert open_dialogues(out) == []


def test_a_typed_question_of_the_test_is_held_out_of_training(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path)
    corpus.say("read", speech(HELD_OUT, "kal16"), text=NEAR)
    held_out = dataclasses.replace(turns(HELD_OUT, "yes"), id="t", split="test")
    allowed = dataclasses.replace(turns("who runs", "yes"), id="fine")
    corpus.dialogues += [d.to_json() for d in (turns(NEAR, "yes"), held_out, allowed)]
    out, reasons = cleaned(corpus)
    assert reasons == dict.fromkeys(("read", "d"), "wording leak")
    assert [d.id for d in open_dialogues(out)] == ["t", "fine"]


def test_a_sentence_that_may_not_stay_is_cut_out_of_its_passage(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path)
    sentences = ("So it began.", "Mail jane@example.org now.", NEAR, "And so it ended.")
    held_out = dataclasses.replace(turns(HELD_OUT, "yes"), id="t", split="test")
    corpus.dialogues.append(held_out.to_json())
    pieces = tuple(map(Piece, sentences))
    write_passages(corpus.write(), [Passage("p", "train", "en", "web", pieces)])
    out, reasons = cleaned(corpus)
    assert reasons == {"p-001": "personal data", "p-002": "wording leak"}
    assert "jane" not in (out / "rejects.jsonl").read_text()
    left = [[piece.text for piece in part.pieces] for part in open_passages(out)]
    assert left == [[sentences[0]], [sentences[3]]]
    counted = read_json(out / "summary.json")["sentences"]["rejected"]
    assert counted == {"personal data": 1, "wording leak": 1}
