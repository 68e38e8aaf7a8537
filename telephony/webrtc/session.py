"""`WebRtcSession`: transport, playout and pacing of one call, in the media loop.

A tick of the clock that all calls share does both ways: it reads what has come, sends the frame that is due and takes
the caller's. A call has no timer and no task of its own but those that aiortc keeps for ICE and DTLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from telephony.audio.pacer import Pacer
from telephony.errors import LegEndedError, RtpParseError
from telephony.leg import FRAME_MS, AudioReceived, EndCause, LegEnded, LegStats
from telephony.rtp.packet import parse_rtp
from telephony.settings import WebRtcSettings
from telephony.webrtc.aiortc_seam import Peer
from telephony.webrtc.inbox import Inbox
from telephony.webrtc.peer_handlers import PeerHandlers
from telephony.webrtc.receiver import OpusReceiver
from telephony.webrtc.reports import Reports
from telephony.webrtc.sdp import Description, answer_to, new_offer, write_description
from telephony.webrtc.sender import OpusSender
from telephony.webrtc.shared_media import SharedMedia
from telephony.webrtc.texts import event_of
from telephony.webrtc.turn import ice_servers

_MAX_WAITING_TEXTS: Final = 64  # before the data channel is open
_REPORT_EVERY_S: Final = 2.5  # on average (RFC 4585, 3.4 allows less than the 5 s of RFC 3550)
_LAST_TEXTS_S: Final = 1.0  # a leg that ends waits so long for a data channel that is not open yet
_log = logging.getLogger(__name__)


class WebRtcSession:
    """What of a call lives in the media loop; made, used and closed there.

    `inbox` and `pacer` are shared with the bot's side; `notify` tells it that there may be something in the one or
    room in the other.
    """

    def __init__(
        self, settings: WebRtcSettings, *, offering: bool, inbox: Inbox, pacer: Pacer[bytes],
        notify: Callable[[], None], media: SharedMedia,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._media = media
        self._loop = asyncio.get_running_loop()
        self._inbox = inbox
        self._pacer = pacer
        self._notify = notify
        self._ssrc = secrets.randbits(32)
        self._receiver = OpusReceiver()
        self._reports = Reports(ssrc=self._ssrc)
        self._sender: OpusSender | None = None  # from `connect` on
        self._payload_type = -1
        self._running = False
        self._connecting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._texts: deque[str] = deque()
        self._channel_open = asyncio.Event()
        self._media_time_ms = 0
        self._received = 0
        self._heard_at = 0.0
        self._report_at = 0.0
        self._closed = asyncio.Event()
        self._peer = Peer(
            PeerHandlers(
                rtp=self._on_rtp,
                rtcp=self._on_rtcp,
                channel_open=self._on_channel_open,
                text=self._on_text,
                hung_up=lambda: self.end(EndCause.CALLER_HUNG_UP),
                lost=lambda: self.end(EndCause.FAILED, "the network connection was lost"),
            ),
            offering=offering,
            servers=ice_servers(settings, name="bot", now_unix_s=time.time()),
            hosts=settings.hosts,
            allow_loopback=settings.allow_loopback,
            relay_only=settings.own_relay_only,
            calls=media.calls,
        )

    @property
    def running(self) -> bool:
        """Whether media flows."""
        return self._running

    async def offer(self) -> str:
        """Write our offer; the far side's answer goes to `connect`."""
        await self._peer.gather()
        description = new_offer(self._peer.parameters("actpass"), ssrc=self._ssrc)
        return write_description(description, session_id=secrets.randbits(62))

    async def answer(self, offer: Description) -> str:
        """Write our answer to an offer, which goes to `connect` next; to a later one, an ICE restart's, at once."""
        if self._sender is not None:
            return await self._answer_again(offer)
        await self._peer.gather()
        setup = "passive" if offer.transport.setup == "active" else "active"  # RFC 8842, 5.3; RFC 9429, 5.3.1
        description = answer_to(offer, self._peer.parameters(setup), ssrc=self._ssrc)
        return write_description(description, session_id=secrets.randbits(62))

    async def add_candidates(self, candidates: Sequence[str]) -> None:
        """Take candidates that the far side found after its offer (values of `a=candidate`)."""
        await self._peer.add_candidates(candidates)

    async def _answer_again(self, offer: Description) -> str:
        """Answer an ICE restart and look for the new way from now on; the old one serves meanwhile."""
        if not self.running:
            raise LegEndedError("the call is not connected yet")
        try:
            await self._peer.gather_again()
        except ConnectionError as error:
            raise LegEndedError("the restart was overtaken by another, or by the end of the call") from error
        setup = "passive" if offer.transport.setup == "active" else "active"  # as at first
        description = answer_to(offer, self._peer.parameters(setup), ssrc=self._ssrc)
        if self._restarting is not None:
            self._restarting.cancel()
        self._restarting = self._loop.create_task(self._reconnect(offer))
        return write_description(description, session_id=secrets.randbits(62))

    async def _reconnect(self, offer: Description) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._peer.reconnect(offer.transport)
        except (TimeoutError, ConnectionError):
            _log.info("an ICE restart came to nothing; the old way serves while it can")

    def connect(self, remote: Description) -> None:
        """Begin to connect; media flows, or the leg ends FAILED, within `connect_timeout_s`."""
        if self._inbox.ended is None:
            self._payload_type = remote.payload_type
            self._sender = OpusSender(
                ssrc=self._ssrc,
                payload_type=remote.payload_type,
                sequence=secrets.randbits(15),  # the lower half: SRTP counts wraps (RFC 3711, 3.3.1)
                timestamp=secrets.randbits(32),
                memory=self._media.packets,
            )
            self._connecting = self._loop.create_task(self._connect(remote))

    def tell(self, text: str) -> None:
        """Send a text to the page, as soon as the data channel is open; dropped where too much waits."""
        if self._channel_open.is_set():
            self._peer.send_text(text)
        elif len(self._texts) < _MAX_WAITING_TEXTS:
            self._texts.append(text)

    def end(self, cause: EndCause, detail: str = "") -> None:
        """End the leg and free all it has; only the first call of this counts."""
        if not self._inbox.end(LegEnded(cause, detail)):
            return
        self._running = False
        self._media.clock.remove(self)
        self._peer.stop_reading()
        self._tell_bot()
        self._closing = self._loop.create_task(self._close())

    async def wait_closed(self) -> None:
        """Wait until the sockets are free."""
        await self._closed.wait()

    def stats(self) -> LegStats:
        """Media figures so far; may be called from another thread."""
        receiver = self._receiver.stats()
        return LegStats(
            received=self._received,
            lost=self._reports.lost,
            late=receiver.late,
            malformed=receiver.malformed,
            concealed_ms=receiver.concealed_ms,
            jitter_ms=self._reports.jitter_ms,
            playout_delay_ms=receiver.playout_delay_ms,
            round_trip_ms=self._reports.round_trip_ms,
            sent=self._sender.packets if self._sender else 0,
            underruns=self._pacer.underruns,
            sent_late_ms_max=self._pacer.late_ms_max,
            codec="opus",
            encrypted=True,
            lost_there_percent=self._reports.loss_percent,
            jitter_there_ms=self._reports.jitter_there_ms,
            mos=self._reports.mos_here(late=receiver.late, playout_delay_ms=receiver.playout_delay_ms),
            mos_there=self._reports.mos_there(),
        )

    async def _connect(self, remote: Description) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._peer.connect(remote)
        except TimeoutError:
            self.end(EndCause.FAILED, f"no connection within {self._settings.connect_timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - whatever aiortc makes of an odd peer ends this call, no other
            self.end(EndCause.FAILED, f"no connection: {error}")
        else:
            self._begin()

    def _begin(self) -> None:
        if self._inbox.ended is None:
            now = time.monotonic()
            self._heard_at = now
            self._report_at = now + _REPORT_EVERY_S / 2
            self._running = True
            self._media.clock.add(self)
            self._tell_bot()

    def start(self, *, now: float) -> None:
        """Begin: the first frame is due now."""
        self._pacer.start(now=now)

    def tick(self, *, now: float) -> None:
        """Do what is due."""
        assert self._sender is not None
        try:
            self._exchange(self._sender, now)
        except Exception as error:  # noqa: BLE001 - a fault in one call's audio ends that call, and says so
            _log.exception("a WebRTC call broke")
            self.end(EndCause.FAILED, f"internal error: {error!r}")

    def _exchange(self, sender: OpusSender, now: float) -> None:
        """Read what has come, send the frames that are due, and take as many from the caller."""
        self._peer.read(now=now)
        due = self._pacer.due(now=now)
        if due.skipped:
            sender.skip(due.skipped)
            self._media_time_ms += due.skipped * FRAME_MS
        for index in range(due.frames):
            self._peer.send_rtp(sender.packet(self._pacer.take()))
            frame = self._receiver.frame(now=due.at + index * FRAME_MS / 1000)
            self._inbox.put_frame(AudioReceived(frame, self._media_time_ms))
            self._media_time_ms += FRAME_MS
        if now >= self._report_at:
            self._report(sender, now)
        self._notify()
        if now - self._heard_at > self._settings.silence_timeout_s:
            self.end(EndCause.MEDIA_TIMEOUT, f"no media for {self._settings.silence_timeout_s:g} s")

    def _tell_bot(self) -> None:
        """Let the bot's side look now, and not with all that have ticked."""
        self._notify()
        self._media.doorbell.ring()

    def _report(self, sender: OpusSender, now: float) -> None:
        self._report_at = now + _REPORT_EVERY_S * random.uniform(0.5, 1.5)  # noqa: S311 - RFC 3550, 6.3.1
        report = self._reports.build(
            timestamp=sender.timestamp,
            packets=sender.packets,
            octets=sender.octets,
            now=now,
            wall_clock_s=time.time(),
        )
        self._peer.send_rtcp(report)

    def _on_rtp(self, data: bytes, arrived: float) -> None:
        try:
            packet = parse_rtp(data)
        except RtpParseError:
            return
        if packet.payload_type != self._payload_type:
            return
        self._heard_at = arrived
        self._received += 1
        self._reports.count(packet, now=arrived)
        self._receiver.insert(
            ssrc=packet.ssrc, sequence=packet.sequence, timestamp=packet.timestamp, payload=packet.payload, now=arrived
        )

    def _on_rtcp(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        self._reports.receive(data, now=self._heard_at)
        if self._sender is not None:
            self._sender.expect_loss(self._reports.loss_percent)

    def _on_channel_open(self) -> None:
        self._channel_open.set()
        while self._texts:
            self._peer.send_text(self._texts.popleft())

    def _on_text(self, text: str) -> None:
        self._inbox.put_message(event_of(text))
        self._tell_bot()

    async def _let_last_texts_out(self) -> None:
        """Media may flow before the data channel is open: what was told until then must not be lost to a quick end."""
        if self._texts and self._peer.may_open_channel:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._channel_open.wait(), _LAST_TEXTS_S)

    async def _close(self) -> None:
        try:
            for task in (self._connecting, self._restarting):
                if task is not None and not task.done():
                    task.cancel()
                    await asyncio.wait([task])
            self._peer.send_rtcp(self._reports.build_goodbye())
            await self._let_last_texts_out()
            await self._peer.close()
        except Exception:  # noqa: BLE001 - what aiortc leaves open must not keep the leg's place
            _log.exception("a WebRTC connection did not close cleanly")
        finally:
            self._receiver.close()
            if self._sender is not None:
                self._sender.close()
            self._closed.set()
            self._tell_bot()
