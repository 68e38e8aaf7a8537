"""SIGTERM in the middle of a call."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.e2e.conftest import open_phones
from tests.e2e.service import running_service
from tests.waiting import HUNG_S


async def test_a_service_that_is_asked_to_end_lets_its_call_end_first(tmp_path: Path) -> None:
    with running_service(tmp_path, ZENG_WORKERS__DRAIN_S="20") as service:
        async with open_phones(service.sip) as phones:
            caller = await phones.call()
            await caller.until_bot_speaks()

            service.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(1.5)
            assert service.process.poll() is None
            assert caller.ended is None
            heard = len(caller.heard)
            await asyncio.sleep(0.5)
            assert len(caller.heard) - heard >= 15  # of 25 frames: the call goes on

            await caller.hang_up()
            async with asyncio.timeout(HUNG_S):
                while service.process.poll() is None:
                    await asyncio.sleep(0.1)
        assert service.process.returncode == 0
