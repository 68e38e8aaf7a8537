from __future__ import annotations

import pytest
import torch

from tests.unit.finetune.tiny import Base, write_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
