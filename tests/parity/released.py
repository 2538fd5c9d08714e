"""Names and shapes of the released decoder checkpoints' tensors, whole and damaged."""

from pathlib import Path

from moss_speech.storage import read_json

DATA = Path(__file__).parent / "data"
Shapes = dict[str, tuple[int, ...]]


def released_shapes(name: str) -> Shapes:
    """Shape of each tensor of a list in data/."""
    return {tensor: tuple(shape) for tensor, shape in read_json(DATA / name).items()}


def damaged(shapes: Shapes, damage: str, name: str, unknown: str) -> tuple[Shapes, str]:
    """The list with one tensor missing, unknown or of another shape, and that tensor's name."""
    match damage:
        case "missing":
            return {n: shape for n, shape in shapes.items() if n != name}, name
        case "unknown":
            return shapes | {unknown: ()}, unknown
        case _:
            return shapes | {name: (511,)}, name
