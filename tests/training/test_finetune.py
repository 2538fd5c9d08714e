"""Fine-tuning a folder in the released layout: it answers its training dialogues, by LoRA too."""

from pathlib import Path

import numpy as np
import pytest
import torch

from moss_speech.corpus.items import Dialogue, Turn, Utterance
from moss_speech.corpus.packing.compose import KINDS, Composer
from moss_speech.corpus.packing.material import PAIRINGS, Pairing, gather
from moss_speech.corpus.packing.stage import compose_packed
from moss_speech.lm import grid
from moss_speech.lm.checkpoint import make_checkpoint
from moss_speech.lm.config import read_config
from moss_speech.lm.grid import prompt_rows, reply_text
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.probe import largest_change, text_probe
from moss_speech.lm.sampling import GREEDY
from moss_speech.lm.stream import generate
from moss_speech.lm.tokenizer import TextTokenizer, load_tokenizer
from moss_speech.params.base import validate_section
from moss_speech.params.lm import Finetune, Lora
from moss_speech.records import SilentTracker, Tracker
from moss_speech.stages import finetune
from moss_speech.stages.runner import StageIO
from moss_speech.storage import tree_digest
from moss_speech.training.lora import add_lora, merge_lora
from tests.corpus.test_packing import composition
from tests.lm.small import SHAPE, random_rows, small_model
from tests.training.killing import KillAt, die
from tests.training.packs import PARAMS

