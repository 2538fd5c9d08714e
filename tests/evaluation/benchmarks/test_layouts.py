"""Tables as the published sets lay them out, read by descriptions like those of the reference."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from moss_speech.audio import write_audio
from moss_speech.evaluation.benchmarks.items import open_suite

HEAD = {"name": "set", "licence": "as published", "language": "en"}
STORY = (
    "InputStoryid,InputSentence1,InputSentence2,InputSentence3,InputSentence4,"
    "RandomFifthSentenceQuiz1,RandomFifthSentenceQuiz2,AnswerRightEnding\n"
    's1,One.,Two.,"Three, or more.",Four.,First end.,Second end.,2\n'
)


def opened(folder: Path, **about):
    (folder / "suite.yaml").write_text(yaml.safe_dump(HEAD | about, allow_unicode=True))
    return open_suite(folder).items


def sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, np.full(1600, 0.1, np.float32), 16000)


def test_story_cloze_in_text(tmp_path):
    (tmp_path / "cloze.csv").write_text(STORY)
    (item,) = opened(
        tmp_path,
        kind="choice",
        table={"file": "cloze.csv"},
        routes=["t2t"],
        labels=["1", "2"],
        counts="mean",
        item={
            "id": "{InputStoryid}",
            "context": "{InputSentence1} {InputSentence2} {InputSentence3} {InputSentence4}",
            "options": ["{RandomFifthSentenceQuiz1}", "{RandomFifthSentenceQuiz2}"],
            "right": "{AnswerRightEnding}",
        },
    )
    assert item.context.text == "One. Two. Three, or more. Four."
    assert [option.text for option in item.options] == ["First end.", "Second end."]
    assert item.right == 1


def test_story_cloze_in_speech_by_pairs_of_recordings(tmp_path):
    for name in ("7_correct", "7_incorrect"):
        sound(tmp_path / "wavs" / f"{name}.wav")
    (tmp_path / "ids.csv").write_text("id\n7\n")
    (item,) = opened(
        tmp_path,
        kind="choice",
        table={"file": "ids.csv"},
        routes=["s2s"],
        labels=["correct", "incorrect"],
        counts="mean",
        item={
            "id": "{id}",
            "options_audio": ["wavs/{id}_correct.wav", "wavs/{id}_incorrect.wav"],
            "right": "correct",
        },
    )
    assert item.context is None
    assert [o.audio.name for o in item.options] == ["7_correct.wav", "7_incorrect.wav"]
    assert item.right == 0


def test_mmlu_in_files_by_subject_without_a_header(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "law_test.csv").write_text('"What, now?",yes,no,maybe,never,C\n')
    (tmp_path / "test" / "art_test.csv").write_text("Who?,a,b,c,d,A\n")
    items = opened(
        tmp_path,
        kind="choice",
        table={
            "file": "test/*_test.csv",
            "header": ["question", "A", "B", "C", "D", "answer"],
        },
        routes=["t2t"],
        labels=list("ABCD"),
        counts="sum",
        item={
            "context": "{question}\nA. {A}\nB. {B}\nC. {C}\nD. {D}\nAnswer:",
            "options": list("ABCD"),
            "right": "{answer}",
        },
    )
    assert [item.id for item in items] == ["1", "2"]  # art before law
    assert items[1].context.text.startswith("What, now?\nA. yes\nB. no")
    assert items[1].right == 2


def test_cmmlu_with_chinese_columns(tmp_path):
    (tmp_path / "a.csv").write_text(",Question,A,B,C,D,Answer\n0,谁？,甲,乙,丙,丁,B\n", "utf-8-sig")
    (item,) = opened(
        tmp_path,
        kind="choice",
        language="zh",
        table={"file": "a.csv"},
        routes=["t2t"],
        labels=list("ABCD"),
        counts="mean",
        joint="",
        item={
            "context": "{Question}答案：",
            "options": ["{A}", "{B}", "{C}", "{D}"],
            "right": "{Answer}",
        },
    )
    assert (item.context.text, item.options[item.right].text) == ("谁？答案：", "乙")


@pytest.mark.parametrize(
    "answers", ['["Paris", "the city of Paris"]', "['Paris', 'the city of Paris']"]
)
def test_web_questions_with_a_list_in_a_cell(answers, tmp_path):
    sound(tmp_path / "audios" / "q1.wav")
    cell = answers.replace('"', '""')
    (tmp_path / "web.csv").write_text(f'question,answers,audio\nWhere?,"{cell}",q1.wav\n')
    (item,) = opened(
        tmp_path,
        kind="qa",
        table={"file": "web.csv"},
        routes=["s2t", "s2s"],
        item={
            "question": "{question}",
            "audio": "audios/{audio}",
            "answers": "{answers}",
        },
    )
    assert item.answers == ("Paris", "the city of Paris")
    assert item.said.audio == tmp_path / "audios" / "q1.wav"


def test_trivia_qa_with_aliases_inside_a_list_of_objects(tmp_path):
    rows = [{"q": "Who?", "answer": {"value": "Ann", "aliases": ["Anna", "Anne"]}}]
    (tmp_path / "trivia.json").write_text(json.dumps(rows))
    (item,) = opened(
        tmp_path,
        kind="qa",
        table={"file": "trivia.json"},
        routes=["t2t"],
        item={"question": "{q}", "answers": "{answer.aliases}"},
    )
    assert item.answers == ("Anna", "Anne")


def test_llama_questions_with_one_answer_a_row(tmp_path):
    (tmp_path / "llama.tsv").write_text("Questions\tAnswer\nWhich?\tThe moon\n")
    (item,) = opened(
        tmp_path,
        kind="qa",
        table={"file": "llama.tsv"},
        routes=["t2t"],
        item={"question": "{Questions}", "answers": ["{Answer}"]},
    )
    assert item.answers == ("The moon",)


def test_seed_tts_eval_list(tmp_path):
    sound(tmp_path / "wavs" / "u1.wav")
    sound(tmp_path / "prompt-wavs" / "p1.wav")
    (tmp_path / "meta.lst").write_text('u1|He said "hello.|prompt-wavs/p1.wav|What is new?\n')
    (item,) = opened(
        tmp_path,
        kind="codec",
        table={"file": "meta.lst", "header": ["utt", "prompt_text", "prompt_wav", "text"]},
        item={
            "id": "{utt}",
            "text": "{text}",
            "audio": "wavs/{utt}.wav",
            "prompt_text": "{prompt_text}",
            "prompt_audio": "{prompt_wav}",
        },
    )
    assert (item.id, item.text) == ("u1", "What is new?")
    assert item.said.audio == tmp_path / "wavs" / "u1.wav"
    assert item.prompt.audio == tmp_path / "prompt-wavs" / "p1.wav"


def test_instructions_with_checks_in_a_cell(tmp_path):
    rows = [{"q": "List it.", "checks": [{"kind": "form", "form": "bullets"}]}]
    (tmp_path / "i.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (item,) = opened(
        tmp_path,
        kind="instructions",
        table={"file": "i.jsonl"},
        routes=["t2t"],
        item={"question": "{q}", "checks": "{checks}"},
    )
    assert item.checks[0].form == "bullets"


GOLD = {
    "kind": "choice",
    "table": {"file": "gold.csv", "pairs": {"by": ["id", "voice"], "correct": "correct"}},
    "routes": ["s2s"],
    "labels": ["right", "wrong"],
    "counts": "mean",
    "item": {
        "id": "{id}-{voice}",
        "voice": "{voice}",
        "options_audio": ["{right.filename}.wav", "{wrong.filename}.wav"],
        "right": "right",
    },
}


def test_minimal_pairs_in_rows_of_their_own(tmp_path):
    for name in ("aa", "bb", "cc", "dd"):
        sound(tmp_path / f"{name}.wav")
    lines = ("id,filename,voice,correct", "1,aa,A,0", "1,bb,A,1", "1,cc,B,1", "1,dd,B,0")
    (tmp_path / "gold.csv").write_text("\n".join(lines))
    items = opened(tmp_path, **GOLD)
    assert [item.id for item in items] == ["1-A", "1-B"]
    assert [o.audio.stem for o in items[0].options] == ["bb", "aa"]
    assert [item.options[0].voice for item in items] == ["A", "B"]
    assert {item.right for item in items} == {0}
