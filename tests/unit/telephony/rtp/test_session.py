from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import LocalProtocolError
from telephony.media import MediaParameters, SrtpKeys
from telephony.rtp.packet import parse_rtp
from telephony.rtp.receiver import AudioArrived
from telephony.rtp.report import Reporter
from telephony.rtp.rtcp import Goodbye, SenderReport, SourceDescription, build_rtcp, parse_rtcp
from telephony.rtp.sender import RtpSender
from telephony.rtp.session import RtpSession
from telephony.rtp.source import Address

LEFT: Address = ("192.0.2.1", 4000)
RIGHT: Address = ("192.0.2.2", 5000)
NAT: Address = ("198.51.100.7", 31_000)


def parameters(
    remote: Address = RIGHT, *, send: bool = True, receive: bool = True, dtmf: int | None = 101
) -> MediaParameters:
    return MediaParameters(remote[0], remote[1], "PCMA", 8, dtmf, send=send, receive=receive)


def session(ssrc: int = 1, *, applied: MediaParameters | None = None) -> RtpSession:
    ours = RtpSession(
        sender=RtpSender(ssrc=ssrc, sequence=100, timestamp=1_000),
        reporter=Reporter(cname=f"c{ssrc}", wall_offset_s=1e9, dice=lambda: 0.5),
        silence_timeout_s=30.0,
    )
    if applied is not None:
        ours.apply(applied, now=0.0)
    return ours


def pair() -> tuple[RtpSession, RtpSession]:
    return session(1, applied=parameters(RIGHT)), session(2, applied=parameters(LEFT))


def talk(sender: RtpSession, listener: RtpSession, source: Address, *, start: int = 0, count: int = 5) -> None:
    for number in range(start, start + count):
        listener.receive_rtp(sender.send_audio(b"\xd5" * 160), source, now=number * 0.02)


def test_two_sessions_hear_each_other() -> None:
    left, right = pair()
    talk(left, right, LEFT)

    events = [right.poll() for _ in range(5)]

    assert all(isinstance(event, AudioArrived) for event in events)
    assert right.poll() is None
    assert left.sent == 5
    assert right.receiver.received == 5


def test_before_apply_nothing_can_be_sent() -> None:
    ours = session()

    assert ours.sends_to is None
    assert ours.destination is None
    assert ours.rtcp_destination is None
    assert ours.send_report(now=1e9) is None
    with pytest.raises(LocalProtocolError, match=r"call apply\(\) first"):
        ours.press("1")


def test_rtp_goes_to_sdp_first_and_then_to_where_it_comes_from() -> None:
    left, right = pair()
    assert (left.destination, left.rtcp_destination) == (RIGHT, ("192.0.2.2", 5001))

    talk(right, left, NAT)

    assert (left.destination, left.rtcp_destination) == (NAT, ("198.51.100.7", 31_001))


@pytest.mark.parametrize("named", [("0.0.0.0", 4000), ("192.0.2.9", 0), ("phone.example", 4000), ("::", 4000)])
def test_sdp_without_a_usable_address_waits_for_the_peer(named: Address) -> None:
    ours, peer = session(applied=parameters(named)), session(2, applied=parameters(LEFT))
    assert ours.sends_to is None

    talk(peer, ours, NAT)

    assert ours.sends_to is not None
    assert ours.destination == NAT


def test_another_sdp_sends_to_the_new_address_at_once() -> None:
    left, right = pair()
    talk(right, left, NAT)

    left.apply(parameters(("203.0.113.5", 6000)), now=1.0)

    assert left.destination == ("203.0.113.5", 6000)


def test_on_hold_nothing_is_sent_and_the_clock_goes_on() -> None:
    ours = session(applied=parameters())
    before = parse_rtp(ours.send_audio(b"x" * 160))
    ours.apply(parameters(send=False), now=1.0)
    assert ours.sends_to is None

    ours.send_nothing(1_600)
    ours.apply(parameters(), now=2.0)
    after = parse_rtp(ours.send_audio(b"x" * 160))

    assert after.timestamp == before.timestamp + 160 + 1_600
    assert after.sequence == before.sequence + 1
    assert after.marker


