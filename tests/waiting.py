"""Waiting for what must come, on a machine that may be busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

HUNG_S = 30.0
"""After so long what a test waits for counts as hung. Nothing is measured by it: it is ten times what a loaded machine
takes, and less than 64 * T1 of SIP (RFC 3261), whose timeouts would end what hangs and hide it."""


async def eventually(truth: Callable[[], object]) -> None:
    """Return once `truth()` is true."""
    async with asyncio.timeout(HUNG_S):
        while not truth():
            await asyncio.sleep(0.005)
