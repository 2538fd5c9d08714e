"""Members of a tar file, one at a time in constant memory; whatever is hostile stays unread."""

import bz2
import gzip
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from moss_speech.corpus.sources.manifests import Quarantined

LARGEST_BYTES = 500_000_000
"""Of a member. A larger one ends its file: what follows may lie behind a bomb."""
_STEP_BYTES = 1 << 20
_OPENERS: dict[bytes, Any] = {
    rb"\x1f\x8b": gzip.open,
    rb"BZh[1-9]1AY&SY": bz2.open,
    rb"\xfd7zXZ": lzma.open,
}
"""By what their files begin with. A plain tar file begins with the name of a member."""


@dataclass(frozen=True)
class Member:
    """A regular file of a tar file."""

    name: str
    content: bytes

    @property
    def key(self) -> str:
        """What members that belong together share: the name up to its first point."""
        folder, _, last = self.name.rpartition("/")
        return f"{folder}/{last.partition('.')[0]}" if folder else last.partition(".")[0]

    @property
    def ending(self) -> str:
        """The name's last part."""
        return self.name.rpartition(".")[2].lower()


class _Forward:
    """A stream that goes forward only and refuses to be read in one absurd piece."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._place = stream, 0
        self.last = b""

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> None:
        while self._place < place and self.read(min(_STEP_BYTES, place - self._place)):
            pass

    def read(self, size: int) -> bytes:
        if size > LARGEST_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        content = cast(bytes, self._stream.read(size))
        self._place += len(content)
        self.last = content
        return content


def tar_members(path: Path) -> Iterator[Member | Quarantined]:
    """The members in their order; links, devices and names that lead outside are quarantined.

    A damaged file gives what lies before the damage, then the damage.
    """
    try:
        with path.open("rb") as head:
            start = head.read(10)
        opener = next((o for magic, o in _OPENERS.items() if re.match(magic, start)), open)
        with opener(path, "rb") as stream:
            yield from _members(path, _Forward(stream))
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        yield Quarantined(path.name, "damaged", str(error) or "cut off", "a whole tar file")


def _members(path: Path, stream: _Forward) -> Iterator[Member | Quarantined]:
    with tarfile.TarFile(fileobj=cast(Any, stream), errorlevel=0) as tar:
        while (member := tar.next()) is not None:
            cast(Any, tar).members.clear()  # tarfile keeps every member it has seen
            name = PurePosixPath(member.name)
            if member.isdir():
                continue
            if not member.isreg():
                yield Quarantined(member.name, "member", "link or device", "a regular file")
            elif name.is_absolute() or ".." in name.parts:
                yield Quarantined(member.name, "path", member.name, "a path inside the tar file")
            elif member.size > LARGEST_BYTES:
                value = f"{member.size} bytes; the rest of {path.name} was not read"
                yield Quarantined(member.name, "size", value, f"at most {LARGEST_BYTES} bytes")
                return
            else:
                yield Member(member.name, _content(stream, member))
    if stream.last != bytes(tarfile.BLOCKSIZE):  # tarfile is silent about a damaged header
        raise tarfile.ReadError("it ends without the block that ends a tar file")


def _content(stream: _Forward, member: tarfile.TarInfo) -> bytes:
    stream.seek(member.offset_data)
    content = stream.read(member.size)
    if len(content) < member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")
    return content
