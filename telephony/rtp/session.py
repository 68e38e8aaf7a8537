"""One RTP session of two (RFC 3550) without socket or clock: receiver, sender, telephone events and reports.

Datagrams go in by `receive_rtp` and `receive_rtcp`, their meaning comes out of `poll`. Each `send_...` gives a
datagram for `destination`, or `rtcp_destination` where it is RTCP.
"""

from __future__ import annotations

from ipaddress import ip_address

from telephony.errors import LocalProtocolError, RtpParseError
from telephony.leg import FRAME_MS
from telephony.media import MediaParameters
from telephony.rtp.codec import CODECS, COMFORT_NOISE
from telephony.rtp.dtmf import DtmfSender, build_event
from telephony.rtp.packet import is_rtcp
from telephony.rtp.receiver import RtpReceiver
from telephony.rtp.report import Reporter
from telephony.rtp.rtcp import build_rtcp, parse_rtcp
from telephony.rtp.sender import RtpSender
from telephony.rtp.source import Address
from telephony.rtp.srtp import Srtp
from telephony.rtp.xr import VoipMetrics

_LAST_PORT = 65_535


class RtpSession:
    """State of one session; `apply` starts it, and changes it after a re-INVITE."""

    def __init__(self, *, sender: RtpSender, reporter: Reporter, silence_timeout_s: float) -> None:
        self.receiver = RtpReceiver(silence_timeout_s=silence_timeout_s)
        self.handle_timer = self.receiver.handle_timer
        self.poll = self.receiver.poll
        self._sender = sender
        self._reporter = reporter
        self._dtmf = DtmfSender()
        self._parameters: MediaParameters | None = None
        self._named: Address | None = None
        self._rtcp_source: Address | None = None
        self._srtp: Srtp | None = None
        self._keyed: Srtp | None = None  # the same, kept while the two speak in the clear
        self._clock_hz = 8_000

    def apply(self, parameters: MediaParameters, *, now: float) -> None:
        """Take the result of an offer and answer."""
        if self._parameters is None:
            self._reporter.start(now=now)
        named = _address(parameters.remote_host, parameters.remote_port)
        if named != self._named:
            self._named, self._rtcp_source = named, None
        self._parameters = parameters
        self._clock_hz = CODECS[parameters.codec].clock_hz
        self._dtmf.clock_hz = parameters.dtmf_clock_hz
        if parameters.srtp is not None and self._keyed is not None:
            self._keyed.renew(parameters.srtp)
        elif parameters.srtp is not None:
            self._keyed = Srtp(parameters.srtp)
        self._srtp = None if parameters.srtp is None else self._keyed
        self.receiver.agree(parameters, named=named, now=now)

    @property
    def destination(self) -> Address | None:
        """Where RTP goes: to where it comes from (symmetric RTP), before that to the address in SDP."""
        return self.receiver.source.locked or self._named

    @property
    def rtcp_destination(self) -> Address | None:
        """Where RTCP goes; None where nobody has named an address, or the last of all ports, which has no next one."""
        if self._rtcp_source is not None or self.destination is None:
            return self._rtcp_source
        host, port = self.destination
        return (host, port + 1) if port < _LAST_PORT else None

    # Receiving

    def receive_rtp(self, data: bytes, source: Address, *, now: float) -> None:
        """Take a datagram of the RTP port."""
        if is_rtcp(data):
            self.receive_rtcp(data, source, now=now)
            return
        if self._srtp is not None:
            # Before anything is learnt from it: a forged packet moves no address and ends no stream.
            try:
                data = self._srtp.open_rtp(data)
            except RtpParseError:
                self.receiver.malformed += 1
                return
        self.receiver.receive(data, source, now=now)

    def receive_rtcp(self, data: bytes, source: Address, *, now: float) -> None:
        """Take a datagram of the RTCP port; only the host that RTP is exchanged with is believed."""
        if self.destination is None or source[0] != self.destination[0]:
            return
        try:
            packets = parse_rtcp(data if self._srtp is None else self._srtp.open_rtcp(data))
        except RtpParseError:
            self.receiver.malformed += 1
            return
        self._rtcp_source = source
        self._reporter.receive(packets, our_ssrc=self._sender.ssrc, now=now)

    # Sending

    @property
    def sends_to(self) -> Address | None:
        """Where RTP is to go now; None before the start, on hold, and where nobody has named an address."""
        if self._parameters is None or not self._parameters.send:
            return None
        return self.receiver.source.locked or self._named

    @property
    def frame_units(self) -> int:
        """20 ms in units of the media clock."""
        return self._clock_hz * FRAME_MS // 1000

    def send_audio(self, payload: bytes, *, duration: int | None = None) -> bytes:
        """Build the next packet of audio, of so many timestamp units (None: a unit a byte)."""
        parameters = self._parameters or self._agreed()
        packet = self._sender.audio(parameters.payload_type, payload, duration=duration)
        return packet if self._srtp is None else self._srtp.seal_rtp(packet)

    def send_noise(self, payload: bytes, *, duration: int) -> bytes:
        """Build a packet of comfort noise."""
        return self._seal(self._sender.noise(COMFORT_NOISE, payload, duration=duration))

    def send_nothing(self, duration: int) -> None:
        """Let media time pass without a packet."""
        self._sender.skip(duration)

    def _seal(self, packet: bytes) -> bytes:
        return packet if self._srtp is None else self._srtp.seal_rtp(packet)

    def _seal_rtcp(self, packet: bytes) -> bytes:
        return packet if self._srtp is None else self._srtp.seal_rtcp(packet)

    def press(self, digits: str) -> int:
        """Queue digits; returns what `pressed` will be when they are sent. Raises `LocalProtocolError`."""
        if self._agreed().dtmf_payload_type is None:
            raise LocalProtocolError("cannot send digits: the peer did not agree to telephone-event")
        return self._dtmf.press(digits)

    @property
    def is_pressing(self) -> bool:
        """Whether `send_press` is to be called for the next 20 ms."""
        return self._dtmf.is_active

    @property
    def pressed(self) -> int:
        """Digits sent so far."""
        return self._dtmf.pressed

    def send_press(self) -> bytes | None:
        """Build the packet of the next 20 ms of a press, in place of audio; None in the pause after it."""
        step = self._dtmf.step(timestamp=self._sender.timestamp)
        payload_type = self._agreed().dtmf_payload_type
        if step is None or payload_type is None:  # a re-INVITE may take telephone-event away
            return None
        event, timestamp, marker = step
        data = self._sender.event(payload_type, build_event(event), timestamp=timestamp, marker=marker)
        self._sender.skip(self.frame_units)
        return self._seal(data)

    @property
    def wants_metrics(self) -> bool:
        """Whether the peer asks for extended reports."""
        return self._parameters is not None and self._parameters.voip_metrics

    def report_is_due(self, *, now: float) -> bool:
        """Say whether it is time for `send_report`."""
        due = self._reporter.timer_at()
        return due is not None and now >= due

    def send_report(self, *, now: float, metrics: VoipMetrics | None = None) -> bytes | None:
        """Build the RTCP that is due; None before its time."""
        if not self.report_is_due(now=now):
            return None
        reports = self._reporter.report(self._sender, self.receiver.reception, now=now, metrics=metrics)
        return self._seal_rtcp(build_rtcp(reports))

    def send_goodbye(self, *, now: float) -> bytes:
        """Build the last RTCP."""
        return self._seal_rtcp(build_rtcp(self._reporter.goodbye(self._sender, self.receiver.reception, now=now)))

    def _agreed(self) -> MediaParameters:
        if self._parameters is None:
            raise LocalProtocolError("no media parameters: call apply() first")
        return self._parameters

    # Figures

    @property
    def sent(self) -> int:
        """RTP packets sent."""
        return self._sender.packets

    @property
    def is_encrypted(self) -> bool:
        """Whether RTP is sealed."""
        return self._srtp is not None

    @property
    def peer(self) -> Reporter:
        """What the peer reports of us, and the round trip."""
        return self._reporter

    @property
    def round_trip_s(self) -> float | None:
        """Last round trip that RTCP told."""
        return self._reporter.round_trip_s


def _address(host: str, port: int) -> Address | None:
    """Give the address of SDP, None where it names none (port 0, 0.0.0.0 of an old hold, a host name)."""
    try:
        literal = ip_address(host)
    except ValueError:
        return None
    return None if literal.is_unspecified or not port else (str(literal), port)
