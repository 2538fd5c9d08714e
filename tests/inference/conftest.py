from pathlib import Path

import pytest
import torch

from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"), ("assistant", "second"))


@pytest.fixture(scope="session")
def engine(bundle_folder: Path) -> Engine:
    torch.set_num_threads(1)  # tiny matrices: more threads only wait for each other
    return Engine(Bundle.open(bundle_folder))
