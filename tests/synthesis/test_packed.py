"""From rows of text to packed sequences: real speech, cleaning, stage and command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from moss_speech.cli import app
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import open_utterances
from moss_speech.corpus.packing.compose import KINDS
from moss_speech.corpus.packing.packed import Packed, unpack
from moss_speech.lm.checkpoint import make_checkpoint
from moss_speech.lm.config import read_config
from moss_speech.params.clean import Clean
from moss_speech.params.lm import Pack
from moss_speech.records import SilentTracker
from moss_speech.stages import pack
from moss_speech.stages.runner import StageIO
from moss_speech.storage import read_json, write_jsonl
from tests.corpus.test_packing import composition
from tests.lm.small import SHAPE
from tests.synthesis.sources import INSTRUCTIONS, TEXTS
from tests.synthesis.test_made import ROWS, TEXT, collect, corpus


@pytest.fixture
def io(root: Path, cleaning: Clean, monkeypatch: pytest.MonkeyPatch) -> StageIO:
    """Inputs of the stage pack from rows of text; codes are random but as many as are due."""
    monkeypatch.chdir(root)
    write_jsonl(root / "rows.jsonl", ROWS)
    write_jsonl(root / "texts.jsonl", [TEXT])
    (root / "dvc.yaml").touch()
    inputs = {name: root / "data" / name for name in ("clean", "codes", "borders")}
    inputs["backbone"] = root / "models" / "backbone"
    for folder in inputs.values():
        folder.mkdir(parents=True)
    collect(corpus(INSTRUCTIONS, {**TEXTS, "path": "texts.jsonl"}), root / "corpus")
    clean_corpus(root / "corpus", root, cleaning, 1, inputs["clean"], root / "blocks")
    random, found = np.random.default_rng(0), open_utterances(inputs["clean"])
    codes = {i: random.integers(0, 64, int(u.duration_s * 12.5)) for i, u in found.items()}
    CodeStore.write(inputs["codes"], codes, 64, "a" * 64)
    write_jsonl(inputs["borders"] / "borders.jsonl", [])
    make_checkpoint(inputs["backbone"], SHAPE, 1, 64)
    return StageIO(inputs, root / "data" / "packs", root / "run", SilentTracker(), 1)


def test_table_of_the_command_counts_what_the_stage_packed(io: StageIO) -> None:
    told = ("t2t", "s2t", "t2s", "s2s", "speech", "passage", "text")
    mixture: dict[str, Any] = {kind: float(kind in told) for kind in KINDS}
    drawn = composition(
        mixture=mixture, packed_rows=20, languages={"en": 1.0}, sources={"sets": 1.0, "web": 1.0}
    )
    pack.run(Pack(threads=1, context=400, frozen=None, joint=None, finetune=drawn), io)
    shown = CliRunner().invoke(app, ["data", "composition", "--json"])
    assert shown.exit_code == 0, shown.output
    rows = json.loads(shown.output)["packs"]
    assert {(row["kind"], row["source"]) for row in rows} == {
        *((kind, "sets") for kind in ("t2t", "s2t", "t2s", "s2s", "speech")),
        *((kind, "web") for kind in ("passage", "text", "speech")),
    }
    whole = list(unpack(Packed.load(io.output / "finetune.safetensors")))
    ids = read_config(io.inputs["backbone"]).ids
    assert sum(row["sequences"] for row in rows) == len(whole)
    assert sum(row["rows"] for row in rows) == sum(len(s.rows_TC) for s in whole)
    n_codes = sum(
        int(((s.rows_TC[:, 0] == ids.modality_pad) & (s.rows_TC[:, 1] != ids.eosp)).sum())
        for s in whole
    )
    assert sum(row["hours"] for row in rows) == pytest.approx(n_codes / 12.5 / 3600)
    dialogues = read_json(io.output / "summary.json")["dialogues"]
    assert dialogues["pairings"]["s2s"] == {"dialogues": 2, "questions_typed": 0}


def test_command_names_a_stage_without_packs(io: StageIO) -> None:
    mixture = {kind: float(kind == "text") for kind in KINDS}
    drawn = composition(mixture=mixture, packed_rows=2)
    pack.run(Pack(threads=1, context=400, frozen=None, joint=drawn, finetune=None), io)
    shown = CliRunner().invoke(app, ["data", "composition", "--stage", "frozen"])
    assert shown.exit_code == 1 and "no packs of stage 'frozen'" in shown.output
    page = CliRunner().invoke(app, ["data", "composition", "--stage", "joint"])
    assert page.output == (io.output / "composition.md").read_text()
