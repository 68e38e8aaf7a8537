from __future__ import annotations

from bot.call_records import CallRecords
from bot.events import StageLatency, TurnLatency
from telephony.leg import CallInfo, EndCause, LegEnded, LegStats

INFO = CallInfo("a" * 32, "sip", "+994501234567", "bot", {"sip_call_id": "x@y"})


def turn(total_ms: int) -> TurnLatency:
    stages = StageLatency(endpoint=100, recognition=total_ms - 100, flow=0, speech=0, playout=0)
    return TurnLatency(turn_id="t", total_ms=total_ms, stages=stages)


def test_a_call_is_found_by_both_its_ids_with_means_of_its_turns() -> None:
    records = CallRecords()

    records.add(
        INFO,
        LegEnded(EndCause.CALLER_HUNG_UP),
        12.5,
        LegStats(underruns=3, mos=4.2, codec="opus"),
        [turn(300), turn(500)],
    )

    (found,) = records.latest()
    assert (found.call_id, found.sip_call_id, found.cause) == ("a" * 32, "x@y", "caller_hung_up")
    assert (found.turns, found.total_ms, found.endpoint_ms, found.recognition_ms) == (2, 400, 100, 300)
    assert (found.underruns, found.mos, found.mos_there) == (3, 4.2, None)
    assert (found.transport, found.codec) == ("sip", "opus")


def test_nothing_personal_is_kept() -> None:
    records = CallRecords()
    records.add(INFO, LegEnded(EndCause.BOT_HUNG_UP), 1.0, LegStats(), [])

    assert "+994" not in records.latest()[0].model_dump_json()


def test_only_the_last_thousand_calls_are_kept() -> None:
    records = CallRecords()
    for second in range(1010):
        records.add(INFO, LegEnded(EndCause.BOT_HUNG_UP), float(second), LegStats(), [])

    assert len(records.latest()) == 1000
    assert records.latest()[0].duration_s == 10.0
