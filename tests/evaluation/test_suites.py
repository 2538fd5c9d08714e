from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from moss_speech.evaluation.suites import Item, Suite, spread
from moss_speech.params.evaluate import ItemCounts
from tests.evaluation.corpus_values import FACTS, corpus

COUNTS = ItemCounts(hardest=100, cell=60, repeat=10, renditions=10, human=5, tokenizer=10, codec=4)
SPOKEN = [fact for fact, (_, _, taught) in FACTS.items() if taught == "speech"]


def questions(counts: ItemCounts = COUNTS) -> dict[str, list[Item]]:
    cells: dict[str, list[Item]] = {}
    for item in Suite(*corpus(), seed=1).questions(counts):
        cells.setdefault(item.cell, []).append(item)
    return cells


def test_hardest_cell_takes_unseen_voices_and_wordings_only():
    cell = questions()["s2s"]
    assert {i.utterance for i in cell} == {f"{fact}-w2-espeak-ng:m5" for fact in SPOKEN}


def test_gap_cells_take_the_same_questions():
    cells = questions(
        ItemCounts(hardest=2, cell=60, repeat=10, renditions=10, human=5, tokenizer=10, codec=4)
    )
    assert [i.utterance for i in cells["s2s"]] == [i.utterance for i in cells["s2t"]]
    assert len(cells["s2s"]) == 2


def test_each_cell_holds_out_what_its_name_says():
    cells = questions()
    assert {(i.voice, i.wording) for i in cells["s2s_voice"]} == {("espeak-ng:m5", "w0")}
    assert {(i.voice, i.wording) for i in cells["s2s_wording"]} == {("espeak-ng:m1", "w2")}
    assert {(i.voice, i.wording) for i in cells["s2s_synthesizer"]} == {("flite:slt", "w2")}
    assert {(i.voice, i.wording) for i in cells["t2s"]} == {("typed", "w2")}


def test_no_cell_reads_the_dev_split():
    items = [item for cell in questions().values() for item in cell]
    assert not any("f9" in item.voice or item.wording == "w1" for item in items)


def test_facts_taught_in_text_are_asked_apart_with_chance_of_their_category():
    cells = questions()
    assert {i.fact for i in cells["text_only_s2s"]} == {"snow"}
    assert {i.chance for i in cells["text_only_s2s"]} == {1 / 3}
    assert "snow" not in {i.fact for name in ("s2s", "t2s", "s2t") for i in cells[name]}
    assert "snow" in {i.fact for i in cells["t2t"]}


def test_unspoken_answers_are_those_no_training_audio_says():
    assert {i.expected for i in questions()["unspoken_answer_t2s"]} == {"it is white"}


def test_repeats_use_word_strings_never_trained():
    items = Suite(*corpus(), seed=1).repeats(10)
    assert {(i.cell, i.expected) for i in items} == {
        ("repeat_s2s", "bus cake"),
        *(
            (cell, text)
            for cell in ("read_aloud", "dictation")
            for text in ("tree one", "tree two")
        ),
    }


def test_words_to_repeat_are_no_answers_to_questions():
    suite = Suite(*corpus(), seed=1)
    assert suite.answers == sorted({answer for _, answer, _ in FACTS.values()})
    assert not any("repeat" in i.question for i in suite.questions(COUNTS))


def test_renditions_are_held_out_answers_of_the_assistant():
    assert {u.id for u in Suite(*corpus(), seed=1).renditions(10)} == {f"{f}-a1" for f in SPOKEN}


def test_hearing_rows_name_what_is_unseen():
    rows = Suite(*corpus(), seed=1).hearing(100)
    assert {name: len(found) for name, found in rows.items()} == {
        "voice": 4,
        "wording": 4,
        "both": 4,
        "synthesizer": 8,
        "salad": 2,
        "human": 1,
    }


def test_equal_seeds_draw_equal_items_and_others_do_not():
    utterances, dialogues = corpus()
    few = ItemCounts(hardest=2, cell=2, repeat=1, renditions=1, human=1, tokenizer=1, codec=1)
    draws = [Suite(utterances, dialogues, seed).questions(few) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers()), max_size=40),
    st.integers(0, 40),
    st.integers(0, 9),
)
def test_spread_takes_groups_evenly(pool, n, seed):
    drawn = spread([(g, (g, i, x)) for i, (g, x) in enumerate(pool)], n, seed)
    assert len(drawn) == min(n, len(pool))
    taken, there = Counter(g for g, _, _ in drawn), Counter(g for g, _ in pool)
    most = max(taken.values(), default=0)
    assert all(taken[g] >= min(there[g], most - 1) for g in there)