def test_press_takes_the_place_of_audio_and_moves_the_clock() -> None:
    ours = session(applied=parameters())
    ours.send_audio(b"x" * 160)

    assert ours.press("5") == 1
    sent: list[bytes | None] = []
    while ours.is_pressing:
        sent.append(ours.send_press())
    after = parse_rtp(ours.send_audio(b"x" * 160))

    events = [parse_rtp(data) for data in sent if data is not None]
    assert {(event.payload_type, event.timestamp) for event in events} == {(101, 1_160)}
    assert [data is None for data in sent] == [False] * 7 + [True] * 3
    assert after.timestamp == 1_160 + 7 * 160
    assert ours.pressed == 1


def test_digits_need_the_consent_of_the_peer() -> None:
    ours = session(applied=parameters(dtmf=None))

    with pytest.raises(LocalProtocolError, match="did not agree to telephone-event"):
        ours.press("5")


def test_press_under_way_ends_silently_when_the_consent_is_taken_back() -> None:
    ours = session(applied=parameters())
    ours.press("5")
    ours.send_press()
    ours.apply(parameters(dtmf=None), now=1.0)

    sent: list[bytes | None] = []
    while ours.is_pressing:
        sent.append(ours.send_press())

    assert not any(sent)
    assert ours.pressed == 1


def test_reports_go_when_due_and_tell_the_round_trip() -> None:
    left, right = pair()
    talk(left, right, LEFT)
    talk(right, left, RIGHT)
    assert left.send_report(now=1.0) is None

    first = left.send_report(now=3.0)
    assert first is not None
    right.receive_rtcp(first, ("192.0.2.1", 4001), now=3.02)
    answer = right.send_report(now=4.0)
    assert answer is not None
    left.receive_rtp(answer, RIGHT, now=4.03)  # on the RTP port: rtcp-mux

    report, description = parse_rtcp(first)
    assert isinstance(report, SenderReport)
    assert report.blocks[0].ssrc == 2
    assert description == SourceDescription(1, "c1")
    assert left.round_trip_s == pytest.approx(0.05, abs=0.001)
    assert right.rtcp_destination == ("192.0.2.1", 4001)


def test_rtcp_is_answered_to_where_it_comes_from_until_sdp_changes() -> None:
    left, right = pair()
    left.receive_rtcp(right.send_goodbye(now=1.0), ("192.0.2.2", 7777), now=1.0)
    assert left.rtcp_destination == ("192.0.2.2", 7777)

    left.apply(parameters(("203.0.113.5", 6000)), now=1.0)

    assert left.rtcp_destination == ("203.0.113.5", 6001)


def test_beside_the_last_port_there_is_none_for_rtcp() -> None:
    assert session(1, applied=parameters(("192.0.2.2", 65_535))).rtcp_destination is None


def test_rtcp_of_strangers_and_garbage_are_not_believed() -> None:
    left, right = pair()
    left.receive_rtcp(right.send_goodbye(now=1.0), ("203.0.113.9", 5001), now=1.0)
    left.receive_rtcp(b"\x80\xc9garbage", ("192.0.2.2", 7777), now=1.0)

    assert left.rtcp_destination == ("192.0.2.2", 5001)
    assert left.receiver.malformed == 1


def sealed_pair() -> tuple[RtpSession, RtpSession]:
    keys = bytes(range(30)), bytes(range(30, 60))
    left = replace(parameters(RIGHT), srtp=SrtpKeys("AES_CM_128_HMAC_SHA1_80", *keys))
    right = replace(parameters(LEFT), srtp=SrtpKeys("AES_CM_128_HMAC_SHA1_80", *keys[::-1]))
    return session(1, applied=left), session(2, applied=right)


