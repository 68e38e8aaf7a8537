"""A bot worker process: whole calls. `python -m bot.worker`, started by the edge; composition root."""

from __future__ import annotations

import structlog

_log = structlog.get_logger("zeng.worker")
