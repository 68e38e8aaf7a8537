from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio.dtmf import KeyToneDetector
from telephony.audio.frame import pcm_of
from telephony.audio.g711 import A_LAW
from telephony.audio.opus import OpusEncoder
from telephony.audio.pacer import Pacer
from telephony.audio.resample import Resampler
from telephony.leg import DigitReceived
from telephony.media import CodecName, MediaParameters, MediaTimedOut
from telephony.rtp.codec import CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import CodedFrame, Depacketizer
from telephony.rtp.mailbox import Mailbox
from telephony.rtp.packet import RtpPacket, parse_rtp
from telephony.rtp.packetizer import Packetizer
from telephony.rtp.report import Reporter
from telephony.rtp.rtcp import Goodbye, ReceiverReport, ReportBlock, SenderReport, build_rtcp, parse_rtcp
from telephony.rtp.sender import RtpSender
from telephony.rtp.session import RtpSession
from telephony.rtp.source import Address
from telephony.rtp.stream import RtpStream
from telephony.rtp.xr import ExtendedReport, VoipMetrics
from tests.fakes.rtp_packet import build_rtp

PEER: Address = ("192.0.2.1", 4000)
LOUD = pcm_of(np.rint(8_000 * np.sin(2 * np.pi * 1_000 * np.arange(160) / 8_000)).astype(np.int16))


