"""Which destinations may be called, how often and for how much."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import LocalProtocolError
from telephony.sip.toll_guard import DAY_S, Allowed, Refused, TollGuard, TollLimits, Why, target_key

PRICES = {
    "+994": Decimal("0.05"),
    "+99490": Decimal("2.00"),
    "100": Decimal(0),
    "@10.0.0.5": Decimal(0),
}


def guard(**limits: object) -> TollGuard:
    return TollGuard(PRICES, TollLimits(**limits))  # type: ignore[arg-type] - passed on as they are


def allowed(ours: TollGuard, destination: str, *, now: float = 0.0) -> Allowed:
    verdict = ours.allow(destination, now=now)
    assert isinstance(verdict, Allowed)
    return verdict


def refused(ours: TollGuard, destination: str, *, now: float = 0.0) -> Refused:
    verdict = ours.allow(destination, now=now)
    assert isinstance(verdict, Refused)
    return verdict


@pytest.mark.parametrize(
    ("destination", "key"),
    [
        ("+994 (50) 123-45-67", "+994501234567"),
        ("00994501234567", "+994501234567"),
        ("sip:+994501234567@trunk.example.com;user=phone", "+994501234567"),
        ("sip:00994501234567;npdi@trunk.example.com", "+994501234567"),
        ("tel:+994501234567;phone-context=x", "+994501234567"),
        ("sip:%2B99450@trunk.example.com", "+99450"),
        ("100", "100"),
        ("sip:operator@10.0.0.5:5062", "@10.0.0.5"),
        ("operator", None),
        ("https://example.com", None),
        ("sip:", None),
        ("", None),
    ],
)
def test_a_destination_is_looked_up_by_its_number_or_its_host(destination: str, key: str | None) -> None:
    assert target_key(destination) == key


def test_only_what_the_table_names_may_be_called() -> None:
    ours = guard()

    assert refused(ours, "+1900555").why is Why.NOT_NAMED
    assert refused(ours, "0501234567").why is Why.NOT_NAMED
    assert refused(ours, "sip:operator@10.0.0.6").why is Why.NOT_NAMED
    assert refused(ours, "operator").why is Why.MALFORMED
    assert allowed(ours, "sip:operator@10.0.0.5").price_per_minute == 0


def test_a_host_of_the_table_opens_no_numbers_of_that_host() -> None:
    assert refused(guard(), "sip:+1900555@10.0.0.5").why is Why.NOT_NAMED


def test_the_longest_prefix_gives_the_price() -> None:
    ours = guard()

    assert allowed(ours, "+994501234567").price_per_minute == Decimal("0.05")
    assert allowed(ours, "+994900000000").price_per_minute == Decimal("2.00")


def test_calls_are_capped_by_the_minute() -> None:
    ours = guard(calls_per_minute=2)
    allowed(ours, "100", now=0.0)
    allowed(ours, "100", now=10.0)

    assert refused(ours, "100", now=20.0) == Refused(Why.TOO_MANY_CALLS, 40.0)
    allowed(ours, "100", now=60.0)


def test_money_is_capped_by_the_day_and_a_call_by_the_money_that_is_left() -> None:
    ours = guard(money_per_day=Decimal(5), call_s=120.0)

    assert allowed(ours, "+99490", now=0.0).within_s == 120.0  # reserves 4.00
    assert refused(ours, "+99490", now=1.0) == Refused(Why.TOO_DEAR, DAY_S - 1.0)
    assert allowed(ours, "+99450", now=2.0).within_s == 120.0  # 0.10 of the 1.00
    assert ours.spent == Decimal("4.10")
    assert allowed(ours, "+99490", now=DAY_S).within_s == 120.0


def test_a_call_is_shortened_to_what_is_left() -> None:
    ours = guard(money_per_day=Decimal(5), call_s=600.0)

    assert allowed(ours, "+99490", now=0.0).within_s == 120.0


def test_what_a_call_did_not_use_comes_back_in_minutes_begun() -> None:
    ours = guard(money_per_day=Decimal(5), call_s=120.0)
    ticket = allowed(ours, "+99490").ticket

    ours.ended(ticket, talked_s=61.0)
    assert ours.spent == Decimal("4.00")
    ours.ended(ticket, talked_s=0.0)  # told once
    assert ours.spent == Decimal("4.00")


def test_a_call_that_nobody_answers_costs_nothing() -> None:
    ours = guard()
    ours.ended(allowed(ours, "+99490").ticket, talked_s=0.0)

    assert ours.spent == 0


def test_no_money_at_all_leaves_only_what_is_free() -> None:
    ours = guard(money_per_day=Decimal(0))

    assert refused(ours, "+99450") == Refused(Why.TOO_DEAR)
    assert allowed(ours, "100").within_s == 1800.0


@pytest.mark.parametrize(("key", "price"), [("azercell", Decimal(1)), ("", Decimal(1)), ("+994", Decimal(-1))])
def test_a_price_that_makes_no_sense_is_refused_at_the_start(key: str, price: Decimal) -> None:
    with pytest.raises(LocalProtocolError, match="write a prefix"):
        TollGuard({key: price}, TollLimits())


@given(st.lists(st.tuples(st.sampled_from(["+99450", "+99490", "100"]), st.floats(0, 900), st.floats(0, 1800))))
def test_no_pattern_of_calls_spends_more_than_a_day_allows(calls: list[tuple[str, float, float]]) -> None:
    ours, now = guard(money_per_day=Decimal(7), calls_per_minute=1000), 0.0
    for destination, gap_s, talked_s in calls:
        now += gap_s
        verdict = ours.allow(destination, now=now)
        if isinstance(verdict, Allowed):
            assert ours.spent <= 7
            ours.ended(verdict.ticket, talked_s=min(talked_s, verdict.within_s))
        assert ours.spent <= 7
