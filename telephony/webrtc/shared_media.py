"""`SharedMedia`: what all WebRTC calls of a bot's loop have in common."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from telephony.audio.opus_memory import PacketMemory
from telephony.rtp.doorbell import Doorbell
from telephony.rtp.frame_clock import FrameClock
from telephony.rtp.syscalls import DatagramCalls

_REMEMBERED_PACKETS: Final = 65_536  # 22 minutes of what bots say, 20 MB


class SharedMedia:
    """One clock, one doorbell, the system calls and what was encoded.

    Made in the bot's loop; media runs in `loop`, or in the same.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        here = asyncio.get_running_loop()
        self.loop = here if loop is None else loop
        self.doorbell = Doorbell(here, woken=lambda: None)
        self.clock = FrameClock(self.loop, after_tick=self.doorbell.ring)
        self.calls = DatagramCalls() if sys.platform == "linux" else None
        self.packets = PacketMemory(packets=_REMEMBERED_PACKETS)
