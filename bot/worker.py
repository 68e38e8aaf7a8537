"""A bot worker process: whole calls. `python -m bot.worker`, started by the edge; composition root."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn
from prometheus_client import CollectorRegistry

from bot.call import Call, CallServices
from bot.calls import Calls
from bot.log import set_up_logging
from bot.metrics import CallMetrics
from bot.settings import Settings, load_settings
from bot.speech_detector import SileroSession
from bot.worker_api import WorkerParts, WorkerStatus, worker_api
from telephony.leg import CallLeg, LegEnded

_log = structlog.get_logger("zeng.worker")
