"""The model hub's real client against a server of its protocol on loopback."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from moss_speech import hub
from moss_speech.lm.load import load_lm
from moss_speech.settings import Settings
from tests.lm.small import small_checkpoint

REVISION = "0123456789abcdef0123456789abcdef01234567"
JSON = {"Content-Type": "application/json"}
ADDRESS = f"hub:team/small@{REVISION}"


class Hub(BaseHTTPRequestHandler):
    """One repository at one revision; everything else is not found."""

    folder: Path
    asked: list[str]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        self.asked.append(path)
        files = {f"/team/small/resolve/{REVISION}/{f.name}": f for f in self.folder.iterdir()}
        if path == f"/api/models/team/small/revision/{REVISION}":
            info = {"id": "team/small", "sha": REVISION}
            self._send(json.dumps(info).encode(), body, JSON)
        elif path == f"/api/models/team/small/tree/{REVISION}":
            tree = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40}
                for f in sorted(self.folder.iterdir())
            ]
            self._send(json.dumps(tree).encode(), body, JSON)
        elif path in files:
            content = files[path].read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            self._send(content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": REVISION})
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    small_checkpoint(tmp_path / "published", max_shard_bytes=300_000)
    (tmp_path / "published" / "modeling.py").write_text("raise SystemExit\n")
    (tmp_path / "published" / "pytorch_model.bin").write_bytes(b"a pickle")
    Hub.folder, Hub.asked = tmp_path / "published", []
    web = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    _use(monkeypatch, tmp_path, web.server_port)
    yield Hub
    web.shutdown()
    web.server_close()


def _use(monkeypatch: pytest.MonkeyPatch, root: Path, port: int, offline: bool = False) -> None:
    here = Settings(root=root, hub_endpoint=f"http://127.0.0.1:{port}", offline=offline)
    monkeypatch.setattr(hub, "settings", lambda: here)


def test_model_of_the_hub_is_fetched_once_and_without_code(
    server: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hub.model_folder(ADDRESS)
    assert folder.is_relative_to(tmp_path)
    names = {f.name for f in folder.iterdir()}
    assert names == {f.name for f in server.folder.iterdir()} - {"modeling.py", "pytorch_model.bin"}
    there, here = load_lm(server.folder).state_dict(), load_lm(folder).state_dict()
    assert all(torch.equal(w, here[name]) for name, w in there.items())
    _use(monkeypatch, tmp_path, port=9, offline=True)
    assert hub.model_folder(ADDRESS) == folder


def test_revision_that_the_hub_lacks_is_an_error(server: type[Hub]) -> None:
    with pytest.raises(OSError, match="Revision Not Found"):
        hub.model_folder(ADDRESS.replace("0", "f"))


def test_offline_machine_without_the_model_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, tmp_path, port=9, offline=True)
    with pytest.raises(OSError):
        hub.model_folder(ADDRESS)


@pytest.mark.parametrize(
    "address", ["hub:team/small", "hub:team/small@main", "hub:small@" + "0" * 40]
)
def test_address_without_a_pinned_revision_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be hub:OWNER/NAME@REVISION"):
        hub.model_folder(address)


def test_folder_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, tmp_path, port=9)
    with pytest.raises(ValueError, match="no-such is no folder"):
        hub.model_folder("checkpoints/no-such")
