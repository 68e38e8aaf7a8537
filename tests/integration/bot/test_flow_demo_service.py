from __future__ import annotations

from datetime import date, time

import httpx
import pytest

from bot.flows.demo_service import Store, create_app

_VISIT = {"day": "2026-11-24", "time": "14:00", "phone": "+994501234567"}


def _client(store: Store | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(store)), base_url="http://demo")


async def test_a_visit_is_booked_once_and_listed_without_the_number() -> None:
    async with _client() as client:
        booked = await client.post("/v1/bookings", json=_VISIT)
        taken = await client.post("/v1/bookings", json=_VISIT)
        listed = await client.get("/v1/bookings")
    assert (booked.status_code, booked.json()["id"]) == (201, "A17")
    assert (taken.status_code, taken.json()["free_time"]) == (409, "14:30")
    assert listed.json() == [{"id": "A17", "day": "2026-11-24", "time": "14:00", "phone": "***67"}]


async def test_a_repeated_request_is_answered_as_before() -> None:
    async with _client() as client:
        headers = {"Idempotency-Key": "k1"}
        first = await client.post("/v1/bookings", json=_VISIT, headers=headers)
        second = await client.post("/v1/bookings", json=_VISIT, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


@pytest.mark.parametrize("change", [{"phone": "123"}, {"day": "sabah"}, {"time": "25:00"}, {"extra": 1}])
async def test_a_request_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    async with _client() as client:
        assert (await client.post("/v1/bookings", json={**_VISIT, **change})).status_code == 422


async def test_a_full_day_has_no_free_time_and_a_full_demo_takes_no_more() -> None:
    day = date(2026, 11, 24)
    store = Store()
    for half in range(18, 36):
        store.bookings[day, time(half // 2, 30 * (half % 2))] = {}
    assert store.free_time(day, time(9)) is None
    for minute in range(1000):
        store.bookings[date(2027, 1, 1), time(minute // 60, minute % 60)] = {}
    async with _client(store) as client:
        taken = await client.post("/v1/bookings", json={**_VISIT, "time": "09:00"})
        full = await client.post("/v1/bookings", json={**_VISIT, "day": "2026-12-24"})
    assert taken.json() == {"detail": "taken"}
    assert full.status_code == 503


async def test_after_the_last_time_of_the_day_the_morning_is_offered() -> None:
    assert Store().free_time(date(2026, 11, 24), time(18)) == "09:00"


async def test_a_balance_is_told_to_whom_it_belongs() -> None:
    async with _client() as client:
        right = await client.post("/v1/balance", json={"fin": "5ABC123", "birth_day": "1990-05-14"})
        wrong = await client.post("/v1/balance", json={"fin": "5ABC123", "birth_day": "1991-05-14"})
        unknown = await client.post("/v1/balance", json={"fin": "1111111", "birth_day": "1991-05-14"})
    assert right.json() == {"balance": "1250.40"}
    assert (wrong.status_code, unknown.status_code) == (404, 404)


async def test_a_card_is_blocked_once() -> None:
    async with _client() as client:
        request = {"fin": "5ABC123", "last_digits": "4321"}
        codes = [(await client.post("/v1/cards/block", json=request)).status_code for _ in range(2)]
        wrong = await client.post("/v1/cards/block", json={**request, "last_digits": "0000"})
    assert codes == [200, 409]
    assert wrong.status_code == 404


async def test_a_reading_counts_from_the_last_one() -> None:
    async with _client() as client:
        read = await client.post("/v1/readings", json={"subscriber": "12345678", "reading": 4300})
        less = await client.post("/v1/readings", json={"subscriber": "12345678", "reading": 4200})
        unknown = await client.post("/v1/readings", json={"subscriber": "00000000", "reading": 1})
    assert (read.status_code, read.json()) == (201, {"used": "90"})
    assert (less.status_code, unknown.status_code) == (409, 404)


async def test_an_outage_is_known_by_district_and_service() -> None:
    async with _client() as client:
        known = await client.post("/v1/outages", json={"district": "nərimanov", "service": "işıq"})
        unknown = await client.post("/v1/outages", json={"district": "nərimanov", "service": "su"})
    assert known.json() == {"until": "18:00"}
    assert unknown.status_code == 404
