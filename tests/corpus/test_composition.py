"""Shares by language and source, speech alone, passages; the composition table."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moss_speech.corpus.alignment import WordSpan
from moss_speech.corpus.items import Split, Utterance
from moss_speech.corpus.packing.compose import KINDS, Composer, Drawn, Kind
from moss_speech.corpus.packing.composition import markdown, read_composition, write_composition
from moss_speech.corpus.packing.material import Material, gather
from moss_speech.corpus.packing.packed import unpack
from moss_speech.corpus.packing.stage import compose_packed
from moss_speech.corpus.passages import Passage, Piece, open_passages, write_passages
from moss_speech.lm.grid import interleaved_sequence
from tests.corpus.test_packing import CONFIG, TOKENIZER, composition


def clip(id_: str, text: str, language: str, source: str, split: Split = "train") -> Utterance:
    return Utterance(
        id=id_,
        audio=Path("x"),
        duration_s=1.8,
        text=text,
        speaker=f"voice of {source}",
        role="recording",
        voice_split=split,
        text_split=split,
        tags={"source": source},
        language=language,
    )


UTTERANCES = {
    u.id: u
    for u in (
        *(clip(f"a{n}", "what color", "en", "books") for n in range(8)),
        clip("b", "is it", "en", "calls"),
        *(clip(f"c{n}", "what is", "zh", "calls") for n in range(3)),
        *(clip(f"d{n}", "", "zh", "films") for n in range(2)),
        clip("e", "is green", "en", "books", "test"),
    )
}
CODES = {id_: np.full(5, code % 7, np.int64) for code, id_ in enumerate(UTTERANCES)}
BORDERS = {
    id_: [WordSpan(w, 2 * i, 2 * i + 2) for i, w in enumerate(u.text.split())]
    for id_, u in UTTERANCES.items()
}
PASSAGES = [
    Passage("p", "train", "en", "web", (Piece("It is."), Piece("x", "b"), Piece("So."))),
    Passage("q", "dev", "en", "web", (Piece("held out"),)),
]


def corpus() -> Material:
    return gather(UTTERANCES, [], CODES, BORDERS, PASSAGES)


def only(kind: Kind, **more: object) -> Any:
    mixture = {**dict.fromkeys(KINDS, 0.0), kind: 1.0}
    return composition(**{"mixture": mixture, "end_share": 1.0, **more})


def drawn(p: Any, n: int = 400) -> list[Drawn]:
    composer = Composer(corpus(), p, TOKENIZER, CONFIG, seed=0)
    return [one for _, one in zip(range(n), composer, strict=False)]


def shares_of(found: list[Drawn], what: str) -> dict[str, float]:
    counts = Counter(getattr(origin, what) for one in found for origin in one.origins)
    return {name: n / len(found) for name, n in counts.items()}


def test_without_shares_every_item_is_equally_likely() -> None:
    found = drawn(only("asr"), 2000)
    assert shares_of(found, "language") == pytest.approx({"en": 9 / 12, "zh": 3 / 12}, abs=0.04)


def test_shares_decide_languages_and_sources_within_them() -> None:
    p = only(
        "asr",
        languages={"en": 1.0, "zh": 3.0},
        sources={"books": 1, "calls": 1, "films": 1, "web": 1},
    )
    found = drawn(p, 2000)
    assert shares_of(found, "language") == pytest.approx({"en": 0.25, "zh": 0.75}, abs=0.04)
    english = [one for one in found if {o.language for o in one.origins} == {"en"}]
    assert shares_of(english, "source") == pytest.approx({"books": 0.5, "calls": 0.5}, abs=0.06)


def test_share_of_nothing_leaves_a_language_out() -> None:
    assert shares_of(drawn(only("asr", languages={"en": 1.0, "zh": 0.0})), "language") == {"en": 1}
    with pytest.raises(ValueError, match=r"mixture\.speech is 1\.0, must be 0: the corpus has"):
        drawn(only("speech", languages={"en": 1.0, "zh": 0.0}, speech_from="untranscribed"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"languages": {"en": 1.0}}, r"languages \['en'\] lack 'zh', which must be named, with 0"),
        (
            {"languages": {"en": 1.0, "zh": 1.0, "de": 1.0}},
            r"languages\.de is 1\.0, must be 0: the corpus has en, zh",
        ),
        ({"sources": {"books": 1.0}}, r"sources \['books'\] lack 'calls'"),
    ],
)
def test_shares_that_do_not_fit_the_corpus_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        drawn(only("asr", **more))


def test_speech_alone_is_whole_clips_without_a_word() -> None:
    def expected(ids: set[str]) -> set[bytes]:
        rows = (interleaved_sequence([CODES[i].tolist()], TOKENIZER, CONFIG) for i in ids)
        return {s.rows_TC.tobytes() + s.targets_TC.tobytes() for s in rows}

    def found(p: Any) -> set[bytes]:
        return {o.sequence.rows_TC.tobytes() + o.sequence.targets_TC.tobytes() for o in drawn(p)}

    assert found(only("speech", speech_from="untranscribed")) == expected({"d0", "d1"})
    assert found(only("speech", speech_from="all")) == expected(set(UTTERANCES) - {"e"})


def test_clips_without_words_are_for_nothing_else() -> None:
    for kind in ("asr", "tts", "interleave", "copy_text"):
        assert not {o.source for one in drawn(only(kind)) for o in one.origins} & {"films"}


def test_passage_is_read_in_order_and_all_typed_as_text() -> None:
    def rows(pieces: list[Any]) -> bytes:
        return interleaved_sequence(pieces, TOKENIZER, CONFIG).rows_TC.tobytes()

    said = {one.sequence.rows_TC.tobytes() for one in drawn(only("passage"), 5)}
    assert said == {rows(["It is.", CODES["b"].tolist(), " So."])}
    typed = {one.sequence.rows_TC.tobytes() for one in drawn(only("text"), 5)}
    assert typed == {rows(["It is. x So."])}


def test_passage_is_cut_where_a_sentence_was_rejected(tmp_path: Path) -> None:
    pieces = (Piece("a"), Piece("b", "bad"), Piece("c"), Piece("d", "good"))
    whole = Passage("p", "train", "en", "web", pieces)
    assert [part.pieces for part in whole.within({"good"})] == [pieces[:1], pieces[2:]]
    assert [part.id for part in whole.within({"good"})] == ["p-0", "p-1"]
    assert list(whole.within({"good", "bad"})) == [whole]
    write_passages(tmp_path, [whole])
    assert open_passages(tmp_path) == [whole]
    write_passages(tmp_path / "none", [])
    assert open_passages(tmp_path / "none") == []


def test_table_adds_up_to_what_is_in_the_packs(tmp_path: Path) -> None:
    mixture = {**dict.fromkeys(KINDS, 1.0), "s2s": 0, "s2t": 0, "t2s": 0, "t2t": 0}
    composer = Composer(corpus(), composition(mixture=mixture), TOKENIZER, CONFIG, seed=0)
    packed, account = compose_packed(composer, 20, 60, CONFIG.ids)
    write_composition(tmp_path, UTTERANCES.values(), {"joint": account})
    content = read_composition(tmp_path)
    found = list(unpack(packed))
    assert sum(row["sequences"] for row in content["packs"]) == len(found)
    assert sum(row["rows"] for row in content["packs"]) == sum(len(s.rows_TC) for s in found)
    cells = {(r["kind"], r["language"], r["source"]): r for r in content["packs"]}
    assert cells["speech", "zh", "films"]["voices"] == 1
    assert cells["copy_text", "en", "books"]["hours"] == 0
    assert cells["text", "en", "web"]["speech_targets"] == 0
    corpus_cells = {(r["source"], r["language"], r["split"]): r for r in content["corpus"]}
    assert corpus_cells["books", "en", "train"]["utterances"] == 8
    assert corpus_cells["books", "en", "test"]["utterances"] == 1
    assert corpus_cells["films", "zh", "train"]["with_words"] == 0
    page = (tmp_path / "composition.md").read_text()
    assert page == markdown(content)
    total = next(line for line in page.splitlines() if line.startswith("| joint | all |"))
    assert f"| {len(found):,} |" in total


def test_missing_table_names_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"composition\.json is missing: `dvc repro pack`"):
        read_composition(tmp_path)
