"""Builds what all calls of a worker share, from settings."""

from __future__ import annotations

import contextlib

from bot.call import CallServices
from bot.metrics import CallMetrics
from bot.settings import Settings


async def call_services(
    settings: Settings, metrics: CallMetrics, stack: contextlib.AsyncExitStack
) -> CallServices: ...