LORA = {
    "rank": 16,
    "alpha": 32,
    "dropout": 0.0,
    "parts": ["trunk", "text", "audio"],
    "modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
SAID = (
    ("who are you", "i am ann", "and where", "at home", "since when", "a year"),
    ("what color is grass", "it is green", "and snow", "white"),
    ("count", "one two three", "go on", "four five", "more", "six"),
)
"""Three dialogues, user and assistant in turn."""


def dialogues() -> tuple[list[Dialogue], dict[str, Utterance], dict[str, np.ndarray]]:
    """The dialogues with random codes as their speech, no two of a length."""
    random, found, utterances, codes = np.random.default_rng(0), [], {}, {}
    for n, texts in enumerate(SAID):
        turns = []
        for place, text in enumerate(texts):
            id_ = f"d{n}-{place}"
            role = ("question", "answer")[place % 2]
            speaker = ("ann", "joe")[place % 2]
            utterances[id_] = Utterance(id_, Path("x"), 1.0, text, speaker, role, "train", "train")  # type: ignore[arg-type]
            codes[id_] = random.integers(0, 512, 5 + place)
            turns.append(Turn(("user", "assistant")[place % 2], text, (id_,)))  # type: ignore[arg-type]
        found.append(Dialogue(f"d{n}", "train", tuple(turns), {"taught": "speech"}))
    return found, utterances, codes


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model in the released layout and the packed dialogues in all four pairings."""
    folder = tmp_path_factory.mktemp("start")
    make_checkpoint(folder / "lm-joint", SHAPE, 1, 512)
    config, tokenizer = read_config(folder / "lm-joint"), load_tokenizer(folder / "lm-joint")
    found, utterances, codes = dialogues()
    mixture = {**dict.fromkeys(KINDS, 0.0), **dict.fromkeys(PAIRINGS, 1.0)}
    plain = {"filler_share": 0.0, "splice_share": 0.0, "end_share": 1.0, "repeat_share": None}
    p = composition(mixture=mixture, **plain)
    material = gather(utterances, found, codes, {})
    composer = Composer(material, p, tokenizer, config, seed=0)
    packed, _ = compose_packed(composer, 2, 256, config.ids)
    (folder / "packs").mkdir()
    packed.save(folder / "packs" / "finetune.safetensors")
    return folder


def tune(
    start: Path,
    out: Path,
    lora: dict[str, object] | None,
    tracker: Tracker | None = None,
    **fit: object,
) -> LayerSplitLM:
    """What the stage makes of the start; checkpoints lie beside it."""
    values = {**PARAMS.model_dump(), "dropout": 0.0, "code_noise": 0.0, "reply_noise": 0.0, **fit}
    section = {"threads": 1, "dev_items": 0, "fit": values, "lora": lora}
    inputs = {name: start / name for name in ("lm-joint", "packs")}
    io = StageIO(inputs, out / "lm", out / "run", tracker or SilentTracker(), seed=1)
    finetune.run(validate_section(section, Finetune, "finetune"), io)
    return load_lm(out / "lm")


def turn(said: Turn, channel: str, codes: dict[str, np.ndarray]) -> grid.Turn:
    if channel == "t":
        return grid.Turn(said.role, said.text)
    return grid.Turn(said.role, codes=codes[said.utterances[0]].tolist())


def wrong_answers(model: LayerSplitLM, tokenizer: TextTokenizer, pairing: Pairing) -> list[str]:
    """Greedy answers, each after the true turns before it, that differ in a word or a code."""
    output: grid.Output = "text" if pairing[-1] == "t" else "audio"
    found, _, codes = dialogues()
    wrong = []
    for dialogue in found:
        turns = [turn(t, pairing[-1 if n % 2 else 0], codes) for n, t in enumerate(dialogue.turns)]
        for n in range(1, len(turns), 2):
            prompt = prompt_rows(turns[:n], output, tokenizer, model.config)
            reply = generate(model, [prompt], GREEDY, [0], 40)[0]
            said = reply_text(reply.rows_TC, tokenizer, model.config)
            right = said == turns[n].text if output == "text" else reply.codes == turns[n].codes
            if not (right and reply.stopped):
                wrong.append(f"{dialogue.id} turn {n}: {said!r} {reply.codes}")
    return wrong


@pytest.mark.parametrize(
    ("lora", "lr", "steps"), [(None, 3e-3, 120), (LORA, 5e-3, 160)], ids=["full", "lora"]
)
def test_tuned_model_gives_exactly_its_training_answers_in_all_pairings(
    start, tmp_path, lora, lr, steps
):
    fit = {"warmup_steps": 10, "beta2": 0.98, "weight_decay": 0.0, "checkpoint_steps": 100}
    model = tune(start, tmp_path, lora, steps=steps, lr=lr, packed_rows_per_step=4, **fit)
    tokenizer = load_tokenizer(tmp_path / "lm")
    untuned = load_lm(start / "lm-joint")
    for pairing in PAIRINGS:
        assert wrong_answers(model, tokenizer, pairing) == []
        assert len(wrong_answers(untuned, tokenizer, pairing)) == 8
    assert {n: w.shape for n, w in model.state_dict().items()} == {
        n: w.shape for n, w in untuned.state_dict().items()
    }


def test_adapters_alone_get_gradients_and_optimizer_state(start, tmp_path):
    tuned = tune(start, tmp_path, {**LORA, "parts": ["audio"], "modules": ["q_proj", "down_proj"]})
    before = load_lm(start / "lm-joint").state_dict()
    changed = {n for n, w in tuned.state_dict().items() if not torch.equal(w, before[n])}
    assert changed == {
        n
        for n in before
        if "audio_block" in n and n.endswith(("q_proj.weight", "down_proj.weight"))
    }
    saved = torch.load(tmp_path / "run" / "finetune" / "last.ckpt", weights_only=True)
    held = [entry["exp_avg"].shape for entry in saved["optimizer_states"][0]["state"].values()]
    adapters = [w.shape for n, w in saved["state_dict"].items() if ".lora_" in n]
    assert sorted(held) == sorted(adapters) and len(held) == 2 * 2


def test_text_stays_bit_identical_when_the_speech_tail_alone_is_tuned(start, tmp_path):
    before = text_probe(load_lm(start / "lm-joint"), 0)
    model = tune(start, tmp_path, {**LORA, "parts": ["audio"]})
    assert largest_change(before, text_probe(model, 0)) == 0.0


def with_random_adapters(model: LayerSplitLM) -> LayerSplitLM:
    names = add_lora(model, Lora.model_validate(LORA), seed=0)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in names:
                weight.copy_(torch.randn(weight.shape, generator=draw) * 0.1)
    return model


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_merged_model_gives_the_logits_of_the_adapters(dtype, tolerance):
    plain = small_model()
    model = with_random_adapters(small_model().to(dtype))
    rows = random_rows(plain.config, 40, 0)[None]
    with torch.inference_mode():
        adapted, untouched = model(rows), plain(rows)
        merge_lora(model)
        merged = model(rows)
    size = float(adapted.audio_BTV.abs().max())
    assert float((merged.audio_BTV - adapted.audio_BTV).abs().max()) <= tolerance * size
    assert float((adapted.audio_BTV.float() - untouched.audio_BTV).abs().max()) > 0.3 * size
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert {type(m) for m in model.modules()} == {type(m) for m in plain.modules()}
    assert {w.dtype for w in model.parameters()} == {dtype}


def test_fresh_adapters_change_nothing_and_are_equal_for_equal_seeds():
    plain, rows = small_model(), random_rows(small_model().config, 40, 0)[None]
    models = [small_model() for _ in "abc"]
    lora = Lora.model_validate(LORA)
    names = [add_lora(m, lora, seed) for m, seed in zip(models, (0, 0, 1), strict=True)]
    first, second, other = ({n: m.get_parameter(n) for n in names[0]} for m in models)
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)
    assert torch.equal(models[0](rows).audio_BTV, plain(rows).audio_BTV)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_tail": 0}, r"parts names 'text', must be of those with layers: trunk"),
        ({"n_trunk": 0}, r"parts names 'trunk', must be of those with layers: text, audio"),
    ],
)
def test_part_without_layers_is_refused_by_name(sizes, message):
    with pytest.raises(ValueError, match=message):
        add_lora(small_model(**sizes), Lora.model_validate(LORA), seed=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"modules": ["qkv_proj"]}, r"lora\.modules\.0 is 'qkv_proj': Input should be 'q_proj'"),
        ({"parts": ["vision"]}, r"lora\.parts\.0 is 'vision': Input should be 'trunk', 'text' or"),
        ({"parts": []}, r"lora\.parts is \[\]: List should have at least 1"),
        ({"rank": 0}, r"lora\.rank is 0: Input should be greater than or equal to 1"),
    ],
)
def test_wrong_adapter_params_are_named(start, tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        tune(start, tmp_path, {**LORA, **wrong})


def test_killed_and_resumed_lora_gives_the_bytes_of_an_unbroken_one(start, tmp_path):
    torch.set_num_threads(1)  # as the process that dies
    tune(start, tmp_path / "whole", {**LORA, "dropout": 0.1})
    die(tune, start, tmp_path / "broken", {**LORA, "dropout": 0.1}, KillAt(7))
    assert (tmp_path / "broken" / "run" / "finetune" / "last.ckpt").is_file()
    assert not (tmp_path / "broken" / "lm").exists()
    tune(start, tmp_path / "broken", {**LORA, "dropout": 0.1})
    assert tree_digest(tmp_path / "broken" / "lm") == tree_digest(tmp_path / "whole" / "lm")