@dataclass
class WiredEndpoint:
    """Sockets of which both ends are lists."""

    rtp_in: list[tuple[bytes, Address, float]] = field(default_factory=list)
    rtcp_in: list[tuple[bytes, Address, float]] = field(default_factory=list)
    rtp_out: list[tuple[bytes, Address]] = field(default_factory=list)
    rtcp_out: list[tuple[bytes, Address]] = field(default_factory=list)
    closed: bool = False
    unsent: int = 0

    def receive_rtp(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        taken, self.rtp_in = self.rtp_in, []
        return taken

    def receive_rtcp(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        taken, self.rtcp_in = self.rtcp_in, []
        return taken

    def send_rtp(self, data: bytes, destination: Address) -> None:
        self.rtp_out.append((data, destination))

    def send_rtcp(self, data: bytes, destination: Address) -> None:
        self.rtcp_out.append((data, destination))

    def close(self) -> None:
        self.closed = True


@dataclass
class Call:
    """One stream with all its parts in reach, ticked by hand."""

    endpoint: WiredEndpoint = field(default_factory=WiredEndpoint)
    pacer: Pacer = field(default_factory=lambda: Pacer(lead_ms=200))
    decoder: Decoder = field(default_factory=Decoder)
    mailbox: Mailbox = field(default_factory=lambda: Mailbox(audio_frames=1_000))
    rings: int = 0
    now: float = 50.0

    def __post_init__(self) -> None:
        session = RtpSession(
            sender=RtpSender(ssrc=1, sequence=0, timestamp=0),
            reporter=Reporter(cname="c", wall_offset_s=1e9, dice=lambda: 0.5),
            silence_timeout_s=30.0,
        )
        self.stream = RtpStream(
            session=session,
            endpoint=self.endpoint,
            pacer=self.pacer,
            depacketizer=Depacketizer(CODECS["PCMA"], playout_min_ms=20, playout_max_ms=200),
            packetizer=Packetizer(CODECS["PCMA"]),
            decoder=self.decoder,
            mailbox=self.mailbox,
            ring=self.ring,
        )

    def ring(self) -> None:
        self.rings += 1

    def apply(self, *, ptime_ms: int = 20, send: bool = True, receive: bool = True, host: str = PEER[0]) -> None:
        parameters = MediaParameters(host, PEER[1], "PCMA", 8, 101, ptime_ms=ptime_ms, send=send, receive=receive)
        self.stream.apply(parameters, now=self.now)

    def start(self, **applied: object) -> Call:
        self.apply(**applied)  # type: ignore[arg-type]  # keyword arguments of apply
        self.stream.start(now=self.now)
        return self

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.stream.tick(now=self.now + 0.001)
            self.now += 0.02

    def sent(self) -> list[RtpPacket]:
        return [parse_rtp(data) for data, _ in self.endpoint.rtp_out]

    def events(self) -> list[object]:
        events: list[object] = []
        while (event := self.mailbox.get()) is not None:
            events.append(event)
        return events

    def heard(self) -> list[NDArray[np.int16]]:
        return [self.decoder.decode(event) for event in self.events() if isinstance(event, CodedFrame)]

    def hear(self, number: int, payload: bytes, *, payload_type: int = 8, ssrc: int = 2, units: int = 160) -> None:
        data = build_rtp(RtpPacket(payload_type, number, number * units, ssrc, payload))
        self.endpoint.rtp_in.append((data, PEER, self.now))


def test_a_frame_goes_each_way_every_tick() -> None:
    call = Call().start()
    call.tick(5)

    assert [packet.timestamp for packet in call.sent()] == [0, 160, 320, 480, 640]
    assert {destination for _, destination in call.endpoint.rtp_out} == {PEER}
    assert [event.media_time_ms for event in call.events() if isinstance(event, CodedFrame)] == [0, 20, 40, 60, 80]
    assert call.rings == 5


def test_bot_audio_leaves_in_place_of_silence() -> None:
    call = Call().start()
    call.tick()
    for _ in range(3):
        call.pacer.put(LOUD)
    call.tick(6)

    loud = [bool(np.abs(A_LAW.decode(packet.payload)).max() > 1_000) for packet in call.sent()]
    assert loud == [False, True, True, True, True, False, False]  # cut off, it fades out
    assert call.pacer.played_ms == 60


def test_caller_audio_comes_to_the_bot() -> None:
    call = Call().start()
    for number in range(20):
        call.hear(number, b"\x2a\xaa" * 80)
        call.tick()

    assert np.abs(call.heard()[-1]).max() > 1_000


def test_stall_is_caught_up_within_bounds_and_media_time_jumps_over_the_rest() -> None:
    call = Call().start()
    call.tick()
    call.now += 0.98
    call.tick()
    call.tick()

    assert [packet.timestamp for packet in call.sent()] == [0] + [160 * n for n in range(46, 51)] + [160 * 51]
    times = [event.media_time_ms for event in call.events() if isinstance(event, CodedFrame)]
    assert times == [0, 920, 940, 960, 980, 1_000, 1_020]


def test_digits_are_told() -> None:
    call = Call().start()
    call.hear(0, b"\x05\x8a\x03\x20", payload_type=101)
    call.tick()

    assert DigitReceived("5", 100) in call.events()


def test_dead_line_is_told() -> None:
    call = Call().start()
    call.now += 31.0
    call.tick()

    assert MediaTimedOut() in call.events()


def test_another_ssrc_is_heard_at_once() -> None:
    call = Call().start()
    for number in range(10):
        call.hear(number, b"\xd5" * 160)
        call.tick()
    for number in range(30_000, 30_010):
        call.hear(number, b"\x2a\xaa" * 80, ssrc=3)
        call.tick()

    assert np.abs(call.heard()[-1]).max() > 1_000


def test_key_presses_hold_the_bot_back_and_lose_nothing_of_it() -> None:
    call = Call().start(ptime_ms=40)
    call.tick(3)
    for _ in range(4):
        call.pacer.put(LOUD)

    assert call.stream.press("7") == 1
    call.tick(10)
    assert call.pacer.played_ms == 0
    assert call.stream.pressed == 1
    call.tick(6)

    assert call.pacer.played_ms == 80
    packets = call.sent()
    assert sum(packet.payload_type == 101 for packet in packets) == 7
    # The half packet gathered before the press was sent first, so the clock has neither a hole nor an overlap.
    audio = [packet for packet in packets if packet.payload_type == 8]
    assert [len(packet.payload) for packet in audio[:2]] == [320, 160]
    event = next(packet for packet in packets if packet.payload_type == 101)
    assert event.timestamp == 3 * 160


def test_pause_after_a_press_is_sent_as_silence() -> None:
    call = Call().start()
    call.stream.press("7")
    call.tick(10)

    assert [(packet.payload_type, packet.timestamp) for packet in call.sent()[7:]] == [
        (8, 7 * 160),
        (8, 8 * 160),
        (8, 9 * 160),
    ]


def test_on_hold_the_bot_waits_and_the_caller_is_silent() -> None:
    call = Call().start()
    call.tick()
    call.pacer.put(LOUD)
    call.apply(send=False, receive=False)
    call.hear(0, b"\x2a\xaa" * 80)
    call.tick(10)
    assert call.pacer.played_ms == 0
    assert len(call.sent()) == 1
    assert not any(frame.any() for frame in call.heard())

    call.apply()
    call.tick()

    assert call.sent()[-1].timestamp == 11 * 160
    assert call.sent()[-1].marker
    assert call.pacer.played_ms == 20


def test_nothing_is_sent_where_sdp_has_no_address() -> None:
    call = Call().start(host="0.0.0.0")
    call.now += 10
    call.tick(12)
    call.stream.close(now=call.now)

    assert call.endpoint.rtp_out == []
    assert call.endpoint.rtcp_out == []
    assert call.endpoint.closed


def test_digits_go_as_tones_where_events_were_not_agreed() -> None:
    call = Call().start()
    call.stream.apply(MediaParameters(PEER[0], PEER[1], "PCMA", 8), now=call.now)
    for _ in range(3):
        call.pacer.put(LOUD)

    assert call.stream.press("5") == 1
    call.tick(8)
    assert (call.stream.pressed, call.pacer.played_ms) == (1, 0)
    call.tick(3)

    assert call.pacer.played_ms == 60
    sound = Resampler(8_000, 16_000).feed(A_LAW.decode(b"".join(packet.payload for packet in call.sent()[:9])))
    assert [press.digit for press in KeyToneDetector().feed(sound)] == ["5"]


def test_figures_say_how_it_sounds_here_and_there() -> None:
    call = Call().start()
    assert (call.stream.stats().mos, call.stream.stats().mos_there) == (None, None)
    for number in range(100):
        if number % 10:
            call.hear(number, b"\xd5" * 160)
        call.tick()
    stats = call.stream.stats()
    assert (stats.codec, stats.encrypted) == ("PCMA", False)
    assert stats.mos is not None
    assert 3.0 < stats.mos < 3.9  # 10 % are lost

    call.tick(60)
    ((report, _),) = call.endpoint.rtcp_out
    ours = parse_rtcp(report)[0]
    assert isinstance(ours, SenderReport)
    block = ReportBlock(1, 26, 9, 90, 80, ours.ntp >> 16 & 0xFFFFFFFF, 0)
    call.endpoint.rtcp_in.append((build_rtcp([ReceiverReport(2, (block,))]), ("192.0.2.1", 4001), call.now))
    call.tick(20)
    stats = call.stream.stats()

    assert stats.lost_there_percent == pytest.approx(10, abs=0.5)
    assert stats.jitter_there_ms == 10.0
    assert stats.mos_there is not None
    assert stats.mos_there < 4.0


def test_a_call_is_rated_by_the_codec_that_was_agreed_on() -> None:
    rated: list[float] = []
    offered: list[tuple[CodecName, bytes]] = [("PCMA", b"\xd5" * 160), ("opus", OpusEncoder(24_000).encode(bytes(960)))]
    for codec, payload in offered:
        call = Call()
        call.stream.apply(MediaParameters(PEER[0], PEER[1], codec, 8), now=call.now)
        call.stream.start(now=call.now)
        for number in range(200):
            if number % 10:
                call.hear(number, payload, units=CODECS[codec].clock_hz // 50)
            call.tick()
        rated.append(call.stream.stats().mos or 0.0)

    assert rated[0] < rated[1] < 4.0


def test_extended_reports_go_to_who_asks_and_are_believed_of_who_sends() -> None:
    call = Call()
    parameters = MediaParameters(PEER[0], PEER[1], "PCMA", 8, voip_metrics=True)
    call.stream.apply(parameters, now=call.now)
    call.stream.start(now=call.now)
    call.tick(200)  # nothing has come: nothing is to be told
    for number in range(300):
        call.hear(number, b"\xd5" * 160)
        call.tick()

    reports = [parse_rtcp(data) for data, _ in call.endpoint.rtcp_out]
    assert not any(isinstance(each, ExtendedReport) for each in reports[0])
    extended = reports[-1][-1]
    assert isinstance(extended, ExtendedReport)
    assert (extended.metrics[0].ssrc, extended.metrics[0].loss_rate) == (2, 0)
    assert extended.metrics[0].mos_cq is not None
    assert extended.metrics[0].mos_cq > 4.0

    theirs = ExtendedReport(2, (VoipMetrics(1, 0, 0, mos_cq=2.5),))
    call.endpoint.rtcp_in.append((build_rtcp([ReceiverReport(2), theirs]), ("192.0.2.1", 4001), call.now))
    call.tick(20)
    assert call.stream.stats().mos_there == 2.5


def test_opus_goes_out_and_its_clock_runs_at_48_khz() -> None:
    call = Call()
    call.stream.apply(MediaParameters(PEER[0], PEER[1], "opus", 111, 102, dtmf_clock_hz=48_000), now=call.now)
    call.stream.start(now=call.now)
    call.tick(3)
    call.stream.press("1")
    call.tick(10)

    audio = [packet for packet in call.sent() if packet.payload_type == 111]
    assert [packet.timestamp for packet in audio[:3]] == [0, 960, 1_920]
    assert (audio[3].timestamp, audio[3].marker) == ((3 + 7) * 960, True)
    events = [packet for packet in call.sent() if packet.payload_type == 102]
    assert {event.timestamp for event in events} == {3 * 960}
    assert int.from_bytes(events[-1].payload[2:], "big") == 4_800


def test_in_a_pause_of_the_bot_comfort_noise_takes_over_where_agreed() -> None:
    call = Call()
    call.stream.apply(MediaParameters(PEER[0], PEER[1], "PCMA", 8, comfort_noise=True), now=call.now)
    call.stream.start(now=call.now)
    call.tick(60)
    call.pacer.put(LOUD)
    call.tick()

    packets = call.sent()
    assert [packet.payload_type for packet in packets] == [8] * 10 + [13, 13, 8]
    assert [packet.timestamp // 160 for packet in packets[10:]] == [10, 35, 60]
    assert packets[-1].marker


def test_comfort_noise_of_the_caller_is_heard_until_it_speaks_again() -> None:
    call = Call().start()
    for number in range(10):
        call.hear(number, b"\x2a\xaa" * 80)
        call.tick()
    call.hear(10, b"\x28", payload_type=13)
    call.tick(30)
    heard = call.heard()
    assert [10 < np.sqrt(np.mean(frame.astype(float) ** 2)) < 500 for frame in heard[-15:]] == [True] * 15
    assert call.stream.stats().concealed_ms == 0

    for number in range(11, 16):
        data = build_rtp(RtpPacket(8, number, (number + 29) * 160, 2, b"\x2a\xaa" * 80))
        call.endpoint.rtp_in.append((data, PEER, call.now))
        call.tick()

    assert np.abs(call.heard()[-1]).max() > 5_000


def test_reports_go_out_and_come_in() -> None:
    call = Call().start()
    call.hear(0, b"\xd5" * 160)
    call.tick(150)
    ((data, destination),) = call.endpoint.rtcp_out
    report = parse_rtcp(data)[0]
    assert isinstance(report, SenderReport)
    assert destination == ("192.0.2.1", 4001)

    block = ReceiverReport(2, ())
    call.endpoint.rtcp_in.append((build_rtcp([block]), ("192.0.2.1", 4999), call.now))
    call.tick(20)
    call.stream.close(now=call.now)

    assert call.endpoint.rtcp_out[-1][1] == ("192.0.2.1", 4999)
    assert parse_rtcp(call.endpoint.rtcp_out[-1][0])[-1] == Goodbye((1,))
    assert call.endpoint.closed


def test_figures_join_all_parts() -> None:
    call = Call().start()
    assert call.stream.stats().received == 0
    for number in range(30):
        if number != 10:
            call.hear(number, b"\xd5" * 160)
        call.tick()

    stats = call.stream.stats()

    assert (stats.received, stats.lost, stats.concealed_ms, stats.late) == (29, 1, 20, 0)
    assert (stats.sent, stats.underruns, stats.round_trip_ms) == (30, 0, None)
    assert stats.sent_late_ms_max == pytest.approx(1.0, abs=0.1)
    assert 15 <= stats.playout_delay_ms <= 45


def test_figures_tell_what_was_not_taken_and_could_not_be_sent() -> None:
    call = Call().start()
    call.endpoint.unsent = 4
    call.hear(0, b"\xd5" * 160)
    call.hear(1, b"?", payload_type=77)
    for number in range(3):
        stranger = build_rtp(RtpPacket(8, number, 0, 9, b"\xd5" * 160))
        call.endpoint.rtp_in.append((stranger, ("203.0.113.9", 666), call.now))
    call.tick()

    stats = call.stream.stats()

    assert (stats.received, stats.malformed, stats.strangers, stats.unsent) == (2, 1, 3, 4)


class BrokenEndpoint(WiredEndpoint):
    """Sockets that cannot send RTCP."""

    def send_rtcp(self, data: bytes, destination: Address) -> None:
        raise OSError


def test_sockets_are_closed_even_where_the_goodbye_cannot_be_sent() -> None:
    call = Call(endpoint=BrokenEndpoint())
    call.stream.apply(MediaParameters(*PEER, "PCMA", 8), now=50.0)

    with pytest.raises(OSError):
        call.stream.close(now=50.0)

    assert call.endpoint.closed
