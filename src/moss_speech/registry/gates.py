"""Gates: the floors that a candidate must reach, compared with what it reached."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moss_speech.params.gates import Gates


@dataclass(frozen=True)
class GateResult:
    """One gate: its figure, the floor, and whether it is met; a missing figure never is."""

    name: str
    value: float | None
    limit: float
    met: bool

    def __str__(self) -> str:
        value = "missing" if self.value is None else f"{self.value:.3f}"
        return f"{self.name} is {value}, must be at least {self.limit:.3f}"


def check_gates(values: Mapping[str, float], gates: Gates) -> list[GateResult]:
    """Compare the figures of a bundle with every floor, in the order of the params."""
    return [
        GateResult(name, values.get(name), limit, name in values and values[name] >= limit)
        for name, limit in gates.at_least.items()
    ]


def shortfall(results: Sequence[GateResult]) -> str:
    """The gates that are not met in one line; empty if all are."""
    return "; ".join(str(result) for result in results if not result.met)


def may_register(gates: Gates, root: Path) -> bool:
    """Whether models made with these params may enter the registry of this project root."""
    temporary = Path(tempfile.gettempdir()).resolve()
    return gates.register_in == "any_root" or root.resolve().is_relative_to(temporary)
