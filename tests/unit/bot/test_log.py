"""The log of a process, in a process of its own: it is set up once and for all."""

from __future__ import annotations

import re
import subprocess
import sys

SCRIPT = """
import logging
import structlog
from loguru import logger
from bot.log import set_up_bot_logging

set_up_bot_logging(level="INFO", process="worker-3")
structlog.get_logger("zeng.call").info("call ended", seconds=4)
logging.getLogger("telephony.sip.trunk_endpoint").info("trunk %s is up", "azercell")
logging.getLogger("uvicorn.error").info("none of ours")
logger.warning("of Pipecat")
logger.info("what somebody said")
try:
    raise RuntimeError("broken")
except RuntimeError:
    logging.getLogger("asyncio").exception("a task failed")
"""


def test_every_line_tells_its_time_and_process_whoever_writes_it() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)

    begun = [line for line in ran.stderr.splitlines() if re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[", line)]
    told = [re.split(r"\]\s+", line, maxsplit=1)[1] for line in begun]
    assert [re.split(r"\s+\[|\s{2,}|\s\w+=", line)[0] for line in told] == [
        "call ended", "trunk azercell is up", "of Pipecat", "a task failed",
    ]  # fmt: skip
    assert all("process=worker-3" in line for line in begun)
    assert "[telephony.sip.trunk_endpoint]" in begun[1]
    assert "RuntimeError: broken" in ran.stderr
    assert "none of ours" not in ran.stderr
    assert "Remove `format_exc_info`" not in ran.stderr
    assert "somebody" not in ran.stderr
    assert ran.stdout == ""
