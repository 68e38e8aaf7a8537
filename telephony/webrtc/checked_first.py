"""Who checks first after an ICE restart: the far side, which then has our answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_WAIT_S = 3.0  # so long a page waits for an answer
_STEP_S = 0.02


async def checked_first(connection: Any, *, wanted: Callable[[], bool]) -> None:  # noqa: ANN401 - aioice's
    """Wait until the far side has checked a connection that does not check yet, 3 s at most, or it is not `wanted`.

    Chromium never uses a way of a restart by which our check came before our answer did, as UDP will before HTTP: it
    has no password for it, and takes none later. Where our NAT lets its checks in after ours only, the wait just ends.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _WAIT_S
    while not connection._early_checks and wanted() and loop.time() < until:  # noqa: ASYNC110, SLF001 - aioice tells nobody
        await asyncio.sleep(_STEP_S)
