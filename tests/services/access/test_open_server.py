"""A real server that asks for no keys says so, once, however many workers it has."""

import pytest

from tests.services.access.test_server import WARNING
from tests.services.conftest import Server

pytestmark = pytest.mark.timeout(400)


def test_start_warns_of_an_open_service_once(server: Server) -> None:
    assert server.log.read_text().count(WARNING) == 1
