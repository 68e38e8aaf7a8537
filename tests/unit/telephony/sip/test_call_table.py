"""The calls of a user agent: what each is found by, and what is left when it is over."""

from __future__ import annotations

from telephony.leg import EndCause
from telephony.sip.call_table import CallTable
from telephony.sip.inbound_call import InboundCall
from tests.unit.telephony.sip.call_bench import Bench
from tests.unit.telephony.sip.messages import OFFER, PEER, request


def ringing(bench: Bench, call_id: str) -> InboundCall:
    key, invite = bench.incoming(request(body=OFFER, call_id=call_id, branch=f"z9hG4bK{call_id}"))
    call = InboundCall(bench.context, key, invite, PEER, now=0.0)
    bench.pump()
    return call


def test_a_call_is_found_by_its_handle_its_invite_and_its_dialog() -> None:
    table, call = CallTable(), ringing(Bench(), "one")
    table.put("h", call)

    assert (table.get("h"), table.of_invite(call.key), table.of_dialog(call.dialog_id)) == (
        call,
        ("h", call),
        ("h", call),
    )
    assert (len(table), list(table), table.get("other")) == (1, [call], None)


def test_a_call_that_takes_anothers_place_is_found_and_the_other_no_more() -> None:
    bench, table = Bench(), CallTable()
    first, second = ringing(bench, "one"), ringing(bench, "two")
    table.put("h", first)
    table.put("h", second)

    assert (table.of_dialog(first.dialog_id), table.of_invite(first.key)) == (None, None)
    assert table.of_dialog(second.dialog_id) == ("h", second)


def test_a_call_is_due_when_it_says_and_taken_out_when_it_is_over() -> None:
    table, call = CallTable(), ringing(Bench(), "one")
    table.put("h", call)
    assert (table.settle("h"), table.settle("gone"), table.timer_at()) == (None, None, 60.0)
    assert (table.pop_due(59.0), table.pop_due(60.0)) == (None, ("h", call))
    call.hang_up(EndCause.BOT_HUNG_UP, now=61.0)

    assert (table.settle("h"), len(table), table.of_dialog(call.dialog_id)) == (call, 0, None)
