"""The product with a CSM checkpoint for a voice: random weights, so it babbles, but every part of the path is real."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import open_phones
from tests.e2e.service import running_service
from tests.fakes.tiny_csm import write_tiny_csm

pytestmark = pytest.mark.timeout(300)


async def test_a_caller_hears_the_checkpoint_that_was_configured(tmp_path: Path) -> None:
    checkpoint = write_tiny_csm(tmp_path / "csm")
    with running_service(tmp_path, voice=str(checkpoint)) as service:
        async with open_phones(service.sip) as phones:
            caller = await phones.call()
            async with asyncio.timeout(60):
                while sum(float(np.abs(frame).mean()) > 30 for frame in caller.heard) < 100:
                    await asyncio.sleep(0.1)
            await caller.hang_up()
            await service.idle()
        assert "torch's default" in service.log.read_text()
