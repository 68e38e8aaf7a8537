"""A bot worker process: whole calls. `python -m bot.worker`, started by the edge; composition root."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn
from prometheus_client import CollectorRegistry

from bot.call import Call, CallServices
from bot.calls import Calls
from bot.errors import BotError
from bot.log import set_up_logging
from bot.metrics import CallMetrics
from bot.services_of import call_services
from bot.settings import Settings, load_settings
from bot.worker_api import WorkerParts, WorkerStatus, worker_api
from telephony.leg import CallLeg, LegEnded
from telephony.rtp.media import RtpMediaFactory
from telephony.rtp.media_thread import MediaThread
from telephony.sip.worker_carrier import WorkerCarrier
from telephony.webrtc.endpoint import WebRtcEndpoint

_log = structlog.get_logger("zeng.worker")
