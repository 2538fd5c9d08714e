"""Commands that keep house: gc, backup, restore, upgrade-stores."""

from pathlib import Path
from typing import Annotated

import typer

from moss_speech.cli.errors import plain_errors
from moss_speech.settings import settings

app = typer.Typer()


@app.command()
@plain_errors
def gc(
    dry_run: Annotated[bool, typer.Option(help="Only list what would go, why, and bytes")] = False,
) -> None:
    """Delete bundles, Bentos, cache files and checkpoints that no kept version needs.

    Champions, what they replaced, approved and served versions stay, and MOSS_KEEP_CANDIDATES more.
    """
    from moss_speech.registry.gc import collect, find_waste
    from moss_speech.registry.keeping import kept_versions

    for version, why in sorted(kept_versions().items()):
        typer.echo(f"kept  version {version}: {why}")
    found = find_waste() if dry_run else collect()
    for waste in found:
        said = "would go" if dry_run else "gone"
        typer.echo(f"{said}  {waste.size_bytes:>12,} B  {waste.kind} {waste.path}: {waste.why}")
    total_mb = sum(waste.size_bytes for waste in found) / 1e6
    typer.echo(f"{len(found)} things, {total_mb:.1f} MB{' would go' if dry_run else ' freed'}")


@app.command()
@plain_errors
def backup(
    target: Annotated[Path, typer.Argument(help="A new folder; it will hold secrets")],
) -> None:
    """Copy stores, artifacts, DVC's cache and settings, each file with its digest."""
    from moss_speech.registry.backup import backup as write
    from moss_speech.registry.restore import recover

    if recover(settings()):
        typer.echo("a restore that was interrupted has been undone")
    manifest = write(target.absolute())
    size_mb = sum(sealed.bytes for sealed in manifest.files.values()) / 1e6
    typer.echo(f"{target}: {len(manifest.files)} files, {size_mb:.1f} MB")
    if manifest.mlflow == "elsewhere":
        typer.echo("runs and artifacts are behind a tracking server: back that up where it runs")
    if not manifest.cache:
        typer.echo("DVC's cache lies outside the project root: back that up where it is")


@app.command()
@plain_errors
def restore(
    source: Annotated[Path, typer.Argument(help="A folder that backup wrote")],
    replace: Annotated[bool, typer.Option(help="Over a root that holds something")] = False,
) -> None:
    """Check a backup and put it into this project root; stop services and pipelines first."""
    from moss_speech.registry.restore import restore as put_back

    manifest = put_back(source.absolute(), replace)
    typer.echo(f"restored what was saved at {manifest.made_at}; `dvc checkout` brings data back")


@app.command("upgrade-stores")
@plain_errors
def upgrade_stores() -> None:
    """Bring MLflow's store and the catalogue to this version, after a copy; stop services first."""
    from moss_speech.catalogue.database import open_catalogue
    from moss_speech.registry.upgrade import upgrade_store

    open_catalogue(settings().catalogue_url)
    typer.echo("the catalogue is up to date")
    copy = upgrade_store(settings())
    done = f"has been upgraded; the old one is {copy}" if copy else "is up to date"
    typer.echo(f"MLflow's store {done}")
