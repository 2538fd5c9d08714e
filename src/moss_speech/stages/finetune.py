"""Stage finetune: lm-joint or released weights, dialogues → models/lm."""

from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import open_dialogues, open_utterances
from moss_speech.corpus.packing.packed import Packed
from moss_speech.lm.load import load_lm, save_lm
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.params.lm import Finetune
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm
from moss_speech.training.lm_probe import DevQuestions
from moss_speech.training.lora import add_lora, merge_lora
from moss_speech.training.unfreeze import Group

Section = Finetune


def run(p: Finetune, io: StageIO) -> None:
    """Train on the four pairings; the report answers development questions by the code metric."""
    model, tokenizer = load_lm(io.inputs["lm-joint"]), load_tokenizer(io.inputs["lm-joint"])
    packed = Packed.load(io.inputs["packs"] / "finetune.safetensors")
    how = Fit(p.fit, io.seed, io.run_folder, io.tracker, name="finetune").here()
    if p.lora is None:
        fit_lm(model, packed, p.fit, how)
    else:
        adapters = add_lora(model, p.lora, io.seed)
        fit_lm(model, packed, p.fit, how, [Group(frozenset(adapters))])
        merge_lora(model)
    report: dict[str, float] = {}
    if p.dev_items:
        report = _development(io, p.dev_items).accuracy(model, tokenizer)
        io.tracker.metrics({f"finetune/dev_{k}": v for k, v in report.items()}, p.fit.steps)
    with fresh_dir(io.output) as out:
        save_lm(model, out, tokenizer)
        write_json(out / "report.json", {"dev_accuracy": report})


def _development(io: StageIO, n_items: int) -> DevQuestions:
    utterances = open_utterances(io.inputs["clean"])
    store = CodeStore.open(io.inputs["codes"])
    codes = {i: store[i] for i in utterances if i in store}
    return DevQuestions(utterances, open_dialogues(io.inputs["clean"]), codes, n_items, io.seed)
