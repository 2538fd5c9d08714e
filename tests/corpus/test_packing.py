"""Packed sequences: nothing lost, nothing held out, the same loss as apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.corpus.alignment import WordSpan
from moss_speech.corpus.items import Dialogue, Split, Turn, Utterance
from moss_speech.corpus.packing.compose import KINDS, Composer
from moss_speech.corpus.packing.material import gather
from moss_speech.corpus.packing.packed import Packed, pack, unpack
from moss_speech.corpus.packing.stage import compose_packed
from moss_speech.corpus.passages import Passage, Piece
from moss_speech.lm.grid import IGNORE, GridSequence
from moss_speech.params.lm import Composition, Mixture
from moss_speech.training.lm_batches import take
from moss_speech.training.lm_loss import PackedLoss
from tests.lm.small import small_config, small_model, small_tokenizer

CONFIG, TOKENIZER = small_config(), small_tokenizer()
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def composition(**more: object) -> Composition:
    mixture = Mixture(**dict.fromkeys(KINDS, 1.0))
    values = {
        "packed_rows": 30,
        "mixture": mixture,
        "languages": {},
        "sources": {},
        "pieces": {"unit": "words", "range": [1, 3]},
        "speech_from": "all",
        "max_exchanges": 2,
        "tempo_jitter": 0.0,
        "filler_share": 0.5,
        "repeat_share": 0.2,
        "splice_share": 0.5,
        "renditions": 9,
        "end_share": 0.5,
        "assistant_reads": False,
    }
    return Composition.model_validate({**values, **more})


def sequences(n: int, seed: int) -> list[GridSequence]:
    composer = Composer(material(), composition(), TOKENIZER, CONFIG, seed)
    return [drawn.sequence for _, drawn in zip(range(n), composer, strict=False)]


def utterance(number: int, role: str, voice: Split, wording: Split, text: str) -> Utterance:
    speaker = "joe" if role == "answer" else f"v-{voice}"
    return Utterance(
        f"{role}-{voice}-{wording}-{number}", Path("x"), 1.0, text, speaker, role, voice, wording
    )  # type: ignore[arg-type]


def corpus() -> tuple[dict[str, Utterance], list[Dialogue], dict[str, np.ndarray]]:
    """Every utterance's codes are one code of its own, so that a leak shows."""
    items, dialogues = [], []
    for wording in SPLITS:
        text = f"what color is grass {wording}"
        asked = [utterance(0, "question", voice, wording, text) for voice in SPLITS]
        said = [utterance(n, "answer", "train", s, "it is green") for n, s in enumerate(SPLITS)]
        items += [*asked, *said]
        turns = (
            Turn("user", text, tuple(u.id for u in asked)),
            Turn("assistant", "it is green", tuple(u.id for u in said)),
        )
        for taught in ("speech", "text"):
            dialogues.append(Dialogue(f"{taught}-{wording}", wording, turns, {"taught": taught}))
    by_id = {u.id: u for u in items}
    codes = {id_: np.full(6, code, np.int64) for code, id_ in enumerate(by_id)}
    return by_id, dialogues, codes


def material():
    utterances, dialogues, codes = corpus()
    borders = {
        id_: [WordSpan(w, i, i + 1) for i, w in enumerate(u.text.split())]
        for id_, u in utterances.items()
    }
    asked = next(u for u in utterances.values() if u.for_training)
    pieces = (Piece("first typed."), Piece(asked.text, asked.id), Piece("then typed."))
    passages = [Passage("p", "train", "en", "web", pieces)]
    return gather(utterances, dialogues, codes, borders, passages)


@settings(max_examples=25)
@given(n=st.integers(1, 40), seed=st.integers(0, 99), context=st.integers(90, 200))
def test_unpacking_gives_back_every_sequence(n: int, seed: int, context: int) -> None:
    before = sequences(n, seed)
    packed = pack(before, context, CONFIG.ids)

    def content(some: list[GridSequence]) -> list[bytes]:
        return sorted(s.rows_TC.tobytes() + s.targets_TC.tobytes() for s in some)

    assert content(list(unpack(packed))) == content(before)
    assert packed.rows_NLC.shape[1] == context


