"""A released language model and codec, as downloaded, made into a bundle that is served.

The bundle lies in the state folder and is made once for the same files; it holds no voice, as no
release has one: voices are those that people added to the project.
"""

import hashlib
import json
import logging
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moss_speech.bundle import ModelFolders, write_bundle
from moss_speech.card import CARD, About
from moss_speech.inference.import_codec import FLOW, RECORD, import_codec, is_released_codec
from moss_speech.licence import check_licence, licence_files
from moss_speech.lm.sampling import PUBLISHED
from moss_speech.params.bundle import Generation
from moss_speech.storage import exclusive, read_json, tree_digest

MAX_ROWS = 500
"""Longest answer of the released demo: 40 s of speech."""
SWITCH = "MOSS_ACCEPT_UNLICENSED=true"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Release:
    """Where the parts of a release lie, and whether weights without a licence are accepted."""

    lm: Path
    codec: Path
    """As released, or as `moss-speech import-codec` wrote it."""
    accept_unlicensed: bool

    @property
    def key(self) -> str:
        """Changes when a file does; needs no reading of weights."""
        files = [p for folder in (self.lm, self.codec) for p in folder.rglob("*") if p.is_file()]
        seen = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(files)]
        facts = [self.accept_unlicensed, seen]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def is_released_lm(folder: Path) -> bool:
    """Whether a folder is a language model by itself, in the released layout."""
    config = folder / "config.json"
    if (folder / CARD).is_file() or not config.is_file():
        return False
    values = read_json(config)
    return isinstance(values, dict) and values.get("model_type") == "moss_speech"


def released_bundle(release: Release, store: Path) -> Path:
    """The bundle of a release below `store`; made if it is not there.

    Raises `ValueError` for weights without a licence that nobody accepted, and for parts that are
    damaged or do not fit each other.
    """
    licence, base = _licence(release)
    if release.accept_unlicensed:
        _logger.warning("weights without a licence are used: %s", licence)
    folder = store / release.key
    if folder.is_dir():
        return folder
    with exclusive(store / "lock", f"the folder {store}"), tempfile.TemporaryDirectory() as made:
        codec = release.codec
        if is_released_codec(codec):
            codec = Path(made)
            import_codec(release.codec, codec)
        parts = ModelFolders(release.lm, codec, codec / "flow", codec / "flow" / "hift")
        write_bundle(folder, parts, [], _about(release, licence, base), link=True)
    _logger.info("%s: made of %s and %s, licence: %s", folder, release.lm, release.codec, licence)
    return folder


def _licence(release: Release) -> tuple[str, Path]:
    """What the card says of licences, and the folder that it says it of."""
    bare = [f for f in (release.lm, release.codec) if not licence_files(f) and not _accepted(f)]
    base = bare[0] if bare else release.lm
    check_licence(base, release.accept_unlicensed, SWITCH)
    names = [str(path) for f in (release.lm, release.codec) for path in licence_files(f)]
    none = [f"{folder} has none, accepted by {SWITCH}" for folder in bare]
    return "; ".join([*names, *none]), base


def _accepted(codec: Path) -> bool:
    """Whether an imported codec records that somebody accepted it without a licence."""
    record = codec / RECORD
    return record.is_file() and "accepted" in str(read_json(record).get("licence"))


def _about(release: Release, licence: str, base: Path) -> About:
    source = {
        "kind": "released",
        "folder": str(base),
        "accept_unlicensed": release.accept_unlicensed,
    }
    params: dict[str, Any] = {"init_backbone": {"source": source}, "codec": str(release.codec)}
    if is_released_codec(release.codec):
        params["flow"] = FLOW
    return About(
        name="moss-speech",
        licence=licence,
        normalise_text=False,
        generation=Generation(**asdict(PUBLISHED), max_rows=MAX_ROWS),
        parents={"lm": tree_digest(release.lm), "codec": tree_digest(release.codec)},
        params=params,
        sources=[],
    )
