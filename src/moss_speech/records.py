"""What long work reports: to people a progress line, to the tracker curves and files."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_LINE = re.compile(r"^progress (?P<done>\d+)/(?P<total>\d+)(?: (?P<note>.*))?$")


class Tracker(Protocol):
    """Where a stage files what it learns about itself; `registry.tracking` implements it."""

    def params(self, values: Mapping[str, Any]) -> None:
        """File parameters; nested mappings become dotted names."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """File metrics of one step."""

    def datasets(self, digests: Mapping[Path, str]) -> None:
        """File folders of data with their digests as inputs."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """File a file or folder: report, plot, audio."""


class SilentTracker:
    """A tracker that files nothing: for tests and for library use."""

    def params(self, values: Mapping[str, Any]) -> None:
        """File nothing."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """File nothing."""

    def datasets(self, digests: Mapping[Path, str]) -> None:
        """File nothing."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """File nothing."""


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is: `done` of `total` units."""

    done: int
    total: int
    note: str = ""

    def __str__(self) -> str:
        return f"progress {self.done}/{self.total} {self.note}".rstrip()

    @classmethod
    def parse(cls, line: str) -> "Progress | None":
        """Read a line that `report_progress` printed; None for any other line."""
        if (match := _LINE.match(line.strip())) is None:
            return None
        return cls(int(match["done"]), int(match["total"]), match["note"] or "")


def report_progress(done: int, total: int, note: str = "") -> None:
    """Print one plain line that people read and the flow turns into a bar."""
    print(Progress(done, total, note), file=sys.stdout, flush=True)
