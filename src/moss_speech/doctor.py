"""What this machine has and lacks: Python, versions, disk, programs, audio, ports, weights."""

import importlib.metadata
import io
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from moss_speech.params.base import read_yaml
from moss_speech.settings import settings

MIN_FREE_GB = 5.0
"""What the demo preset writes at most: corpus, DVC's copies, checkpoints, registry."""
_GB = 1_000_000_000
_PROGRAMS = ("espeak-ng", "flite")
_PORTS = {3000: "bentoml serve", 5000: "the MLflow UI", 4200: "the Prefect UI"}


@dataclass(frozen=True)
class Check:
    """One finding; `remedy` says what to type if it is not good."""

    name: str
    good: bool
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{'ok  ' if self.good else 'LACK'}  {self.name}: {self.found}"
        return line if self.good else f"{line}\n      {self.remedy}"


def python() -> Check:
    """The interpreter is the one that the versions are pinned for."""
    good = platform.python_version_tuple()[:2] == ("3", "11")
    return Check("python", good, platform.python_version(), "python 3.11 is needed; `make setup`")


def versions() -> Check:
    """Installed packages are those of constraints.txt."""
    path = settings().root / "constraints.txt"
    if not path.is_file():
        return Check("versions", False, f"{path} is missing", "work in a clone of the repository")
    pinned = dict(line.split("==") for line in path.read_text().splitlines() if "==" in line)
    other = [
        f"{name} {found} (pinned {version})"
        for name, version in pinned.items()
        if (found := _installed(name)) not in (version, None)
    ]
    shown = ", ".join(other[:5]) or f"as pinned in {path.name}"
    return Check("versions", not other, shown, "`make setup` installs the pinned versions")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def disk() -> Check:
    """There is room for a training run."""
    free_gb = shutil.disk_usage(settings().root).free / _GB
    remedy = f"free at least {MIN_FREE_GB:g} GB; `make clean` says what it can remove"
    return Check("disk", free_gb >= MIN_FREE_GB, f"{free_gb:.1f} GB free", remedy)


def programs() -> Check:
    """The synthesisers that are system programs are installed."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    found = f"{', '.join(missing)} missing" if missing else ", ".join(_PROGRAMS)
    return Check("programs", not missing, found, f"apt-get install -y {' '.join(missing)}")


def audio() -> Check:
    """A sound survives being written as FLAC and read again."""
    import numpy as np
    import soundfile

    wave_S = np.sin(np.arange(2400) / 7).astype(np.float32) / 2
    buffer = io.BytesIO()
    soundfile.write(buffer, wave_S, 24000, format="FLAC", subtype="PCM_16")
    buffer.seek(0)
    error = float(np.abs(soundfile.read(buffer, dtype="float32")[0] - wave_S).max())
    return Check("audio", error < 1e-4, f"FLAC, error {error:.1e}", "`make setup`")


def ports() -> Check:
    """The ports of the service and the UIs are free; `make serve PORT=...` takes another."""
    taken = [f"{port} ({what})" for port, what in _PORTS.items() if _is_taken(port)]
    found = f"{', '.join(taken)} in use" if taken else ", ".join(map(str, _PORTS))
    return Check("ports", not taken, found, "stop what listens there or give PORT=another")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def weights() -> Check:
    """Third-party weights lie in the cache, or may be downloaded."""
    from moss_speech.assets import ASSETS

    missing = [name for name in ASSETS if not (settings().assets / name).is_dir()]
    found = f"{len(ASSETS) - len(missing)} of {len(ASSETS)} in {settings().assets}"
    if missing and not settings().offline:
        found += "; the others are downloaded when first used"
    return Check("weights", not (missing and settings().offline), found, "unset MOSS_OFFLINE")


def memory() -> Check:
    """The machine has the memory that the demo needs."""
    total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
    return Check("memory", total_gb >= 6, f"{total_gb:.1f} GB", "the demo needs 6 GB")


CHECKS: tuple[Callable[[], Check], ...] = (
    python,
    versions,
    memory,
    disk,
    programs,
    audio,
    ports,
    weights,
)


def examine() -> Iterator[Check]:
    """Every check, in order."""
    for check in CHECKS:
        yield check()


def require_ready() -> None:
    """What a training run cannot do without; `ValueError` names what is missing and the remedy."""
    wanted = [disk]
    if read_yaml(settings().root / "params.yaml").get("corpus", {}).get("embedded"):
        wanted.append(programs)
    for check in wanted:
        if not (found := check()).good:
            raise ValueError(f"{found.name}: {found.found}; {found.remedy}")


def require_port(port: int) -> None:
    """`ValueError` if somebody listens on a loopback port already."""
    if _is_taken(port):
        raise ValueError(f"port {port} is in use; stop what listens there or give another port")
