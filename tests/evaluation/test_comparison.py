"""Two runs item by item, and the page that shows it."""

import re
from pathlib import Path

import pytest

from moss_speech.evaluation.pages.paired import changes, differences
from moss_speech.evaluation.pages.report import page_name, report_markdown, report_page
from moss_speech.evaluation.pages.saved import Evaluation, open_evaluation
from moss_speech.evaluation.pages.subject import Subject
from tests.evaluation.saved import FIVE, record, write_evaluation, write_suite

BETTER = (
    record("t2s", 0, "it is green"),
    record("s2s", 1, "it is green"),
    record("s2s", 2, "it is blue"),
    record("s2s", 9, "it is green"),
    record("s2t", 3, "it is blue", reply="text"),
)


def opened(folder: Path, *, records=FIVE, **more) -> Evaluation:
    return open_evaluation(write_evaluation(folder, records, **more), folder)


def subjects(tmp_path: Path) -> list[Subject]:
    base, other = tmp_path / "base", tmp_path / "other"
    return [
        Subject("run a", opened(base), params={"lr": "1", "seed": "1"}),
        Subject("run b", opened(other, records=BETTER), params={"lr": "2", "seed": "1"}),
    ]


def test_differences_are_over_the_items_that_both_answered(tmp_path):
    found = {d.name: d for d in differences(*(s.evaluation for s in subjects(tmp_path)))}
    assert list(found) == ["s2t", "t2s", "s2s"], "t2t was asked in one run only"
    s2s = found["s2s"]
    assert (s2s.base, s2s.other, s2s.value) == (0.5, 0.5, 0.0)
    assert (s2s.n, s2s.n_apart, s2s.verdict) == (2, 1, "unclear")
    assert s2s.low < 0 < s2s.high
    t2s = found["t2s"]
    assert (t2s.value, t2s.low, t2s.high, t2s.verdict) == (1.0, 1.0, 1.0, "better")


def test_a_question_that_changed_its_words_has_no_partner(tmp_path):
    base, other = opened(tmp_path / "a"), opened(tmp_path / "b")
    rows = (tmp_path / "b/items.jsonl").read_text().replace("what color", "which color", 1)
    (tmp_path / "b/items.jsonl").write_text(rows)
    other = open_evaluation(tmp_path / "b", tmp_path)
    assert "t2s" in {d.name for d in differences(base, base)}
    assert "t2s" not in {d.name for d in differences(base, other)}


def test_less_word_error_is_better(tmp_path):
    wrong, right = record("read_aloud", 0, "oh no"), record("read_aloud", 0, "it is green")
    base = opened(tmp_path / "a", records=[*FIVE, wrong])
    other = opened(tmp_path / "b", records=[*FIVE, right])
    (found,) = [d for d in differences(base, other) if d.name == "read_aloud"]
    assert (found.base, found.other, found.value) == (1.0, 0.0, -1.0)
    assert found.verdict == "better"


def test_what_became_worse_comes_first(tmp_path):
    found = changes(*(s.evaluation for s in subjects(tmp_path)))
    assert [(c.base.id, c.gain) for c in found] == [("s2s/2", -1.0), ("s2s/1", 1.0), ("t2s/0", 1.0)]


def test_an_evaluation_does_not_differ_from_itself(tmp_path):
    same = opened(tmp_path / "a")
    assert changes(same, same) == []
    assert {d.value for d in differences(same, same)} == {0.0}


def test_page_shows_differences_changes_and_params(tmp_path):
    page = report_page(subjects(tmp_path))
    assert "run b against run a" in page
    assert re.findall(r"Became (worse|better) <span class=\"muted\">(\d)</span>", page) == [
        ("worse", "1"),
        ("better", "2"),
    ]
    assert '<td class="kind">lr</td>' in page
    assert '<td class="kind">seed</td>' not in page, "it is the same in both"
    assert "<grass>" not in page
    links = re.findall(r"""(?:src|href|action|data-audio)="([^"]*)""", page)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert page.count("data:audio/mpeg") >= 4


def test_markdown_names_both_runs_and_every_difference(tmp_path):
    text = report_markdown(subjects(tmp_path))
    assert "### run b against run a" in text
    assert re.search(r"\(`t2s`\) \| 0.% \| 100.% \| \+100 points \|.*\| better \|", text)
    assert "1 items became worse, 2 better." in text


def test_more_runs_are_each_held_against_the_first(tmp_path):
    three = [*subjects(tmp_path), Subject("run c", opened(tmp_path / "c"))]
    page = report_page(three)
    assert page.count("run c − run a") == 1
    assert page_name(three) == "run-c-against-run-b-against-run-a.html"
    with pytest.raises(ValueError, match="5 runs named, a comparison takes 2 to 4"):
        report_page([*three, Subject("d", opened(tmp_path / "d")), three[0]])


def test_outside_suite_is_shown_and_compared(tmp_path):
    rows = [{"id": str(n), "value": n % 2, "question": f"ask {n}", "text": "so"} for n in range(4)]
    better = [row | {"value": 1} for row in rows]
    both = [
        Subject(name, open_evaluation(write_suite(tmp_path / name, some), tmp_path))
        for name, some in (("a", rows), ("b", better))
    ]
    page = report_page(both[:1])
    assert "llama-questions" in page
    assert "answer in a word" in page
    assert "2 of 4 items were not right" in page
    (found,) = differences(*(s.evaluation for s in both))
    assert (found.value, found.n) == (0.5, 4)


def test_unlike_evaluations_are_not_compared(tmp_path):
    suite = write_suite(tmp_path / "suite", [{"id": "1", "value": True}])
    mixed = [subjects(tmp_path)[0], Subject("suite", open_evaluation(suite, tmp_path))]
    with pytest.raises(ValueError, match="llama-questions, moss-speech cannot be compared"):
        report_page(mixed)
