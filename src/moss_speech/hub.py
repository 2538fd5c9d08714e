"""Model folders by name: a path, or `hub:OWNER/NAME@REVISION` from the model hub.

A revision is a full commit hash, so that equal params mean equal weights.
"""

import re
from pathlib import Path

from moss_speech.licence import PATTERNS
from moss_speech.settings import settings

_ADDRESS = re.compile(r"^hub:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})$")
_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", *PATTERNS]
"""Data alone: neither code nor pickles are fetched."""


def model_folder(address: str) -> Path:
    """The folder at an address; relative paths are taken from the project root.

    Raises `ValueError` for a missing folder or an address without a revision, `OSError` if the
    hub is needed but forbidden (MOSS_OFFLINE) or does not have it.
    """
    if not address.startswith("hub:"):
        folder = settings().root / address
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is no folder; put the model there, or name hub:OWNER/NAME@REVISION"
            )
        return folder
    if (match := _ADDRESS.match(address)) is None:
        raise ValueError(
            f"{address!r} is no address of the hub, must be hub:OWNER/NAME@REVISION with the 40 "
            "hex digits of a commit"
        )
    return _download(match["repo"], match["revision"])


def _download(repo: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    here = settings()
    found = snapshot_download(
        repo,
        revision=revision,
        cache_dir=here.state / "hub",
        allow_patterns=_WANTED,
        local_files_only=here.offline,
        endpoint=here.hub_endpoint,
    )
    return Path(found)
