"""Stage evaluate: the bundle, asked and judged, to reports/."""

from moss_speech.evaluation.names import scalars, speeds
from moss_speech.evaluation.report import LATENCY, write_figures, write_views
from moss_speech.evaluation.run import Inputs, evaluate
from moss_speech.params.evaluate import Evaluate
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, read_json

Section = Evaluate


def run(p: Evaluate, io: StageIO) -> None:
    """Ask, judge, count; write the report, its page and the figures that gates read."""
    inputs = Inputs(
        corpus=io.inputs["corpus"],
        clean=io.inputs["clean"],
        codes=io.inputs["codes"],
        backbone=io.inputs["backbone"],
        frozen=io.inputs["lm-frozen"],
        bundle=io.inputs["bundle"],
    )
    with fresh_dir(io.output) as out:
        outcome = evaluate(inputs, p, io.seed, out)
        write_views(out, settings().root, p)
    write_figures(io.output.parent, outcome)
    io.tracker.metrics(scalars(outcome.report) | speeds(read_json(io.output.parent / LATENCY)))
    io.tracker.artifact(io.output)
