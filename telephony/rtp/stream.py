"""One call in the media thread: every 20 ms its sockets are read, a frame goes each way, reports go when due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from telephony.audio.dtmf import KeyToneSender
from telephony.audio.frame import pcm_of
from telephony.audio.pacer import Pacer
from telephony.audio.quality import mos, r_factor
from telephony.leg import FRAME_MS, LegStats
from telephony.media import MediaParameters
from telephony.rtp.codec import CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import Depacketizer
from telephony.rtp.endpoint import RtpEndpoint
from telephony.rtp.mailbox import Mailbox
from telephony.rtp.packetizer import BotFrame, Kind, Packetizer, Payload
from telephony.rtp.receiver import AudioArrived, StreamChanged
from telephony.rtp.session import RtpSession
from telephony.rtp.source import Address
from telephony.rtp.xr import VoipMetrics

_RTCP_EVERY = 10  # ticks; the kernel's time stamps keep the round trip exact


class RtpStream:
    """Joins session, sockets, codecs and pacer. All but `stats` and `decoder` belongs to the media thread."""

    def __init__(
        self,
        *,
        session: RtpSession,
        endpoint: RtpEndpoint,
        pacer: Pacer[BotFrame],
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
        self.decoder = decoder  # of the bot's side; here only looked at
        self._mailbox = mailbox
        self._ring = ring  # tells the bot's side that something has changed
        self._media_time_ms = 0
        self._ticks = 0
        self._clock_hz = 8_000
        self._keypad = KeyToneSender()
        self._is_pressing = False  # whether a key press goes out, or waits to
        self._parameters: MediaParameters | None = None

    def apply(self, parameters: MediaParameters, *, now: float) -> None:
        """Take the result of an offer and answer."""
        codec = CODECS[parameters.codec]
        self._session.apply(parameters, now=now)
        self._depacketizer.agree(codec)
        self._packetizer.agree(codec, ptime_ms=parameters.ptime_ms, comfort_noise=parameters.comfort_noise)
        self._clock_hz = codec.clock_hz
        self._parameters = parameters

    def press(self, digits: str, *, tones: bool = False) -> int:
        """Queue key presses, as events or tones; returns what `pressed` will be. Raises `LocalProtocolError`."""
        if self._parameters is not None and (tones or self._parameters.dtmf_payload_type is None):
            done = self._session.pressed + self._keypad.press(digits)
        else:
            done = self._keypad.pressed + self._session.press(digits)
        self._is_pressing = self._session.is_pressing or self._keypad.is_active
        return done

    @property
    def pressed(self) -> int:
        """Key presses sent so far."""
        return self._session.pressed + self._keypad.pressed

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
        self._ticks += 1
        if self._ticks % _RTCP_EVERY == 0:
            self._exchange_reports(now)
        self._ring()

    def close(self, *, now: float) -> None:
        """Say goodbye and close the sockets."""
        destination = self._session.rtcp_destination
        try:
            if destination is not None:
                self._endpoint.send_rtcp(self._session.send_goodbye(now=now), destination)
        finally:
            self._endpoint.close()

    # The caller's audio

    def _receive(self, now: float) -> None:
        session = self._session
        for data, source, arrived in self._endpoint.receive_rtp(now=now):
            session.receive_rtp(data, source, now=arrived)
        session.handle_timer(now=now)
        while (event := session.poll()) is not None:
            match event:
                case AudioArrived():
                    self._depacketizer.insert(event.packet, now=event.arrived, is_noise=event.is_noise)
                case StreamChanged():
                    self._depacketizer.restart()
                case _:
                    self._mailbox.put(event)

    def _deliver_frame(self, at: float) -> None:
        quiet = self.decoder.is_quiet
        self._mailbox.put_audio(self._depacketizer.pull(now=at, quiet=quiet, media_time_ms=self._media_time_ms))
        self._media_time_ms += FRAME_MS

    # The bot's audio

    def _send_frame(self) -> None:
        session = self._session
        destination = session.sends_to
        if destination is None:
            self._send_nothing(1)
            return
        if self._is_pressing:
            self._send_keys(destination)
        else:
            self._send(self._packetizer.feed(self._pacer.take()), destination)

    def _send_keys(self, destination: Address) -> None:
        """Send 20 ms of a key press, as an event or as a tone, or of the pause after it."""
        if self._session.is_pressing:
            self._send_press(destination)
        else:
            tone = self._keypad.frame(self._packetizer.rate_hz)
            self._send(self._packetizer.feed(None if tone is None else pcm_of(tone)), destination)
        self._is_pressing = self._session.is_pressing or self._keypad.is_active

    def _send(self, payloads: list[Payload], destination: Address) -> None:
        session, endpoint = self._session, self._endpoint
        for payload in payloads:
            if payload.kind is Kind.AUDIO:
                endpoint.send_rtp(session.send_audio(payload.data, duration=payload.duration), destination)
            elif payload.kind is Kind.NOISE:
                endpoint.send_rtp(session.send_noise(payload.data, duration=payload.duration), destination)
            else:
                session.send_nothing(payload.duration)

    def _send_press(self, destination: Address) -> None:
        """Send 20 ms of an event; the bot's audio waits meanwhile."""
        self._send(self._packetizer.flush(), destination)
        data = self._session.send_press()
        if data is not None:
            self._endpoint.send_rtp(data, destination)
            return
        self._send(self._packetizer.feed(None), destination)

    def _send_nothing(self, frames: int) -> None:
        gathered = sum(payload.duration for payload in self._packetizer.flush())
        self._session.send_nothing(gathered + frames * self._session.frame_units)

    def _exchange_reports(self, now: float) -> None:
        session = self._session
        for data, source, arrived in self._endpoint.receive_rtcp(now=now):
            session.receive_rtcp(data, source, now=arrived)
            self._packetizer.expect_loss(round(100 * session.peer.lost_there))
        if not session.report_is_due(now=now):
            return
        destination = session.rtcp_destination
        report = session.send_report(now=now, metrics=self._metrics() if session.wants_metrics else None)
        if report is not None and destination is not None:
            self._endpoint.send_rtcp(report, destination)

    # Figures

    def stats(self) -> LegStats:
        """Figures so far; read from another thread they may be a frame apart."""
        session = self._session
        receiver, peer = session.receiver, session.peer
        round_trip_s = session.round_trip_s
        jitter = receiver.reception.jitter if receiver.reception is not None else 0.0
        return LegStats(
            received=receiver.received,
            lost=receiver.lost,
            late=self._depacketizer.late,
            malformed=receiver.malformed + self._depacketizer.malformed,
            strangers=receiver.source.refused,
            concealed_ms=self._depacketizer.concealed_ms,
            jitter_ms=1000 * jitter / self._clock_hz,
            playout_delay_ms=self._depacketizer.delay_ms,
            round_trip_ms=None if round_trip_s is None else 1000 * round_trip_s,
            sent=session.sent,
            unsent=self._endpoint.unsent,
            underruns=self._pacer.underruns,
            sent_late_ms_max=self._pacer.late_ms_max,
            codec=self._codec_name,
            encrypted=session.is_encrypted,
            lost_there_percent=100 * peer.lost_there,
            jitter_there_ms=1000 * peer.jitter_there / self._clock_hz,
            mos=self._mos_here() if receiver.received else None,
            mos_there=self._mos_there(),
        )

    @property
    def _codec_name(self) -> str:
        """As SDP writes it; empty before the agreement."""
        return "" if self._parameters is None else self._parameters.codec

    def _one_way_ms(self) -> float:
        """What lies between mouth and ear: half the round trip, the playout delay, a packet's own time."""
        trip_s = self._session.round_trip_s or 0.0
        return 500 * trip_s + self._depacketizer.delay_ms + FRAME_MS

    def _rating(self, *, delay_ms: float) -> float:
        """R of what is heard here (ITU-T G.107); what came too late was lost as well."""
        receiver = self._session.receiver
        lost = receiver.lost + self._depacketizer.late
        percent = 100 * lost / max(1, receiver.received + receiver.lost)
        ratio = 1.0 if receiver.reception is None else receiver.reception.runs.burst_ratio
        return r_factor(codec=self._codec_name, loss_percent=percent, burst_ratio=ratio, delay_ms=delay_ms)

    def _mos_here(self) -> float:
        return mos(self._rating(delay_ms=self._one_way_ms()))

    def _mos_there(self) -> float | None:
        peer = self._session.peer
        if peer.metrics_there is not None and peer.metrics_there.mos_cq is not None:
            return peer.metrics_there.mos_cq
        if peer.round_trip_s is None:  # nothing was reported of us
            return None
        delay_ms = 500 * peer.round_trip_s + 2 * FRAME_MS  # its buffer is not known: a frame of it, and a packet
        return mos(r_factor(codec=self._codec_name, loss_percent=100 * peer.lost_there, delay_ms=delay_ms))

    def _metrics(self) -> VoipMetrics | None:
        reception = self._session.receiver.reception
        if reception is None:
            return None
        late, delay_ms = self._depacketizer.late, round(self._depacketizer.delay_ms)
        conversation = self._rating(delay_ms=self._one_way_ms())
        counted = reception.runs.metrics(reception.ssrc, packet_ms=FRAME_MS, discarded=late)
        return replace(
            counted,
            round_trip_ms=round(1000 * (self._session.round_trip_s or 0.0)),
            end_system_ms=delay_ms + FRAME_MS,
            r_factor=round(conversation),
            mos_lq=mos(self._rating(delay_ms=0.0)),
            mos_cq=mos(conversation),
            buffer_ms=delay_ms,
            buffer_max_ms=delay_ms,
        )
