"""Stage pack: codes, borders, texts, dialogues → data/packs."""

from pathlib import Path
from typing import Any

from moss_speech.corpus.alignment import open_borders
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import open_dialogues, open_utterances
from moss_speech.corpus.packing.account import Account
from moss_speech.corpus.packing.compose import Composer
from moss_speech.corpus.packing.composition import write_composition
from moss_speech.corpus.packing.material import gather
from moss_speech.corpus.packing.stage import compose_packed
from moss_speech.corpus.passages import open_passages
from moss_speech.lm.config import read_config
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.params.lm import Pack
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json

Section = Pack


def run(p: Pack, io: StageIO) -> None:
    """Draw and pack the sequences of each training stage; write the table of what went in."""
    backbone: Path = io.inputs["backbone"]
    config, tokenizer = read_config(backbone), load_tokenizer(backbone)
    store = CodeStore.open(io.inputs["codes"])
    if store.n_codes != config.n_codes:
        raise ValueError(f"n_codes is {config.n_codes}, must be {store.n_codes} (the codec's)")
    utterances = open_utterances(io.inputs["clean"])
    codes = {i: store[i] for i in utterances if i in store}
    dialogues, borders = open_dialogues(io.inputs["clean"]), open_borders(io.inputs["borders"])
    passages = open_passages(io.inputs["clean"])
    material = gather(utterances, dialogues, codes, borders, passages)
    stages = {"frozen": p.frozen, "joint": p.joint, "finetune": p.finetune}
    summary: dict[str, Any] = {"dialogues": material.account()}
    accounts: dict[str, Account] = {}
    with fresh_dir(io.output) as out:
        for index, (name, composition) in enumerate(stages.items()):
            if composition is None:
                continue
            composer = Composer(material, composition, tokenizer, config, io.seed * 10 + index)
            packed, accounts[name] = compose_packed(
                composer, composition.packed_rows, p.context, config.ids
            )
            packed.save(out / f"{name}.safetensors")
            filled = float((packed.document_NL >= 0).mean())
            summary[name] = {"packed_rows": len(packed), "filled": filled}
        write_json(out / "summary.json", summary)
        write_composition(out, utterances.values(), accounts)
    io.tracker.artifact(io.output / "composition.json", "packs")