def test_sealed_sessions_hear_each_other_and_report() -> None:
    left, right = sealed_pair()
    talk(left, right, LEFT)
    left.press("5")
    press = left.send_press()
    assert press is not None
    right.receive_rtp(press, LEFT, now=0.2)
    right.receive_rtp(left.send_noise(b"\x46", duration=160), LEFT, now=0.3)
    report = left.send_report(now=10.0)
    assert report is not None
    right.receive_rtcp(report, ("192.0.2.1", 4001), now=10.0)
    right.receive_rtcp(left.send_goodbye(now=11.0), ("192.0.2.1", 4001), now=11.0)

    assert right.is_encrypted
    assert (right.receiver.received, right.receiver.malformed) == (7, 0)
    assert right.rtcp_destination == ("192.0.2.1", 4001)


def test_what_is_forged_moves_no_address_and_is_not_heard() -> None:
    left, right = sealed_pair()
    forger, _ = pair()
    for number in range(10):
        right.receive_rtp(forger.send_audio(b"\xd5" * 160), NAT, now=number * 0.02)
    right.receive_rtcp(forger.send_goodbye(now=1.0), ("192.0.2.1", 7777), now=1.0)

    assert right.poll() is None
    assert (right.destination, right.rtcp_destination) == (LEFT, ("192.0.2.1", 4001))
    assert right.receiver.malformed == 11
    talk(left, right, LEFT)
    assert right.receiver.received == 5


def test_a_reinvite_with_the_same_keys_goes_on_and_with_others_begins_anew() -> None:
    left, right = sealed_pair()
    talk(left, right, LEFT)
    same = SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(range(30)), bytes(range(30, 60)))
    left.apply(replace(parameters(RIGHT), srtp=same), now=1.0)
    talk(left, right, LEFT, start=5)
    assert right.receiver.received == 10

    left.apply(replace(parameters(RIGHT), srtp=replace(same, ours=bytes(30))), now=1.0)
    talk(left, right, LEFT, start=10)
    assert (right.receiver.received, right.receiver.malformed) == (10, 5)

    left.apply(parameters(RIGHT), now=2.0)
    assert not left.is_encrypted


def test_our_wraps_stay_counted_when_only_the_peers_key_changes_and_after_a_while_in_the_clear() -> None:
    ours, theirs = bytes(range(30)), bytes(range(30, 60))
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", ours, theirs)
    left = RtpSession(
        sender=RtpSender(ssrc=1, sequence=65_533, timestamp=0),
        reporter=Reporter(cname="c", wall_offset_s=1e9, dice=lambda: 0.5),
        silence_timeout_s=30.0,
    )
    left.apply(replace(parameters(RIGHT), srtp=keys), now=0.0)
    right = session(2, applied=replace(parameters(LEFT), srtp=SrtpKeys(keys.suite, theirs, ours)))
    talk(left, right, LEFT)  # the numbers wrap

    changed = replace(keys, theirs=bytes(30))
    left.apply(replace(parameters(RIGHT), srtp=changed), now=1.0)
    talk(left, right, LEFT, start=5)
    left.apply(parameters(RIGHT), now=2.0)
    left.apply(replace(parameters(RIGHT), srtp=changed), now=3.0)
    talk(left, right, LEFT, start=10)

    assert (right.receiver.received, right.receiver.malformed) == (15, 0)


def test_before_apply_nobody_asks_for_metrics() -> None:
    assert not session().wants_metrics


def test_goodbye_names_us() -> None:
    assert parse_rtcp(session(7, applied=parameters()).send_goodbye(now=1.0))[-1] == Goodbye((7,))


def test_time_reaches_the_receiver() -> None:
    ours = session(applied=parameters())
    ours.handle_timer(now=31.0)

    assert type(ours.poll()).__name__ == "MediaTimedOut"


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=60) | st.builds(lambda tail: build_rtcp([Goodbye((1,))]) + tail, st.binary(max_size=20)),
            st.sampled_from([RIGHT, NAT]),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_noise_on_both_ports_is_survived(datagrams: list[tuple[bytes, Address, bool]]) -> None:
    ours = session(applied=parameters())
    for index, (data, source, is_rtcp_port) in enumerate(datagrams):
        (ours.receive_rtcp if is_rtcp_port else ours.receive_rtp)(data, source, now=index * 0.02)
        ours.handle_timer(now=index * 0.02)

    assert ours.sends_to is not None
