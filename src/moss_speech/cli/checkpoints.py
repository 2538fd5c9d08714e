"""Commands on language models as folders: make a random one, export, verify."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.cli.options import Json

Out = Annotated[Path, typer.Argument(help="A new folder")]
Model = Annotated[
    str, typer.Argument(help="Registry address, bundle folder, or language model folder")
]


app = typer.Typer()


@app.command("make-checkpoint")
@plain_errors
def make_checkpoint(
    out: Out,
    hidden: Annotated[int, typer.Option(min=8)] = 64,
    intermediate: Annotated[int, typer.Option(min=8)] = 160,
    trunk_layers: Annotated[int, typer.Option(min=0)] = 2,
    tail_layers: Annotated[int, typer.Option(min=0)] = 1,
    heads: Annotated[int, typer.Option(min=1)] = 4,
    kv_heads: Annotated[int, typer.Option(min=1)] = 2,
    head_dim: Annotated[int, typer.Option(min=2)] = 16,
    codes: Annotated[int, typer.Option(min=2, help="Codes of the codec")] = 512,
    text_vocab: Annotated[int, typer.Option(min=261)] = 600,
    max_rows: Annotated[int, typer.Option(min=64)] = 2048,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option()] = "float32",
    max_shard_mb: Annotated[float, typer.Option(min=0.001)] = 1000.0,
) -> None:
    """Write a small random model in the released layout, for tests of whatever reads it."""
    from moss_speech.lm import checkpoint
    from moss_speech.params.lm import Shape

    shape = Shape(
        n_text_vocab=text_vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        n_trunk_layers=trunk_layers,
        n_heads=heads,
        n_kv_heads=kv_heads,
        head_dim=head_dim,
        max_rows=max_rows,
        rope_theta=1e6,
    )
    shard_bytes = int(max_shard_mb * 1e6)
    checkpoint.make_checkpoint(out, shape, tail_layers, codes, seed, dtype, shard_bytes)
    typer.echo(str(out))


def _lm_folder(model: str) -> Path:
    """The language model of a registered or plain bundle, or a folder that is one."""
    from moss_speech.registry.fetch import fetch_model

    folder = fetch_model(model)
    return folder / "lm" if (folder / "lm").is_dir() else folder


@app.command()
@plain_errors
def export(
    model: Model,
    out: Out,
    layout: Annotated[
        Literal["released", "qwen3"], typer.Option(help="MOSS-Speech, or its text path as Qwen3")
    ] = "released",
    max_shard_gb: Annotated[float, typer.Option(min=0.000001)] = 5.0,
) -> None:
    """Write a language model for other engines."""
    from moss_speech.lm.export import export_lm

    export_lm(_lm_folder(model), out, layout, int(max_shard_gb * 1e9))
    typer.echo(f"{out} ({sum(f.stat().st_size for f in out.iterdir()) / 1e6:,.1f} MB, {layout})")


@app.command()
@plain_errors
def verify(
    folder: Annotated[Path, typer.Argument(help="What `export` wrote")],
    model: Model,
    as_json: Json = False,
) -> None:
    """Compare an exported model with its source; exit code 1 if anything differs."""
    from dataclasses import asdict

    from moss_speech.lm.verify import compare

    found = compare(folder, _lm_folder(model))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(
            f"{found.layout}: {found.changed_tensors} of {found.tensors} tensors differ; largest "
            f"change of {found.logits:,} logits {found.largest_change:g} "
            f"(largest logit {found.largest_logit:.3g})"
        )
    if not found.identical:
        raise typer.Exit(1)
