"""Opens RTP sessions over one port pool and one media thread a process."""

from __future__ import annotations

import asyncio
import errno
import secrets
import sys
import time
from concurrent.futures import Future
from ipaddress import ip_address
from random import SystemRandom

from telephony.audio.listener import ToneListener
from telephony.audio.pacer import Pacer
from telephony.errors import CapacityError, LocalProtocolError
from telephony.leg import FRAME_MS
from telephony.local_address import reachable_address
from telephony.media import SRTP_KEY_BYTES, SRTP_SUITES, Media, MediaAbilities
from telephony.rtp.bell import Bell, SharedWork
from telephony.rtp.codec import CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import Depacketizer
from telephony.rtp.doorbell import Doorbell
from telephony.rtp.endpoint import RtpEndpoint
from telephony.rtp.hearing import Hearing
from telephony.rtp.mailbox import Mailbox
from telephony.rtp.media import RtpMedia, RtpMediaOptions
from telephony.rtp.media_thread import MediaThread
from telephony.rtp.packetizer import BotFrame, Packetizer
from telephony.rtp.ports import PortPool
from telephony.rtp.report import Reporter
from telephony.rtp.sender import RtpSender
from telephony.rtp.session import RtpSession
from telephony.rtp.speaking import Speaking
from telephony.rtp.stream import RtpStream
from telephony.rtp.syscalls import DatagramCalls
from telephony.settings import RtpSettings

_MAILBOX_MS = 2000  # audio that the bot may leave unfetched
_BIND_ATTEMPTS = 16  # other processes may sit on ports of our range


_LOOPBACK = "127.0.0.1"


class RtpMediaFactory:
    """Implements `telephony.media.MediaFactory`. `start` it in the bot's loop, `stop` it there at the end.

    A pair of ports that comes back rests for `port_rest_s` before it is given to another call.
    """

    def __init__(self, settings: RtpSettings, *, port_rest_s: float = 5.0) -> None:
        self._host = settings.host or _LOOPBACK
        self._public_host = settings.public_host or _named(self._host)
        for name, host in (("host", self._host), ("public_host", self._public_host)):
            try:
                ip_address(host)
            except ValueError:
                raise ValueError(f"[rtp] {name} {host!r} is no IP address: give the one to bind, or for SDP") from None
        self._settings = settings
        self._dice = SystemRandom()
        self._ports = PortPool(
            port_min=settings.port_min,
            port_max=settings.port_max,
            shuffle=self._dice.shuffle,
            quarantine_s=port_rest_s,
        )
        self._calls = DatagramCalls() if sys.platform == "linux" else None
        self._thread: MediaThread | None = None
        self._doorbell: Doorbell | None = None
        self._work: SharedWork | None = None
        self._open: dict[int, RtpMedia] = {}  # by port; the media thread only pops

    async def start(self) -> None:
        """Start the media thread."""
        loop = asyncio.get_running_loop()
        self._work = SharedWork(loop)
        self._doorbell = Doorbell(loop, woken=self._work.hear)
        self._thread = MediaThread(after_tick=self._doorbell.ring)
        await asyncio.to_thread(self._thread.start)

    async def stop(self) -> None:
        """Close what is open and end the media thread."""
        for media in list(self._open.values()):
            await media.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.stop)

    @property
    def ports_taken(self) -> int:
        """Port pairs in use."""
        return self._ports.taken

    async def open(self) -> Media:
        """Take a port pair; raises `CapacityError` when none is free."""
        thread, doorbell, work = self._thread, self._doorbell, self._work
        if thread is None or doorbell is None or work is None:
            raise LocalProtocolError("the media thread is not running: await start() first")
        binding = thread.call(self._bind)
        try:
            endpoint = await asyncio.wrap_future(binding)
        except asyncio.CancelledError:
            thread.post(lambda: self._unbind(binding))
            raise
        media = self._open[endpoint.port] = self._join(thread, doorbell, work, endpoint)
        return media

    # In the media thread, to which the port pool belongs

    def _bind(self) -> RtpEndpoint:
        for _ in range(_BIND_ATTEMPTS):
            port = self._ports.take(now=time.monotonic())
            try:
                return RtpEndpoint(host=self._host, port=port, calls=self._calls, public_host=self._public_host)
            except OSError as error:
                self._ports.give_back(port, now=time.monotonic())
                if error.errno != errno.EADDRINUSE:
                    raise
        raise CapacityError(
            f"other processes hold {_BIND_ATTEMPTS} RTP ports in a row: move [rtp] port_min and port_max"
        )

    def _unbind(self, binding: Future[RtpEndpoint]) -> None:
        if not binding.cancelled() and binding.exception() is None:
            endpoint = binding.result()
            endpoint.close()
            self._ports.give_back(endpoint.port, now=time.monotonic())

    def _free(self, port: int) -> None:
        self._ports.give_back(port, now=time.monotonic())
        self._open.pop(port, None)

    def _abilities(self) -> MediaAbilities:
        settings = self._settings
        keys = () if settings.srtp == "refused" else tuple(secrets.token_bytes(SRTP_KEY_BYTES) for _ in SRTP_SUITES)
        return settings.abilities(keys)

    def _join(self, thread: MediaThread, doorbell: Doorbell, work: SharedWork, endpoint: RtpEndpoint) -> RtpMedia:
        settings = self._settings
        pacer: Pacer[BotFrame] = Pacer(lead_ms=settings.lead_ms)
        mailbox = Mailbox(audio_frames=_MAILBOX_MS // FRAME_MS)
        decoder = Decoder()
        hearing = Hearing(mailbox=mailbox, decoder=decoder, listener=ToneListener(tones=settings.tones))
        speaking = Speaking(pacer)
        bell = Bell(doorbell, work, hearing=hearing, speaking=speaking)
        # The sequence begins in the lower half: SRTP counts its wraps (RFC 3711 section 3.3.1).
        sender = RtpSender(ssrc=secrets.randbits(32), sequence=secrets.randbits(15), timestamp=secrets.randbits(32))
        reporter = Reporter(
            cname=secrets.token_urlsafe(12),  # RFC 7022: tells nothing of the host
            wall_offset_s=time.time() - time.monotonic(),
            dice=self._dice.random,
        )
        # Until SDP has said which codec it is, nothing is decoded or encoded.
        codec = CODECS["PCMU"]
        stream = RtpStream(
            session=RtpSession(sender=sender, reporter=reporter, silence_timeout_s=settings.silence_timeout_s),
            endpoint=endpoint,
            pacer=pacer,
            depacketizer=Depacketizer(
                codec, playout_min_ms=settings.playout_min_ms, playout_max_ms=settings.playout_max_ms
            ),
            packetizer=Packetizer(codec),
            decoder=decoder,
            mailbox=mailbox,
            ring=bell.ring,
        )
        return RtpMedia(
            thread=thread,
            stream=stream,
            endpoint=endpoint,
            options=RtpMediaOptions(self._abilities(), settings.inband_digits),
            hearing=hearing,
            speaking=speaking,
            bell=bell,
            free=lambda: self._free(endpoint.port),
        )


def _named(host: str) -> str:
    try:
        return reachable_address(host)
    except OSError as error:
        raise ValueError(
            f"[rtp] host is {host} and there is no default route: set [rtp] public_host to what callers can reach"
        ) from error
