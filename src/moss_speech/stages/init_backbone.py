"""Stage init_backbone: Qwen3 checkpoint, released weights, a start, or texts → models/backbone."""

from pathlib import Path

from moss_speech.card import CARD, read_card
from moss_speech.corpus.items import open_dialogues, open_utterances
from moss_speech.hub import model_folder
from moss_speech.licence import check_licence
from moss_speech.lm.load import load_lm, load_qwen3, save_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.quantize import scheme_of
from moss_speech.lm.tokenizer import TextTokenizer, load_tokenizer
from moss_speech.params.lm import InitBackbone, Qwen3, Released, Scratch, Started
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json
from moss_speech.training.launch import Fit
from moss_speech.training.lm_backbone import train_backbone
from moss_speech.vocab import SpecialIds

Section = InitBackbone


def run(p: InitBackbone, io: StageIO) -> None:
    """Make or import the text model, split it, write it."""
    model, tokenizer = _backbone(p, io)
    with fresh_dir(io.output) as out:
        save_lm(model, out, tokenizer)
        parameters = sum(w.numel() for w in model.parameters())
        tensors = len(model.state_dict())
        write_json(out / "report.json", {"parameters": parameters, "tensors": tensors})


def _backbone(p: InitBackbone, io: StageIO) -> tuple[LayerSplitLM, TextTokenizer]:
    match p.source:
        case Scratch() as scratch:
            utterances = open_utterances(io.inputs["clean"])
            dialogues = open_dialogues(io.inputs["clean"])
            how = Fit(scratch.fit, io.seed, io.run_folder, io.tracker, name="text").here()
            return train_backbone(utterances, dialogues, p, scratch, how)
        case Qwen3(ids=ids) as qwen3:
            source = _licensed(qwen3)
            special = SpecialIds(**ids, eosp=p.n_codes)
            model = load_qwen3(source, p.n_tail_layers, p.n_codes, special)
            return model, load_tokenizer(source)
        case Released() as released:
            return _trainable(_licensed(released))
        case Started() as started:
            return _trainable(_started(io.inputs["start"], started.accept_unlicensed))


def _trainable(folder: Path) -> tuple[LayerSplitLM, TextTokenizer]:
    model = load_lm(folder)
    if (scheme := scheme_of(model)) is not None:
        raise ValueError(f"{folder} holds {scheme.bits} weights, which cannot be trained")
    return model, load_tokenizer(folder)


def _started(start: Path, accept_unlicensed: bool) -> Path:
    switch = "init_backbone.source.accept_unlicensed"
    if not (start / CARD).is_file():
        raise ValueError("init_backbone.source.kind is start, so start.model must name a model")
    unlicensed = read_card(start).about.unlicensed
    if (unlicensed is not None) != accept_unlicensed:
        of = f"from {unlicensed}, which has no licence" if unlicensed else "from licensed weights"
        raise ValueError(f"the model of start was made {of}: {switch} is {accept_unlicensed}")
    return start / "lm"


def _licensed(source: Qwen3 | Released) -> Path:
    folder = model_folder(source.folder)
    switch = "init_backbone.source.accept_unlicensed: true"
    check_licence(folder, source.accept_unlicensed, switch)
    return folder
