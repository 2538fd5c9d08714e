"""Stage clean: corpus, withdrawals → kept cuts, dialogues, reject table."""

from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.clean.withdrawn import FILE, read_withdrawn
from moss_speech.params.clean import Clean
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir

Section = Clean


def run(p: Clean, io: StageIO) -> None:
    """Clean data/corpus into data/clean."""
    with fresh_dir(io.output) as out:
        withdrawals = read_withdrawn(io.inputs[FILE])
        summary = clean_corpus(
            io.inputs["corpus"], settings().root, p, io.seed, out, io.run_folder, withdrawals
        )
    io.tracker.metrics(
        {f"clean/{name}": float(summary[name]) for name in ("items", "kept", "hours_kept")}
    )
    io.tracker.artifact(io.output / "rejects.jsonl")
    io.tracker.artifact(io.output / "summary.json")
