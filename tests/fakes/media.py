"""`FakeMedia` and `FakeMediaFactory`: RTP that a test speaks for, and ports that it can count."""

from __future__ import annotations

import asyncio
from collections import deque

from telephony.errors import AudioFormatError, CapacityError, LegEndedError
from telephony.leg import FRAME_MS, OUTPUT_FRAME_BYTES, LegStats
from telephony.media import MediaAbilities, MediaEvent, MediaParameters

FIRST_PORT = 20_000
PORTS_EACH = 2  # RTP and RTCP


class FakeMedia:
    """One session; `hear` is what the network brings, `applied` and `played` what came of the call."""

    def __init__(self, factory: FakeMediaFactory, port: int) -> None:
        self._factory = factory
        self.local_host = factory.host
        self.local_port = port
        self.abilities = MediaAbilities()
        self.applied: list[MediaParameters] = []
        self.played: list[bytes] = []
        self.digits: list[str] = []
        self.tones: list[str] = []
        self.closed = False
        self.fails_to_receive: Exception | None = None
        self._heard: deque[MediaEvent] = deque()
        self._woken = asyncio.Event()

    @property
    def played_ms(self) -> int:
        return len(self.played) * FRAME_MS

    @property
    def waiting(self) -> int:
        """How many events nobody has taken yet."""
        return len(self._heard)

    def hear(self, *events: MediaEvent) -> None:
        """Let events come in."""
        self._heard.extend(events)
        self._woken.set()

    def apply(self, parameters: MediaParameters) -> None:
        if self._factory.fails_to_apply is not None:
            raise self._factory.fails_to_apply
        self.applied.append(parameters)

    async def receive(self) -> MediaEvent:
        while not self._heard:
            if self.fails_to_receive is not None:
                raise self.fails_to_receive
            if self.closed:
                raise LegEndedError("the media session is closed")
            self._woken.clear()
            await self._woken.wait()
        return self._heard.popleft()

    def fail(self, error: Exception) -> None:
        """Make `receive` raise."""
        self.fails_to_receive = error
        self._woken.set()

    @property
    def lead_ms(self) -> int:
        return 400

    @property
    def queued_ms(self) -> int:
        return 0

    async def play(self, pcm: bytes) -> None:
        if not pcm or len(pcm) % OUTPUT_FRAME_BYTES:
            raise AudioFormatError(f"{len(pcm)} bytes")
        self.played += [pcm[start : start + OUTPUT_FRAME_BYTES] for start in range(0, len(pcm), OUTPUT_FRAME_BYTES)]

    def flush(self) -> int:
        return 0

    async def drain(self) -> None:
        """Everything is sent at once."""

    async def send_digits(self, digits: str, *, tones: bool = False) -> None:
        assert self.applied, "media runs"
        as_tones = tones or self.applied[-1].dtmf_payload_type is None
        (self.tones if as_tones else self.digits).append(digits)

    def stats(self) -> LegStats:
        return LegStats(sent=len(self.played))

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._woken.set()
            self._factory.free(self)


class FakeMediaFactory:
    """Opens fake sessions from a small pool. `gate`, once cleared, holds `open` back until it is set."""

    def __init__(self, *, sessions: int = 50, host: str = "127.0.0.1") -> None:
        self.host = host
        self.opened: list[FakeMedia] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails_to_open: Exception | None = None
        self.fails_to_apply: Exception | None = None
        self._free = deque(range(FIRST_PORT, FIRST_PORT + PORTS_EACH * sessions, PORTS_EACH))
        self._used: set[int] = set()

    @property
    def in_use(self) -> int:
        """How many sessions are open."""
        return len(self._used)

    async def open(self) -> FakeMedia:
        await self.gate.wait()
        if self.fails_to_open is not None:
            raise self.fails_to_open
        if not self._free:
            raise CapacityError("no RTP port is free", retry_after_s=7)
        port = self._free.popleft()
        self._used.add(port)
        media = FakeMedia(self, port)
        self.opened.append(media)
        return media

    def free(self, media: FakeMedia) -> None:
        """Take a port back."""
        self._used.remove(media.local_port)
        self._free.append(media.local_port)
