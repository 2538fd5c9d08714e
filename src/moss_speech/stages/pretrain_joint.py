"""Stage pretrain_joint: lm-frozen, packs → models/lm-joint; text replay keeps the text side."""

from moss_speech.corpus.packing.packed import Packed
from moss_speech.lm.load import load_lm, save_lm
from moss_speech.lm.probe import largest_change, text_probe
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.params.lm import PretrainJoint
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm
from moss_speech.training.unfreeze import schedule

Section = PretrainJoint


def run(p: PretrainJoint, io: StageIO) -> None:
    """Unfreeze as the params say; the report says how far the text logits moved."""
    model = load_lm(io.inputs["lm-frozen"])
    before = text_probe(model, io.seed)
    if p.fit is not None:
        packed = Packed.load(io.inputs["packs"] / "joint.safetensors")
        how = Fit(p.fit, io.seed, io.run_folder, io.tracker, name="joint").here()
        fit_lm(model, packed, p.fit, how, schedule(model, p.unfreeze))
    change = largest_change(before, text_probe(model, io.seed))
    with fresh_dir(io.output) as out:
        save_lm(model, out, load_tokenizer(io.inputs["lm-frozen"]))
        write_json(out / "report.json", {"text_logits_largest_change": change})
