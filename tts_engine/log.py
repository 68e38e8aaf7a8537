"""Logging of a process: structlog and `logging` on one stream, one line an event, its time and process on it."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TypeAlias

import structlog
from structlog.typing import EventDict

LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_OURS = ("telephony", "bot", "tts_engine")  # what others say for information is for them who debug them


def set_up_logging(*, level: LogLevel, process: str) -> None:
    """Send everything to stderr; every line begins with its time (UTC) and names the process."""
    number = logging.getLevelNamesMapping()[level]

    def with_process(_: object, __: str, event: EventDict) -> EventDict:
        return {"process": process, **event}

    shared = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        with_process,
    )
    written = (
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
        ),
    )
    structlog.configure(
        processors=[*shared, *written],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(number)
