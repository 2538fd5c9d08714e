"""Command `plan`: what a preset's model needs, as a table, without running anything."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json
from moss_speech.settings import settings

if TYPE_CHECKING:
    from moss_speech.decoder.plan import StreamPlan
    from moss_speech.lm.plan import LMPlan, StagePlan

app = typer.Typer()


@app.command()
@plain_errors
def plan(
    preset: Annotated[str, typer.Option(help="A preset, or `params` for params.yaml")] = "params",
    gpus: Annotated[int, typer.Option(min=1)] = 8,
    gpu_gb: Annotated[float, typer.Option(min=1, help="Memory of one GPU")] = 80.0,
    as_json: Json = False,
) -> None:
    """Check a preset and count its model: parameters and memory, without running anything."""
    from moss_speech.audio import SPEAKING
    from moss_speech.decoder.plan import plan_streams
    from moss_speech.lm.plan import Machine, plan_lm
    from moss_speech.params.presets import presets
    from moss_speech.params.sections import load_pipeline

    files = presets(settings().root) | {"params": settings().root / "params.yaml"}
    if preset not in files:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(files)}")
    params = load_pipeline(files[preset])
    machine = Machine(gpus, int(gpu_gb * 1e9))
    counted = plan_lm(_config(params.init_backbone.source), machine, _runs(params))
    flow = params.train_decoder.model
    speaking = plan_streams(flow, SPEAKING, flow.voice_codes)
    if as_json:
        typer.echo(json.dumps({"lm": counted.to_json(), "decoder": asdict(speaking)}))
        return
    for line in [*_table(counted, preset, gpus, gpu_gb), _speaking(speaking)]:
        typer.echo(line)


def _runs(params: Any) -> dict[str, Any]:
    """The language model's training stages that a preset has."""
    from moss_speech.lm.plan import StageRun

    context = params.pack.context
    fits = {name: getattr(params, name).fit for name in _STAGES}
    return {
        name: StageRun(fit.precision, context, fit.packed_rows_per_step)
        for name, fit in fits.items()
        if fit is not None
    }


def _speaking(plan: "StreamPlan") -> str:
    mb = (plan.session_bytes / 1e6, plan.voice_bytes / 1e6, plan.frame_bytes / 1e6)
    return (
        f"speaking: {mb[0]:,.1f} MB a session that sees {plan.context_codes} codes back, "
        f"{mb[1]:,.1f} MB a voice of {plan.voice_codes} codes for all its sessions, "
        f"{mb[2]:.3f} MB a mel frame"
    )


_STAGES = ("pretrain_frozen", "pretrain_joint", "finetune")
_COLUMNS = (
    *("stage", "params M", "trained M", "weights", "gathered", "gradients", "optimizer"),
    *("activations", "rows that fit", "pass tokens", "step tokens", "paper's", "passes"),
)


def _table(counted: "LMPlan", preset: str, gpus: int, gpu_gb: float) -> list[str]:
    rows = [_COLUMNS, *(_cells(stage) for stage in counted.stages)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    serving = counted.serving
    return [
        f"{preset}: {counted.parameters / 1e6:,.1f} M parameters, {counted.tensors} tensors",
        f"training, GB on each of {gpus} GPUs of {gpu_gb:g} GB; activations of one packed row:",
        *lines,
        f"serving on one, bf16: weights {serving.weights_bytes / 1e9:.2f} GB, "
        f"{serving.kv_bytes_per_row / 1000:,.1f} kB of cache a row, "
        f"{serving.sessions_that_fit:,} sessions of {serving.session_rows:,} rows fit",
    ]


def _cells(stage: "StagePlan") -> tuple[str, ...]:
    from moss_speech.lm.plan import PAPER_STEP_TOKENS

    gb = (
        *(stage.weights_bytes, stage.gathered_bytes, stage.gradient_bytes),
        *(stage.optimizer_bytes, stage.activation_bytes),
    )
    tokens = (stage.pass_tokens, stage.step_tokens, PAPER_STEP_TOKENS[stage.stage])
    return (
        stage.stage,
        *(f"{count / 1e6:,.1f}" for count in (stage.parameters, stage.trainable)),
        *(f"{size / 1e9:.2f}" for size in gb),
        f"{stage.packed_rows_that_fit:,}",
        *(f"{count:,}" for count in tokens),
        "-" if stage.passes is None else f"{stage.passes:,}",
    )


def _config(source: Any) -> Any:
    """The LM config that a preset leads to; the published one for published weights."""
    from moss_speech.lm.config import LMConfig
    from moss_speech.lm.plan import PUBLISHED_CONFIG
    from moss_speech.params.lm import Scratch
    from moss_speech.storage import read_json

    if not isinstance(source, Scratch):
        return PUBLISHED_CONFIG
    made = settings().root / "models" / "backbone" / "config.json"
    if not made.is_file():
        raise ValueError(f"{made} does not exist: a model made here is counted once it is made")
    return LMConfig.from_json(read_json(made), str(made))
