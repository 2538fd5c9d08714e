"""Stage pretrain_frozen: backbone, packs → models/lm-frozen; the text side keeps every bit."""

from moss_speech.corpus.packing.packed import Packed
from moss_speech.lm.load import load_lm, save_lm
from moss_speech.lm.probe import largest_change, text_probe
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.params.lm import PretrainFrozen
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm
from moss_speech.training.unfreeze import speech_side

Section = PretrainFrozen


def run(p: PretrainFrozen, io: StageIO) -> None:
    """Train speech embedding, tail and head; refuse a result whose text logits changed."""
    model = load_lm(io.inputs["backbone"])
    before = text_probe(model, io.seed)
    if p.fit is not None:
        packed = Packed.load(io.inputs["packs"] / "frozen.safetensors")
        how = Fit(p.fit, io.seed, io.run_folder, io.tracker, name="frozen").here()
        fit_lm(model, packed, p.fit, how, speech_side(model))
    change = largest_change(before, text_probe(model, io.seed))
    if change > 0:
        raise RuntimeError(f"text logits changed by {change} in the frozen stage, must be 0")
    with fresh_dir(io.output) as out:
        save_lm(model, out, load_tokenizer(io.inputs["backbone"]))
        report = {"text_logits_largest_change": change, "text_logits_compared": before.numel()}
        write_json(out / "report.json", report)
