"""The description at /openapi.json is whole and true: calls made from it, wrong ones too."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.conftest import ROOT, Server

pytestmark = pytest.mark.timeout(1500)
SHORT_EXAMPLES, LONG_EXAMPLES = 10, 700
LONG_CALLS = 5000


def described(server: Server) -> dict[str, Any]:
    return dict(httpx.get(f"{server.url}/openapi.json").json())


def fuzz(server: Server, n_examples: int, folder: Path) -> int:
    """Calls that schemathesis made; it fails for a 5xx or an answer that was not described."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run"),
        f"{server.url}/openapi.json",
        *("--phases", "coverage,fuzzing,stateful"),
        *("--max-examples", str(n_examples)),
        *("--seed", "1"),
        *("--generation-database", "none"),
        "--no-color",
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.services.fuzz_hooks", "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | hooks, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Traceback" not in server.log.read_text()
    made = re.search(r"(\d+) generated", ran.stdout)
    assert made is not None, ran.stdout
    return int(made[1])


def test_every_route_is_described_with_its_bodies_and_errors(server: Server) -> None:
    whole = described(server)
    assert set(whole["paths"]) == {
        "/v1/models",
        "/v1/models/{model}",
        "/v1/chat/completions",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/realtime/client_secrets",
    }
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], path
            assert {"200", "4XX", "5XX"} <= set(operation["responses"]), path
            assert operation["responses"]["200"]["content"], path
            assert (method == "post") == ("requestBody" in operation), path
    schemas = whole["components"]["schemas"]
    assert set(schemas["ErrorDetail"]["properties"]) == {"message", "type", "param", "code"}
    assert "temperature" in schemas["ChatRequest"]["properties"]
    assert whole["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_reference_in_the_description_exists(server: Server) -> None:
    whole = described(server)

    def check(value: Any) -> None:
        if isinstance(value, dict):
            if reference := value.get("$ref"):
                assert reference.removeprefix("#/components/schemas/") in schemas
            for part in value.values():
                check(part)
        elif isinstance(value, list):
            for part in value:
                check(part)

    schemas = whole["components"]["schemas"]
    check(whole)


def test_no_page_of_documentation_loads_from_elsewhere(server: Server) -> None:
    for path in ("/docs", "/redoc"):
        assert httpx.get(f"{server.url}{path}").status_code == 404


def test_unknown_addresses_and_methods_get_the_same_shape(server: Server) -> None:
    cases = [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("TRACE", "/v1/audio/speech", 405, "method_not_allowed"),
        ("GET", "/v1/models/gpt", 404, "model_not_found"),
    ]
    for method, path, status, code in cases:
        answer = httpx.request(method, f"{server.url}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert ("allow" in answer.headers) == (status == 405), path


def test_calls_made_from_the_description_are_answered_as_described(
    server: Server, tmp_path: Path
) -> None:
    assert fuzz(server, SHORT_EXAMPLES, tmp_path) > 100


@pytest.mark.slow
def test_many_calls_made_from_the_description(server: Server, tmp_path: Path) -> None:
    n_calls = fuzz(server, LONG_EXAMPLES, tmp_path)
    print(f"{n_calls} calls")
    assert n_calls >= LONG_CALLS
