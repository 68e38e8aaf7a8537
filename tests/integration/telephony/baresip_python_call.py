"""`baresip-python` as a peer: `python baresip_python_call.py TARGET AUTHORITY` calls over TLS with SRTP, prints JSON.

A process of its own: the binding allows one stack a process, and a native fault of it must not take the tests along.
It waits for events and for sound, never for a guessed time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from baresip import Account, Call, Config, Runtime, UserAgent
from baresip.errors import AudioNotActive, AudioRestarted, BaresipError

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.integration.telephony.test_baresip_media import THERE_HZ, pitch, tone
from tests.waiting import START_S

_LISTEN_S = 1.0  # of sound, by its samples
_STEP_S = 0.02


class Line:
    """Plays a tone into a call and keeps the last of what comes out of it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.rate = 0
        self._heard: deque[bytes] = deque(maxlen=int(_LISTEN_S / _STEP_S))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_STEP_S)
            try:
                info = self._call.audio.info()
                if not (info.tx_ready and info.rx_ready):
                    continue
                self.rate = info.rx_sample_rate
                if info.tx_buffered < info.tx_sample_rate // 5:  # 100 ms
                    sound = tone(THERE_HZ, info.tx_sample_rate, 0.1)
                    self._call.audio.write((sound * 32_767).astype("<i2").tobytes())
                if pcm := self._call.audio.read(int(self.rate * _STEP_S) * 2):
                    self._heard.append(pcm)
            except (AudioNotActive, AudioRestarted):
                continue  # a re-INVITE changes the streams

    async def listen(self) -> float:
        """Hear a stretch of sound from now on; gives its pitch."""
        self._heard.clear()
        while len(self._heard) < (self._heard.maxlen or 0):
            await asyncio.sleep(_STEP_S)
        samples = np.frombuffer(b"".join(self._heard), "<i2")
        return pitch(samples, self.rate)


async def once_settled(change: Callable[[], Awaitable[None]]) -> None:
    """Have it again until the re-INVITE before has been acknowledged; the binding tells nobody when that is."""
    while True:
        try:
            return await change()
        except BaresipError:
            await asyncio.sleep(_STEP_S)


async def main(target: str, authority: str) -> dict[str, object]:
    """Call, listen, hold and take back, press keys, hang up."""
    believes = f"sip_cafile {authority}\nsip_verify_server yes\n"
    runtime = Runtime()
    await runtime.start(Config(net_interface="127.0.0.1", extra_config_text=believes))
    try:
        account = Account(
            "peer", "127.0.0.1", "", reg_interval=0, transport="tls", audio_codecs=("pcma",),
            extra_params=("mediaenc=srtp-mand",),
        )  # fmt: skip
        agent = await UserAgent.create(runtime, account)
        call = await agent.dial(target)
        await call.wait_established()
        line = Line(call)
        running = asyncio.create_task(line.run())
        before = await line.listen()
        await call.hold()
        await once_settled(call.resume)
        after = await line.listen()
        await call.send_dtmf("42#")
        await line.listen()  # the last press goes out meanwhile
        await call.hangup()
        running.cancel()
        return {"pitch": before, "pitch_after_hold": after}
    finally:
        await runtime.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), START_S))))
