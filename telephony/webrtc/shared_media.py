"""`SharedMedia`: what all WebRTC calls of a bot's loop have in common."""

from __future__ import annotations

import asyncio
import sys

from telephony.rtp.doorbell import Doorbell
from telephony.rtp.frame_clock import FrameClock
from telephony.rtp.syscalls import DatagramCalls


class SharedMedia:
    """One clock, one doorbell and the system calls. Made in the bot's loop; media runs in `loop`, or in the same."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        here = asyncio.get_running_loop()
        self.loop = here if loop is None else loop
        self.doorbell = Doorbell(here, woken=lambda: None)
        self.clock = FrameClock(self.loop, after_tick=self.doorbell.ring)
        self.calls = DatagramCalls() if sys.platform == "linux" else None
