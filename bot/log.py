"""Logging of the bot's processes: as the speech server's (`tts_engine/log.py`), and Pipecat's loguru with it."""

from __future__ import annotations

import logging
import sys

from loguru import logger as loguru_logger

from tts_engine.log import LogLevel, set_up_logging


def set_up_bot_logging(*, level: LogLevel, process: str) -> None:
    """Send everything to stderr; every line begins with its time (UTC) and names the process."""
    set_up_logging(level=level, process=process)
    loguru_logger.remove()
    # Pipecat logs transcripts and sentences at DEBUG; they are personal and stay out.
    loguru_logger.add(
        sys.stderr,
        level=max(logging.getLevelNamesMapping()[level], logging.WARNING),
        format=lambda record: (
            f"{{time:YYYY-MM-DDTHH:mm:ss.SSSSSS!UTC}}Z [{record['level'].name.lower():<9}] "
            f"{{message}} [{{name}}] process={process}\n{{exception}}"
        ),
    )
