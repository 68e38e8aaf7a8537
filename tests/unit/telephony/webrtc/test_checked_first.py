from __future__ import annotations

import asyncio
from types import SimpleNamespace

from telephony.webrtc.checked_first import checked_first


async def test_the_wait_ends_with_the_first_check_of_the_far_side() -> None:
    connection = SimpleNamespace(_early_checks=[])
    waiting = asyncio.create_task(checked_first(connection, wanted=lambda: True))
    await asyncio.sleep(0)
    assert not waiting.done()

    connection._early_checks.append("a check")
    await asyncio.wait_for(waiting, 2.0)


async def test_nobody_waits_for_a_restart_that_was_overtaken() -> None:
    await asyncio.wait_for(checked_first(SimpleNamespace(_early_checks=[]), wanted=lambda: False), 0.5)