def test_packed_loss_and_gradients_equal_those_of_separate_sequences() -> None:
    model, apart = small_model(), sequences(12, seed=3)
    packed = pack(apart, 150, CONFIG.ids)
    assert len(packed) < len(apart)

    def run(parts: list[Packed]) -> tuple[dict[str, float], list[torch.Tensor]]:
        model.zero_grad()
        sums = {"text": 0.0, "audio": 0.0}
        for part in parts:
            losses = PackedLoss(model)(take(part, np.arange(len(part))))
            total = sum(losses.values())
            total.backward()  # type: ignore[union-attr]
            for channel, loss in losses.items():
                sums[channel] += float(loss)
        return sums, [w.grad.clone() for w in model.parameters() if w.grad is not None]

    together, gradients = run([packed])
    separate, expected = run([pack([s], len(s.rows_TC), CONFIG.ids) for s in apart])
    assert together == pytest.approx(separate, rel=1e-5)
    for have, want in zip(gradients, expected, strict=True):
        torch.testing.assert_close(have, want, rtol=1e-3, atol=1e-3 * float(want.abs().max()))


def test_nothing_held_out_reaches_a_training_sequence() -> None:
    utterances, _, codes = corpus()
    heard: set[int] = set()
    for sequence in sequences(300, seed=1):
        spoken = sequence.rows_TC[:, 0] == CONFIG.ids.modality_pad
        heard |= set(sequence.rows_TC[spoken, 1].tolist()) - {CONFIG.ids.eosp}
        text = TOKENIZER.decode(sequence.rows_TC[:, 0].tolist())
        assert " dev" not in text and " test" not in text
    allowed = {int(codes[i][0]) for i, u in utterances.items() if u.for_training}
    assert heard == allowed


def test_what_is_taught_in_text_is_never_in_a_spoken_dialogue() -> None:
    utterances, dialogues, codes = corpus()
    text_only = [d for d in dialogues if d.tags["taught"] == "text"]
    account = gather(utterances, text_only, codes, {}).account()["pairings"]
    assert account["t2t"] == {"dialogues": 1}
    assert account["s2s"] == {"dialogues": 0, "questions_typed": 0, "taught_in_text": 1}
    only = Mixture(**{**dict.fromkeys(KINDS, 0.0), "s2s": 1.0})
    with pytest.raises(ValueError, match=r"mixture\.s2s is 1\.0, must be 0"):
        found = gather(utterances, text_only, codes, {})
        Composer(found, composition(mixture=only), TOKENIZER, CONFIG, seed=0)


def test_account_counts_every_row_target_and_code() -> None:
    composer = Composer(material(), composition(), TOKENIZER, CONFIG, seed=2)
    packed, account = compose_packed(composer, 30, 150, ids := CONFIG.ids)
    whole, rows = list(unpack(packed)), account.rows()
    assert account.sequences == sum(row["sequences"] for row in rows) == len(whole)
    assert sum(row["rows"] for row in rows) == sum(len(s.rows_TC) for s in whole)
    for c, name in enumerate(("text_targets", "speech_targets")):
        counted = sum(row[name] for row in rows)
        assert counted == sum(int((s.targets_TC[:, c] != IGNORE).sum()) for s in whole)
    codes = sum(
        int(((s.rows_TC[:, 0] == ids.modality_pad) & (s.rows_TC[:, 1] < ids.eosp)).sum())
        for s in whole
    )
    assert sum(row["hours"] for row in rows) == pytest.approx(codes / 12.5 / 3600)
    assert {row["kind"] for row in rows} == set(KINDS) and len(packed) >= 30


def test_equal_seeds_give_equal_packs(tmp_path: Path) -> None:
    for name in "ab":
        pack(sequences(20, seed=5), 150, CONFIG.ids).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (
        Packed.load(tmp_path / "a").rows_NLC == pack(sequences(20, 5), 150, CONFIG.ids).rows_NLC
    ).all()


def test_context_too_short_for_everything_is_refused() -> None:
    composer = Composer(material(), composition(), TOKENIZER, CONFIG, seed=2)
    with pytest.raises(ValueError, match="exceed context 8"):
        compose_packed(composer, 3, 8, CONFIG.ids)
