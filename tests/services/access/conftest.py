"""A real server of two workers that asks for keys and records."""

from collections.abc import Iterator

import pytest

from moss_speech.settings import settings
from tests.services.access.guarded import LISTED, command
from tests.services.conftest import Server, serving


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    how = {
        "workers": "2",
        "auth": "keys",
        "origins": LISTED,
        "record": "true",
        "root": str(folder),
        "assets_folder": str(settings().assets),
    }
    with serving(folder, **how) as server:
        yield server


@pytest.fixture(scope="session")
def key(guarded: Server) -> str:
    return command(guarded, "add", "main")
