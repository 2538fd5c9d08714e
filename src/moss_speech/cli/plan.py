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
    from moss_speech.inference.capacity import Sizes
    from moss_speech.lm.plan import LMPlan, StagePlan
    from moss_speech.params.sections import Pipeline

app = typer.Typer()


@app.command()
@plain_errors
def plan(
    preset: Annotated[str, typer.Option(help="A preset, or `params` for params.yaml")] = "params",
    gpus: Annotated[int, typer.Option(min=1)] = 8,
    gpu_gb: Annotated[float, typer.Option(min=1, help="Memory of one GPU")] = 80.0,
    serve: Annotated[bool, typer.Option("--serve", help="Count serving instead")] = False,
    model: Annotated[str, typer.Option(help="With --serve: a model instead of a preset")] = "",
    memory_gb: Annotated[
        list[float] | None, typer.Option(help="With --serve, repeated: memories to fill")
    ] = None,
    session_rows: Annotated[
        int | None,
        typer.Option(min=1, help="With --serve: longest conversation; else MOSS_SESSION_ROWS"),
    ] = None,
    voices: Annotated[int, typer.Option(min=1, help="With --serve: voices in use")] = 1,
    as_json: Json = False,
) -> None:
    """Check a preset and count its model: parameters and memory, without running anything."""
    if serve:
        from moss_speech.cli.plan_serving import serving_json, serving_lines

        asked = (_sizes(preset, model), session_rows, voices, memory_gb or [16.0, 24.0, 40.0])
        typer.echo(serving_json(*asked) if as_json else "\n".join(serving_lines(*asked)))
        return
    _plan_training(preset, gpus, gpu_gb, as_json)


def _plan_training(preset: str, gpus: int, gpu_gb: float, as_json: bool) -> None:
    from moss_speech.audio import SPEAKING
    from moss_speech.decoder.plan import plan_streams
    from moss_speech.lm.plan import Machine, plan_lm

    params = _pipeline(preset)
    machine = Machine(gpus, int(gpu_gb * 1e9))
    counted = plan_lm(_config(params.init_backbone.source), machine, _runs(params))
    flow = params.train_decoder.model
    speaking = plan_streams(flow, SPEAKING, flow.voice_codes)
    if as_json:
        typer.echo(json.dumps({"lm": counted.to_json(), "decoder": asdict(speaking)}))
        return
    for line in [*_table(counted, preset, gpus, gpu_gb), _speaking(speaking)]:
        typer.echo(line)


def _pipeline(preset: str) -> "Pipeline":
    from moss_speech.params.presets import presets
    from moss_speech.params.sections import load_pipeline

    files = presets(settings().root) | {"params": settings().root / "params.yaml"}
    if preset not in files:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(files)}")
    return load_pipeline(files[preset])


def _sizes(preset: str, model: str) -> "Sizes":
    """The configs of a model, or those that a preset leads to; what it takes as published is so."""
    from moss_speech.audio import SPEAKING
    from moss_speech.codec.config import PUBLISHED_CODEC, CodecConfig
    from moss_speech.decoder.config import FlowConfig, vocoder_config
    from moss_speech.inference.capacity import Sizes
    from moss_speech.registry.fetch import fetch_model

    if model:
        return Sizes.of_bundle(fetch_model(model))
    params = _pipeline(preset)
    lm = _config(params.init_backbone.source)
    made = settings().root / "models" / "codec" / "config.json"
    codec = CodecConfig.read(made) if _is_made_here(params) else PUBLISHED_CODEC
    flow = FlowConfig(
        **params.train_decoder.model.model_dump(),
        n_codes=codec.n_codes,
        codec_digest="",
        format=SPEAKING,
    )
    return Sizes(lm, codec, flow, vocoder_config(params.train_vocoder.model, SPEAKING))


def _is_made_here(params: "Pipeline") -> bool:
    from moss_speech.params.lm import Scratch

    return isinstance(params.init_backbone.source, Scratch)


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
