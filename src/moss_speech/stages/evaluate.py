"""Stage evaluate: the bundle, asked and judged, to reports/."""

from moss_speech.evaluation.report import scalars, write_figures, write_views
from moss_speech.evaluation.run import Inputs, evaluate
from moss_speech.params.evaluate import Evaluate
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir

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
        write_views(out, settings().root, p, outcome.report)
    write_figures(io.output.parent, outcome)
    io.tracker.metrics(scalars(outcome.report))
    if outcome.latency is not None:
        latency = {"first_audio_s", "real_time_factor"}
        io.tracker.metrics({f"latency/{n}": getattr(outcome.latency, n) for n in sorted(latency)})
    io.tracker.metrics({f"latency/codec_{n}": rtf for n, rtf in outcome.codec_speed.items()})
    io.tracker.artifact(io.output)
