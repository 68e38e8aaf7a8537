"""`TalkingBot` on a real line: a SIP target whose fault the caller chooses by the name that it dials."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np

from telephony.audio.resample import Resampler
from telephony.errors import LegEndedError
from telephony.leg import INPUT_RATE_HZ, OUTPUT_RATE_HZ, AudioReceived, CallLeg, LegEnded
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.endpoint import serve_sip
from tests.fakes.talking_bot import TalkingBot, speech

ANSWER_S = 0.4
# High: a line turns the phase of what is low, and a deep voice is at the edge of what counts as its own sound.
PROMPTS = [speech(seconds, seed=20 + n, pitch_hz=(180, 330)) for n, seconds in enumerate((3.0, 5.0, 5.0, 5.0))]
BOTS: dict[str, Callable[[], TalkingBot]] = {
    "well": lambda: TalkingBot(PROMPTS, answer_s=ANSWER_S),
    "stalls": lambda: TalkingBot(PROMPTS, answer_s=ANSWER_S, stall_every_s=1.2, stall_phase_s=time.monotonic()),
    "drops": lambda: TalkingBot(PROMPTS, answer_s=ANSWER_S, drop_every=50),
    "deaf": lambda: TalkingBot(PROMPTS, answer_s=ANSWER_S, hears_barge_in=False),
    "leaks": lambda: TalkingBot(PROMPTS, answer_s=ANSWER_S),
}


@asynccontextmanager
async def faulty_bot(*, port_min: int) -> AsyncIterator[Callable[[str], str]]:
    """Serve it; gives the URI for the name of a fault."""
    tasks: set[asyncio.Task[None]] = set()
    leaked: list[socket.socket] = []

    async def talk(leg: CallLeg) -> None:
        bot = BOTS[leg.info.callee]()
        if leg.info.callee == "leaks":
            leaked.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            leaked[-1].bind(("127.0.0.1", 0))
        up = Resampler(INPUT_RATE_HZ, OUTPUT_RATE_HZ)
        try:
            await leg.answer()
            while not isinstance(event := await leg.receive(), LegEnded):
                if isinstance(event, AudioReceived):
                    frame = bot.step(np.frombuffer(event.pcm, np.int16))
                    if frame.any():
                        await leg.play(up.feed(frame).tobytes())
        except LegEndedError:
            return

    def on_call(leg: CallLeg) -> None:
        task = asyncio.ensure_future(talk(leg))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    media = RtpMediaFactory(RtpSettings(port_min=port_min, port_max=port_min + 199, playout_min_ms=20, lead_ms=200))
    await media.start()
    endpoint, sockets = await serve_sip(SipSettings(port=0), media=media, on_call=on_call)
    try:
        yield lambda name: f"sip:{name}@127.0.0.1:{sockets.address[1]}"
    finally:
        await endpoint.close()
        await sockets.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await media.stop()
        for one in leaked:
            one.close()
