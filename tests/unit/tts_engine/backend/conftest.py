from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.fakes.tiny_csm import TinyCsm, make_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyCsm:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
