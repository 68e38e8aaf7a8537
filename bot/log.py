"""Logging of a process: structlog and Pipecat's loguru on one stream, one line an event, the call id on it."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TypeAlias

import structlog
from loguru import logger as loguru_logger

LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def set_up_logging(*, level: LogLevel, process: str) -> None:
    """Send everything to stderr."""
    number = logging.getLevelNamesMapping()[level]
    logging.basicConfig(
        stream=sys.stderr, level=max(number, logging.WARNING), format="%(levelname)s %(name)s %(message)s"
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    loguru_logger.remove()
    # Pipecat logs transcripts and sentences at DEBUG; they are personal and stay out.
    loguru_logger.add(sys.stderr, level=max(number, logging.WARNING), format="{time:HH:mm:ss} {level} {name} {message}")
