"""Damaged and hostile texts and instructions: dropped with a reason, or refused by name.

Each kind is a file beside which good rows stand; the good ones must go through.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moss_speech.corpus.synthesis.collect import plan
from moss_speech.corpus.synthesis.rows import MAX_ROW_BYTES, Dropped
from tests.synthesis.sources import instructions, texts

Make = Callable[[Path], Any]
"""Writes files below a root; returns the params of the source that reads them."""
GOOD = b'{"instruction": "is grass green", "output": "yes it is", "text": "It is.", "score": 5}\n'
HI = {"role": "user", "content": "hi"}
YES = {"role": "assistant", "content": "yes"}


def among(row: bytes | Any, **more: Any) -> Make:
    """A row of instructions between two good ones."""

    def make(folder: Path) -> Any:
        line = row if isinstance(row, bytes) else json.dumps(row).encode()
        second = GOOD.replace(b"grass", b"the sky")
        (folder / "rows.jsonl").write_bytes(GOOD + line + b"\n" + second)
        return instructions(**more)

    return make


def text(row: Any, **more: Any) -> Make:
    """A row of texts between two good ones."""

    def make(folder: Path) -> Any:
        among(row)(folder)
        return texts(**more)

    return make


def answer(output: str) -> Make:
    return among({"instruction": "say it", "output": output})


def file(name: str, content: bytes | None, **more: Any) -> Make:
    def make(folder: Path) -> Any:
        if content is not None:
            (folder / name).write_bytes(content)
        return instructions(path=name, **more)

    return make


def outside(folder: Path) -> Any:
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    return instructions(path="link.jsonl")


def loop(folder: Path) -> Any:
    (folder / "a.jsonl").symlink_to(folder / "b.jsonl")
    (folder / "b.jsonl").symlink_to(folder / "a.jsonl")
    return instructions(path="a.jsonl")


def params(**more: Any) -> Make:
    return lambda folder: instructions(**more)


DROPPED: list[tuple[str, Make, str]] = [
    ("no json", among(b"{oops"), "line 2', reason='json'"),
    ("cut off json", among(b'{"instruction": "a", "out'), "line 2', reason='json'"),
    ("deep json", among(b"[" * 200_000), "line 2', reason='json'"),
    ("latin-1 bytes", among(b'{"instruction": "caf\xe9", "output": "x"}'), "byte 0xe9"),
    ("utf-16 row", among('{"instruction": "a"}'.encode("utf-16")), "reason='encoding'"),
    ("row above 1 MB", among(b'{"instruction": "' + b"a" * MAX_ROW_BYTES + b'"}'), "row size"),
    ("list for an object", among([1, 2]), "reason='format', value='list'"),
    ("null row", among(b"null"), "value='NoneType'"),
    ("unknown keys", among({"prompt": "a", "reply": "b"}), "keys prompt, reply"),
    ("turns that are no list", among({"messages": "hi"}), "turns in a str"),
    ("turn without a role", among({"messages": [{"content": "a"}, YES]}), "with role and content"),
    ("turn that is text", among({"messages": ["a", "b"]}), "reason='turn'"),
    (
        "unknown role",
        among({"messages": [{"role": "judge", "content": "a"}, YES]}),
        "value='judge'",
    ),
    ("role that is a list", among({"messages": [{"role": [], "content": "a"}]}), "reason='role'"),
    ("two questions in a row", among({"messages": [HI, HI, YES]}), "user at turn 2"),
    ("answer first", among({"messages": [YES, HI]}), "assistant at turn 1"),
    ("question alone", among({"messages": [HI]}), "a question and an answer"),
    ("no turn", among({"conversations": []}), "reason='turns', value='0'"),
    ("only system", among({"messages": [{"role": "system", "content": "x"}]}), "reason='turns'"),
    (
        "picture in the content",
        among(
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
                    YES,
                ]
            }
        ),
        "parts that are no text",
    ),
    ("number as text", among({"instruction": 5, "output": "x"}), "reason='content', value='int'"),
    ("null answer", among({"instruction": "a", "output": None}), "value='NoneType'"),
    ("empty answer", answer(""), "reason='empty'"),
    ("answer of blanks and zero-width", answer(" \u200b\u2060\n"), "reason='empty'"),
    ("long code", answer("```\n" + "x = 1\n" * 50 + "```"), "reason='code'"),
    ("code without an end", answer("```python\nwhile True:\n    pass"), "reason='code'"),
    ("wide table", answer("|a|b|c|d|e|\n|-|-|-|-|-|\n|1|2|3|4|5|"), "reason='table'"),
    ("dense maths", answer("$$\\sum_{i=0}^{n} x_i$$"), "reason='maths'"),
    ("latex environment", answer("\\begin{align} a \\end{align}"), "reason='maths'"),
    ("other script", answer("Это не по-английски"), "not LATIN"),
    ("noise of symbols", answer("#@!%^&*()~`| a"), "allowed"),
    ("right-to-left override and controls", answer("\u202e\u0007\u0000"), "reason='empty'"),
    ("sentence without end", answer("word " * 1000), "words in a sentence"),
    ("question without end", among({"instruction": "w " * 99, "output": "x"}), "a question of 99"),
    ("the same row twice", among(GOOD.strip()), "reason='duplicate', value='rows.jsonl line 1'"),
    ("text that is no text", text({"text": 5, "score": 5}), "text in 'text'"),
    ("text missing", text({"score": 5}), "text in 'text'"),
    ("no score", text({"text": "It is."}), "reason='quality', value='None'"),
    ("low score", text({"text": "It is.", "score": 2.9}), "value='2.9', allowed='>= 3'"),
    ("score that is text", text({"text": "It is.", "score": "5"}), "reason='quality'"),
    ("score NaN", text(b'{"text": "It is.", "score": NaN}'), "value='nan'"),
    ("text of marks", text({"text": "... --- !!!", "score": 5}), "reason='empty'"),
]
REFUSED: list[tuple[str, Make, str]] = [
    ("missing file", file("rows.jsonl", None), r"rows\.jsonl is missing, must be a file"),
    ("folder for a file", lambda f: (f / "d.jsonl").mkdir() or instructions(path="d.jsonl"),
     r"d\.jsonl is no file of texts"),
    ("wrong ending", file("rows.csv", GOOD), r"must be a file that ends in \.txt, \.jsonl"),
    ("path out of the root", params(path="../../etc/passwd"), "outside the project root"),
    ("link out of the root", outside, "outside the project root"),
    ("loop of links", loop, r"a\.jsonl is a loop of links"),
    ("json that is no list", file("rows.json", b'{"a": 1}'), "holds a dict, must hold a list"),
    ("damaged json", file("rows.json", b"[1,"), r"rows\.json is not JSON"),
    ("deep json file", file("rows.json", b"[" * 200_000), r"rows\.json is not JSON"),
    ("unknown key", params(voice="x"), r"voice is 'x': Extra inputs"),
    ("no licence", params(licence=""), r"licence is '': String should have at least 1"),
    ("no consent", params(consent=""), r"consent is ''"),
    ("name that is a path", params(name="../x"), r"name is '\.\./x': String should match"),
    ("two assistants", params(assistant={"synthesizer": "flite", "names": ["a", "b"]}),
     "assistant has 2 voices, must have 1"),
    ("no voice", params(voices=[]), "voices is .*at least 1 item"),
    ("unknown synthesiser", params(voices=[{"synthesizer": "hal", "names": ["a"]}]), "is 'hal'"),
    ("file as address", params(voices=[{"synthesizer": "file:///etc/passwd", "names": ["a"]}]),
     "is 'file:///etc/passwd'"),
    ("rates reversed", params(rate_range=[1.0, 0.5]), r"must be \[low, high\]"),
    ("unknown rewriter", params(rewrite={"kind": "magic"}), "rewrite is .*magic"),
    ("tries without end", params(rewrite={
        "kind": "llm", "url": "http://x", "model": "m", "prompt": "p", "timeout_s": 1.0,
        "tries": 10**6, "parallel": 1,
    }), r"tries is 1000000: .*less than or equal to 10"),
    ("negative word error", params(max_word_error=-0.1), "greater than or equal to 0"),
]  # fmt: skip
KINDS = DROPPED + REFUSED


@pytest.mark.parametrize(("name", "make", "expected"), DROPPED, ids=[k[0] for k in DROPPED])
def test_bad_row_is_dropped_with_its_reason_and_the_others_go_through(
    project_root: Path,
    name: str,
    make: Make,
    expected: str,
) -> None:
    p = make(project_root)
    found = list(plan(p, 1, project_root / "kept"))
    (dropped,) = (one for one in found if isinstance(one, Dropped))
    assert expected in repr(dropped) and dropped.value and dropped.allowed
    assert (len(found) == 3 and "line 2" in dropped.item) or name == "the same row twice"


@pytest.mark.parametrize(("name", "make", "expected"), REFUSED, ids=[k[0] for k in REFUSED])
def test_bad_file_or_params_are_refused_by_name(
    project_root: Path,
    name: str,
    make: Make,
    expected: str,
) -> None:
    with pytest.raises(ValueError, match=expected):
        list(plan(make(project_root), 1, project_root / "kept"))


def test_kinds_are_told_apart_by_name() -> None:
    assert len({name for name, _, _ in KINDS}) == len(KINDS) >= 60
