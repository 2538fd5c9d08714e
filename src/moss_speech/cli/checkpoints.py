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


def _folders(model: str) -> tuple[Path, Path]:
    """A registered or plain bundle and its language model; twice the same if it is one alone."""
    from moss_speech.registry.fetch import fetch_model

    folder = Path(model) if Path(model).is_dir() else fetch_model(model)
    return folder, folder / "lm" if (folder / "lm").is_dir() else folder


def _licence(folder: Path, accept_unlicensed: bool) -> str:
    """What an exported card says of the licence; refuses what has none and is not accepted."""
    from moss_speech.card import CARD, read_card
    from moss_speech.licence import check_licence, licence_files

    option = "--accept-unlicensed"
    if not (folder / CARD).is_file():
        check_licence(folder, accept_unlicensed, option)
        names = ", ".join(path.name for path in licence_files(folder))
        return names or f"none found; accepted by {option}"
    about = read_card(folder).about
    if (base := about.unlicensed) is None:
        return about.licence
    if not accept_unlicensed:
        raise ValueError(
            f"{folder} was made from {base}, which has no licence file: ask its maker what its "
            f"weights allow, then set {option}, which the card records"
        )
    return f"{about.licence}; made from {base}, which has none, accepted by {option}"


@app.command()
@plain_errors
def export(
    model: Model,
    out: Out,
    layout: Annotated[
        Literal["released", "qwen3"], typer.Option(help="MOSS-Speech, or its text path as Qwen3")
    ] = "released",
    weights: Annotated[
        Literal["kept", "int8", "int4"], typer.Option(help="Type of the linear layers' weights")
    ] = "kept",
    group_size: Annotated[
        int, typer.Option(help="Inputs that share an int4 scale: 32, 64 or 128")
    ] = 128,
    max_shard_gb: Annotated[float, typer.Option(min=0.000001)] = 5.0,
    accept_unlicensed: Annotated[
        bool, typer.Option("--accept-unlicensed", help="Export weights without a licence file")
    ] = False,
) -> None:
    """Write a language model for other engines."""
    from moss_speech.lm.export import export_lm
    from moss_speech.lm.quantize import Scheme

    bundle, source = _folders(model)
    licence = _licence(bundle, accept_unlicensed)
    group = group_size if weights == "int4" else None
    scheme = None if weights == "kept" else Scheme(weights, group)
    export_lm(source, out, layout, int(max_shard_gb * 1e9), scheme, licence)
    before, after = (f"{_weights_bytes(folder) / 1e6:,.1f}" for folder in (source, out))
    typer.echo(f"{out} ({layout}, weights {weights}: {before} MB before, {after} MB after)")


def _weights_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


@app.command()
@plain_errors
def verify(
    folder: Annotated[Path, typer.Argument(help="What `export` wrote")],
    model: Model,
    as_json: Json = False,
) -> None:
    """Compare an exported model with its source; exit code 1 if a tensor is not what it makes.

    Quantised weights must lie within half a step; the change of the logits is measured.
    """
    from dataclasses import asdict

    from moss_speech.lm.verify import compare

    found = compare(folder, _folders(model)[1])
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(
            f"{found.layout}, weights {found.weights}: {found.changed_tensors} of {found.tensors} "
            f"tensors differ; largest change of {found.logits:,} logits {found.largest_change:g}, "
            f"mean {found.mean_change:.3g} (largest logit {found.largest_logit:.3g}); "
            f"{found.same_choice:.1%} of rows choose the same"
        )
    if not found.right:
        raise typer.Exit(1)
