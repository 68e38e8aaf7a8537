"""One call in the media thread: every 20 ms its sockets are read, a frame goes each way, reports go when due."""

from __future__ import annotations

from collections.abc import Callable

from telephony.audio.pacer import Pacer
from telephony.leg import FRAME_MS, LegStats
from telephony.media import MediaParameters
from telephony.rtp.codec import CLOCK_HZ, CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import Depacketizer
from telephony.rtp.endpoint import RtpEndpoint
from telephony.rtp.mailbox import Mailbox
from telephony.rtp.packetizer import Packetizer
from telephony.rtp.receiver import AudioArrived, StreamChanged
from telephony.rtp.session import RtpSession

_FRAME = CLOCK_HZ * FRAME_MS // 1000
_RTCP_EVERY = 10  # ticks; the kernel's time stamps keep the round trip exact


class RtpStream:
    """Joins session, sockets, codecs and pacer. All but `stats` belongs to the media thread."""

    def __init__(
        self,
        *,
        session: RtpSession,
        endpoint: RtpEndpoint,
        pacer: Pacer,
        depacketizer: Depacketizer,
        packetizer: Packetizer,
        decoder: Decoder,
        mailbox: Mailbox,
        ring: Callable[[], None],
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._pacer = pacer
        self._depacketizer = depacketizer
        self._packetizer = packetizer
        self._decoder = decoder  # of the bot's side; here only looked at
        self._mailbox = mailbox
        self._ring = ring  # tells the bot's side that something has changed
        self._media_time_ms = 0
        self._ticks = 0

    def apply(self, parameters: MediaParameters, *, now: float) -> None:
        """Take the result of an offer and answer."""
        codec = CODECS[parameters.codec]
        self._session.apply(parameters, now=now)
        self._depacketizer.codec = codec
        self._packetizer.agree(codec, ptime_ms=parameters.ptime_ms)

    def press(self, digits: str) -> int:
        """Queue key presses; returns what `pressed` will be when they are sent. Raises `LocalProtocolError`."""
        return self._session.press(digits)

    @property
    def pressed(self) -> int:
        """Key presses sent so far."""
        return self._session.pressed

    def start(self, *, now: float) -> None:
        """Begin: the first frame is due now."""
        self._pacer.start(now=now)

    def tick(self, *, now: float) -> None:
        """Do what is due."""
        self._receive(now)
        due = self._pacer.due(now=now)
        if due.skipped:
            self._media_time_ms += due.skipped * FRAME_MS
            self._send_nothing(due.skipped)
        for index in range(due.frames):
            self._send_frame()
            self._deliver_frame(due.at + index * FRAME_MS / 1000)
        self._send_report(now)
        self._ring()

    def close(self, *, now: float) -> None:
        """Say goodbye and close the sockets."""
        destination = self._session.rtcp_destination
        if destination is not None:
            self._endpoint.send_rtcp(self._session.send_goodbye(now=now), destination)
        self._endpoint.close()

    # The caller's audio

    def _receive(self, now: float) -> None:
        session = self._session
        for data, source, arrived in self._endpoint.receive_rtp(now=now):
            session.receive_rtp(data, source, now=arrived)
        self._ticks += 1
        if self._ticks % _RTCP_EVERY == 0:
            for data, source, arrived in self._endpoint.receive_rtcp(now=now):
                session.receive_rtcp(data, source, now=arrived)
        session.handle_timer(now=now)
        while (event := session.poll()) is not None:
            match event:
                case AudioArrived(packet, arrived):
                    self._depacketizer.insert(packet, now=arrived)
                case StreamChanged():
                    self._depacketizer.restart()
                case _:
                    self._mailbox.put(event)

    def _deliver_frame(self, at: float) -> None:
        quiet = self._decoder.is_quiet
        self._mailbox.put_audio(self._depacketizer.pull(now=at, quiet=quiet, media_time_ms=self._media_time_ms))
        self._media_time_ms += FRAME_MS

    # The bot's audio

    def _send_frame(self) -> None:
        session = self._session
        destination = session.destination
        if destination is None or not session.may_send:
            self._send_nothing(1)
            return
        if session.is_pressing:
            self._send_press(destination)
            return
        for payload in self._packetizer.feed(self._pacer.take()):
            self._endpoint.send_rtp(session.send_audio(payload), destination)

    def _send_press(self, destination: tuple[str, int]) -> None:
        """Send 20 ms of a key press; the bot's audio waits meanwhile."""
        rest = self._packetizer.flush()
        if rest:
            self._endpoint.send_rtp(self._session.send_audio(rest), destination)
        data = self._session.send_press()
        if data is not None:
            self._endpoint.send_rtp(data, destination)
            return
        for payload in self._packetizer.feed(None):
            self._endpoint.send_rtp(self._session.send_audio(payload), destination)

    def _send_nothing(self, frames: int) -> None:
        self._session.send_nothing(len(self._packetizer.flush()) + frames * _FRAME)

    def _send_report(self, now: float) -> None:
        report = self._session.send_report(now=now)
        destination = self._session.rtcp_destination
        if report is not None and destination is not None:
            self._endpoint.send_rtcp(report, destination)

    # Figures

    def stats(self) -> LegStats:
        """Figures so far; read from another thread they may be a frame apart."""
        receiver = self._session.receiver
        round_trip_s = self._session.round_trip_s
        jitter = receiver.reception.jitter if receiver.reception is not None else 0.0
        return LegStats(
            received=receiver.received,
            lost=receiver.lost,
            late=self._depacketizer.late,
            concealed_ms=self._depacketizer.concealed_ms,
            jitter_ms=1000 * jitter / CLOCK_HZ,
            playout_delay_ms=self._depacketizer.delay_ms,
            round_trip_ms=None if round_trip_s is None else 1000 * round_trip_s,
            sent=self._session.sent,
            underruns=self._pacer.underruns,
            sent_late_ms_max=self._pacer.late_ms_max,
        )
