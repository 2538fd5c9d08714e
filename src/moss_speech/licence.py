"""Licence files of model folders: weights without one are used only by an explicit acceptance."""

from pathlib import Path

PATTERNS = ("LICENSE*", "LICENCE*")
"""Names of licence files."""


def licence_files(folder: Path) -> list[Path]:
    """The licence files of a model folder; empty if it has none."""
    found = {path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)


def check_licence(folder: Path, accept_unlicensed: bool, switch: str) -> None:
    """Refuse weights without a licence file that nobody accepted, by `ValueError`.

    An acceptance of weights that have one is refused too, so that it always means what it says.
    `switch` is how to accept.
    """
    found = licence_files(folder)
    if not found and not accept_unlicensed:
        raise ValueError(
            f"{folder} has no licence file ({' or '.join(PATTERNS)}): ask its maker what its "
            f"weights allow, then put a licence file there or set {switch}, which the card records"
        )
    if found and accept_unlicensed:
        raise ValueError(f"{folder} has {found[0].name}: {switch} is for weights without one")
