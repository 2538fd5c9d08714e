import re
from pathlib import Path

import pytest

from moss_speech.audio import read_audio
from moss_speech.evaluation.names import scalars
from moss_speech.evaluation.report import latest_report, write_figures, write_views
from moss_speech.evaluation.run import Outcome, evaluate
from moss_speech.evaluation.scores import Record, figures
from moss_speech.evaluation.statistics import Sampling
from moss_speech.storage import read_json, read_jsonl, tree_digest
from tests.evaluation.workspace import make_workspace, small_params


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A random model, evaluated twice; the folders of both runs and the first outcome."""
    root = tmp_path_factory.mktemp("root")
    inputs, p = make_workspace(root), small_params()
    outcomes = []
    for name in ("first", "second"):
        out = root / "reports" / name
        out.mkdir(parents=True)
        outcomes.append(evaluate(inputs, p, 1, out))
        write_views(out, root, p)
    return root / "reports", outcomes[0]


def test_equal_seeds_give_equal_bytes(evaluated):
    reports, _ = evaluated
    assert tree_digest(reports / "first") == tree_digest(reports / "second")


def test_saved_records_rescore_to_the_reported_figures(evaluated):
    reports, _ = evaluated
    report = read_json(reports / "first/report.json")
    rows = read_jsonl(reports / "first/items.jsonl")
    records = [Record.from_json(row) for row in rows if row["cell"] != "t2t_before"]
    method = report["method"]
    how = Sampling(method["resamples"], method["confidence"], method["seed"])
    again = figures(records, report["answers"], how)
    assert {name: report[name] for name in again} == again


def test_judges_understand_true_answers_better_than_a_random_model(evaluated):
    _, outcome = evaluated
    found = outcome.report["accuracy"]
    assert found["ceiling"]["value"] >= 0.5 > found["s2s"]["value"]


def test_the_same_model_before_and_after_loses_no_item(evaluated):
    text = evaluated[1].report["text"]
    assert text["items_below"] == text["items_above"] == 0
    assert text["before"] == text["after"]
    assert text["logits_identical"] is True


@pytest.mark.parametrize("name", ["report.html", "codec.html"])
def test_page_needs_nothing_outside_itself(evaluated, name):
    page = (evaluated[0] / "first" / name).read_text()
    links = re.findall(r"""(?:src|href|action|data-audio)="([^"]*)""", page)
    assert any(link.startswith("data:audio/mpeg;base64,") for link in links)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "://" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)
    assert not re.search(r"@import|url\(", page)


def test_page_names_the_item_broken_on_purpose(evaluated):
    page = (evaluated[0] / "first/report.html").read_text()
    assert "salad0" in page
    assert "1 of the 1 items that were broken on purpose were caught" in page


def test_questions_are_kept_as_they_were_heard(evaluated):
    rows = read_jsonl(evaluated[0] / "first/items.jsonl")
    asked = [row for row in rows if row["question_audio"] is not None]
    assert asked
    for row in asked:
        heard = read_audio(evaluated[0] / "first" / row["question_audio"], 16000)
        assert 0.3 < heard.size / 16000 < 20


def test_gates_find_their_figures_in_metrics(evaluated, tmp_path):
    write_figures(tmp_path / "reports", evaluated[1])
    found = latest_report(tmp_path)
    for cell in (
        "t2t",
        "s2t",
        "t2s",
        "s2s",
        "s2s_voice",
        "s2s_wording",
        "text_only_s2s",
        "ceiling",
    ):
        assert {"value", "ci95", "n"} <= found["accuracy"][cell].keys()
    assert "codes" in found["accuracy"]["s2s"]
    assert set(found["latency"]) <= {"first_audio_s", "real_time_factor", "n", "codec"}
    assert found["latency"]["codec"].keys() == {"encode", "decode", "stream"}
    assert scalars(found)["accuracy/s2s"] == found["accuracy"]["s2s"]["value"]


def test_nothing_machine_dependent_is_kept(evaluated):
    kept = (evaluated[0] / "first/report.json").read_text()
    assert not re.search(r"latency|first_audio|/tmp/|20\d\d-\d\d-\d\d", kept)


def test_codec_page_plays_and_shows_every_sound(evaluated):
    page = (evaluated[0] / "first/codec.html").read_text()
    rows = read_jsonl(evaluated[0] / "first/codec-items.jsonl")
    assert {row["kind"] for row in rows} == {"truth", "whole", "stream"}
    assert page.count('data-audio="data:audio/mpeg') == len(rows)
    assert "data:image/png" in page
    for row in rows:
        assert (evaluated[0] / "first" / row["audio"]).is_file()


def test_codec_figures_reach_gates_tracker_and_summary(evaluated):
    report = evaluated[1].report
    named = scalars(report)
    assert {"speechmos", "pystoi", "speaker"} <= report["method"]["measures"].keys()
    assert named["codec/answers/assistant/truth/word_error"] <= 0.5
    assert named["codec/bits_per_s"] == 75
    summary = (evaluated[0] / "first/summary.md").read_text()
    assert "| streamed, code by code | " in summary


def test_summary_says_which_goals_are_met(evaluated):
    text = (evaluated[0] / "first/summary.md").read_text()
    assert re.search(r"\| typed → text \(`t2t`\) \| .* \| ✗ 0\.95 \|", text)


def test_a_root_without_evaluation_is_told_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="moss-speech train evaluate"):
        latest_report(tmp_path)
