"""Presets: whole params files by name; params.yaml starts as a copy of one."""

from pathlib import Path

from moss_speech.storage import write_bytes


def presets(root: Path) -> dict[str, Path]:
    """Files of presets/ by name."""
    return {path.stem: path for path in sorted((root / "presets").glob("*.yaml"))}


def use_preset(root: Path, name: str | None) -> None:
    """Make params.yaml a copy of preset `name`; None leaves it as it is.

    Raises `ValueError` for an unknown name, or if params.yaml is no copy of any preset: edits
    of one's own are never overwritten.
    """
    if name is None:
        return
    known = presets(root)
    if name not in known:
        raise ValueError(f"no preset {name!r}; presets/ has {', '.join(known)}")
    params, wanted = root / "params.yaml", known[name].read_bytes()
    if params.is_file() and params.read_bytes() not in {p.read_bytes() for p in known.values()}:
        raise ValueError(
            f"params.yaml has edits of its own, so preset {name!r} is refused; leave the preset "
            "out to train with the edits, or copy a preset over params.yaml to drop them"
        )
    if not params.is_file() or params.read_bytes() != wanted:
        write_bytes(params, wanted)
