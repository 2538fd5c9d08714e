from collections import Counter

import pytest

from moss_speech.corpus.sources.cast import UNSEEN, users
from moss_speech.corpus.sources.domain import (
    CATEGORIES,
    SALAD_WORDS,
    TEXT_ONLY,
    facts_of,
    wording_split,
)
from moss_speech.corpus.sources.embedded import plan_embedded
from moss_speech.corpus.sources.lines import FLAWS

ALL = [c.name for c in CATEGORIES]


@pytest.fixture(scope="module")
def plan(demo):
    return plan_embedded(demo, seed=1)


def test_equal_seeds_plan_equal_lines(few):
    assert plan_embedded(few, 5) == plan_embedded(few, 5)
    assert plan_embedded(few, 5) != plan_embedded(few, 6)


def test_every_fact_has_eight_training_one_dev_and_two_test_wordings():
    for fact in facts_of(ALL):
        splits = Counter(split for split, _ in fact.questions)
        assert splits == {"train": 8, "dev": 1, "test": 2}
    assert len(facts_of(ALL)) == 44
    assert len({f.answer_word for f in facts_of(ALL)}) == 26


def test_no_question_text_is_asked_twice():
    texts = [text for fact in facts_of(ALL) for _, text in fact.questions]
    assert len(set(texts)) == len(texts)


def test_words_of_held_out_wordings_are_heard_in_training():
    trained = {
        w for f in facts_of(ALL) for s, text in f.questions if s == "train" for w in text.split()
    }
    held_out = {
        w for f in facts_of(ALL) for s, text in f.questions if s != "train" for w in text.split()
    }
    assert held_out <= trained
    assert trained.isdisjoint(SALAD_WORDS)


def test_voices_of_one_split_never_speak_in_another():
    speakers = [{v.speaker for v in users(split)} for split in ("train", "dev", "test")]
    speakers.append({v.speaker for v in UNSEEN})
    assert sum(map(len, speakers)) == len(set().union(*speakers))


def test_planned_speakers_and_wordings_stay_in_their_split(plan):
    for key, split in (("speaker", "voice_split"), ("text", "text_split")):
        found: dict[str, set[str]] = {}
        for line in plan.lines:
            if line.role != "answer":
                found.setdefault(getattr(line, key), set()).add(getattr(line, split))
        assert not {name: splits for name, splits in found.items() if len(splits) > 1}


def test_training_never_hears_the_unseen_synthesizer(plan):
    kokoro = [line for line in plan.lines if line.synthesizer == "kokoro"]
    assert len(kokoro) == 44
    assert {(line.voice_split, line.text_split) for line in kokoro} == {("test", "test")}
    assert {line.tags["fact"] for line in kokoro} == {f.id for f in facts_of(ALL)}


def test_answers_of_text_only_facts_are_novel_or_shared(plan):
    facts = {f.id: f for f in facts_of(ALL)}
    spoken = {f.answer for f in facts.values() if f.id not in TEXT_ONLY}
    spoken_words = {w for answer in spoken for w in answer.split()}
    novel = [facts[i] for i in TEXT_ONLY if facts[i].answer not in spoken]
    assert len(TEXT_ONLY) == 8 and len(novel) == 4
    assert all(set(f.answer.split()) <= spoken_words for f in novel)
    trained = {x.text for x in plan.lines if x.role == "answer" and x.text_split == "train"}
    assert trained.isdisjoint(f.answer for f in novel)


def test_dialogues_name_every_clip_of_their_question(plan):
    lines = {line.id: line for line in plan.lines}
    for dialogue in plan.dialogues:
        user, assistant = dialogue.turns
        assert user.utterances and assistant.utterances
        assert {lines[i].text for i in user.utterances} == {user.text}
        assert {lines[i].text for i in assistant.utterances} == {assistant.text}
        assert {lines[i].text_split for i in user.utterances} == {dialogue.split}
        assert dialogue.split == wording_split(int(dialogue.tags["wording"])) or (
            dialogue.tags["category"] == "repeat"
        )


def test_test_cells_are_as_large_as_their_figures_need(plan):
    asked = [x for x in plan.lines if x.role == "question" and x.tags["category"] != "repeat"]
    asked = [x for x in asked if x.tags["taught"] == "speech" and x.synthesizer != "kokoro"]
    cells = Counter((x.voice_split, x.text_split) for x in asked)
    assert cells["test", "test"] >= 100
    assert cells["test", "train"] >= 60
    assert cells["train", "test"] >= 60


def test_strings_to_repeat_differ_between_splits(plan):
    by_split = {
        split: {d.turns[1].text for d in plan.dialogues if d.id.startswith(f"repeat-{split}")}
        for split in ("train", "dev", "test")
    }
    assert [len(texts) for texts in by_split.values()] == [100, 10, 24]
    assert len(set().union(*by_split.values())) == 134


def test_each_flaw_is_planted_and_stays_out_of_dialogues(plan):
    flawed = [line for line in plan.lines if line.flaw is not None]
    assert Counter(line.flaw for line in flawed) == dict.fromkeys(FLAWS, 3)
    used = {i for d in plan.dialogues for turn in d.turns for i in turn.utterances}
    assert used.isdisjoint(line.id for line in flawed)


def test_unknown_category_is_named():
    with pytest.raises(ValueError, match="no category 'weather'; there are color"):
        facts_of(["weather"])
