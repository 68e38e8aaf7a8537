from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import RtpParseError
from telephony.rtp.rtcp import ReceiverReport, build_rtcp, parse_rtcp
from telephony.rtp.xr import ExtendedReport, LossRuns, VoipMetrics, build_xr, parse_xr

U8, U16 = st.integers(0, 255), st.integers(0, 0xFFFF)
METRICS = st.builds(
    VoipMetrics, st.integers(0, 0xFFFFFFFF), U8, U8, U8, U8, U16, U16, U16, U16,
    st.none() | st.integers(0, 100),
    st.none() | st.integers(10, 50).map(lambda tenths: tenths / 10),
    st.none() | st.integers(10, 50).map(lambda tenths: tenths / 10),
    U16, U16,
)  # fmt: skip


@given(st.lists(METRICS, max_size=3))
def test_what_is_built_is_parsed_again(metrics: list[VoipMetrics]) -> None:
    report = ExtendedReport(7, tuple(metrics))

    assert parse_rtcp(build_rtcp([ReceiverReport(7), report])) == [ReceiverReport(7), report]


def test_a_block_is_written_as_in_the_rfc() -> None:
    metrics = VoipMetrics(0x11223344, 5, 6, 7, 8, 1, 2, 3, 4, 93, 4.4, 4.3, 40, 80)

    assert build_xr(ExtendedReport(1, (metrics,))).hex() == (
        "00000001" "07000008" "11223344" "05060708" "00010002" "00030004" "7f7f7f10" "5d7f2c2b" "b0000028" "00500050"
    )  # fmt: skip


def test_other_blocks_are_passed_over() -> None:
    reference_time = struct.pack("!BBHQ", 4, 0, 2, 9)

    assert parse_xr(struct.pack("!I", 3) + reference_time) == ExtendedReport(3)


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_read(body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    data = build_rtcp([ReceiverReport(7)]) + struct.pack("!BBH", 0x80, 207, len(body) // 4) + body
    try:
        first, *rest = parse_rtcp(data)
    except RtpParseError:
        return
    assert first == ReceiverReport(7)
    assert all(isinstance(one, ExtendedReport) for one in rest)


def run(pattern: str) -> LossRuns:
    """Count packets: x for one that is lost."""
    runs, lost = LossRuns(), 0
    for packet in pattern:
        if packet == "x":
            lost += 1
        else:
            runs.count(lost=lost)
            lost = 0
    return runs


def test_without_loss_there_is_neither_burst_nor_gap_density() -> None:
    metrics = run("." * 100).metrics(1, packet_ms=20, discarded=0)

    assert (metrics.loss_rate, metrics.burst_density, metrics.gap_density, metrics.burst_ms) == (0, 0, 0, 0)
    assert run("." * 100).burst_ratio == 1.0


def test_losses_far_apart_are_of_the_gap() -> None:
    metrics = run(("." * 49 + "x") * 10 + ".").metrics(1, packet_ms=20, discarded=0)

    assert metrics.loss_rate == 256 * 10 // 501
    assert metrics.gap_density > 0
    assert run(("." * 49 + "x") * 10 + ".").burst_ratio == 1.0


def test_losses_close_together_are_a_burst() -> None:
    runs = run(("." * 80 + "xxxx.xx.xxx") * 5 + "." * 80)
    metrics = runs.metrics(1, packet_ms=20, discarded=3)

    assert metrics.burst_density > 200
    assert 150 <= metrics.burst_ms <= 400
    assert 1_200 <= metrics.gap_ms <= 2_200
    assert metrics.discard_rate > 0
    assert runs.burst_ratio > 2


def test_an_outage_counts_within_bounds() -> None:
    runs = LossRuns()
    runs.count(lost=50_000)

    assert runs.lost == 1_000


def test_nothing_but_loss_has_no_ratio() -> None:
    assert LossRuns(lost=3).burst_ratio == pytest.approx(1.0)
