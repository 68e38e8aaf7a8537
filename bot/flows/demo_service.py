"""The service behind the demo flows: bookings of a clinic, accounts of a bank, meters and outages of a utility.

It keeps everything in memory and forgets it when it stops. Made for `make demo` and tests: it belongs on loopback
and knows the people below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

HOST, PORT = "127.0.0.1", 8077
_MOST_BOOKINGS = 1000
_FIRST_ID = 17
_OPENS, _CLOSES, _STEP = time(9, 0), time(18, 0), timedelta(minutes=30)

Phone = Annotated[str, StringConstraints(pattern=r"^\+994\d{9}$")]
Fin = Annotated[str, StringConstraints(pattern=r"^[0-9A-HJ-NP-Z]{7}$")]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class BookingRequest(BaseModel):
    """A visit that is asked for."""

    model_config = _STRICT

    day: date
    time: time
    phone: Phone


class BalanceRequest(BaseModel):
    """Whose balance is asked for."""

    model_config = _STRICT

    fin: Fin
    birth_day: date


class BlockRequest(BaseModel):
    """Which card is to be blocked."""

    model_config = _STRICT

    fin: Fin
    last_digits: Annotated[str, StringConstraints(pattern=r"^\d{4}$")]


class ReadingRequest(BaseModel):
    """What a meter shows."""

    model_config = _STRICT

    subscriber: Annotated[str, StringConstraints(pattern=r"^\d{8}$")]
    reading: int = Field(ge=0, le=999_999)


class OutageRequest(BaseModel):
    """Where something is out."""

    model_config = _STRICT

    district: str
    service: str


@dataclass(frozen=True, slots=True)
class Account:
    """A customer of the demo bank."""

    birth_day: date
    balance: str
    card: str


ACCOUNTS: Mapping[str, Account] = {
    "5ABC123": Account(date(1990, 5, 14), "1250.40", "4321"),
    "7XK29PQ": Account(date(1985, 11, 2), "86.00", "9876"),
}
METERS: Mapping[str, int] = {"12345678": 4210, "87654321": 980}  # subscriber: the last reading
OUTAGES: Mapping[tuple[str, str], str] = {("nərimanov", "işıq"): "18:00", ("xətai", "su"): "21:30"}


@dataclass(slots=True)
class Store:
    """What the demo service remembers while it runs."""

    bookings: dict[tuple[date, time], dict[str, str]] = field(default_factory=dict[tuple[date, time], dict[str, str]])
    answered: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])  # by idempotency key
    readings: dict[str, int] = field(default_factory=lambda: dict(METERS))
    blocked: set[str] = field(default_factory=set[str])

    def free_time(self, day: date, after: time) -> str | None:
        """Find the next free time of a day, from `after` on and then from the morning."""
        start = datetime.combine(day, _OPENS)
        times = [start + n * _STEP for n in range(int((datetime.combine(day, _CLOSES) - start) / _STEP))]
        free = [moment.time() for moment in times if (day, moment.time()) not in self.bookings]
        later = [moment for moment in free if moment > after]
        return f"{(later or free)[0]:%H:%M}" if free else None


def create_app(store: Store | None = None) -> FastAPI:
    """Make the service."""
    app = FastAPI(title="Zəng demo service", docs_url=None, redoc_url=None, openapi_url=None)
    kept = store or Store()
    _add_bookings(app, kept)
    _add_bank(app, kept)
    _add_utility(app, kept)
    return app


def _add_bookings(app: FastAPI, store: Store) -> None:
    @app.post("/v1/bookings", status_code=201, response_model=None)
    def book(
        request: BookingRequest, response: Response, idempotency_key: Annotated[str | None, Header()] = None
    ) -> dict[str, str] | JSONResponse:
        if idempotency_key is not None and idempotency_key in store.answered:
            response.status_code = 200
            return store.answered[idempotency_key]
        if (request.day, request.time) in store.bookings:
            free = store.free_time(request.day, request.time)
            return JSONResponse({"detail": "taken"} | ({"free_time": free} if free else {}), status_code=409)
        if len(store.bookings) >= _MOST_BOOKINGS:
            raise HTTPException(503, "the demo is full: restart it")
        booking = {
            "id": f"A{_FIRST_ID + len(store.bookings)}",
            "day": request.day.isoformat(),
            "time": f"{request.time:%H:%M}",
            "phone": f"***{request.phone[-2:]}",
        }
        store.bookings[request.day, request.time] = booking
        if idempotency_key is not None:
            store.answered[idempotency_key] = booking
        return booking

    @app.get("/v1/bookings")
    def bookings() -> list[dict[str, str]]:
        return sorted(store.bookings.values(), key=lambda booking: (booking["day"], booking["time"]))

    _ = book, bookings


def _add_bank(app: FastAPI, store: Store) -> None:
    @app.post("/v1/balance")
    def balance(request: BalanceRequest) -> dict[str, str]:
        return {"balance": _account(request.fin, request.birth_day).balance}

    @app.post("/v1/cards/block")
    def block(request: BlockRequest) -> dict[str, str]:
        account = ACCOUNTS.get(request.fin)
        if account is None or account.card != request.last_digits:
            raise HTTPException(404, "no such card")
        if account.card in store.blocked:
            raise HTTPException(409, "blocked already")
        store.blocked.add(account.card)
        return {"status": "blocked"}

    _ = balance, block


def _account(fin: str, birth_day: date) -> Account:
    account = ACCOUNTS.get(fin)
    if account is None or account.birth_day != birth_day:
        raise HTTPException(404, "no such customer")
    return account


def _add_utility(app: FastAPI, store: Store) -> None:
    @app.post("/v1/readings", status_code=201)
    def read(request: ReadingRequest) -> dict[str, str]:
        last = store.readings.get(request.subscriber)
        if last is None:
            raise HTTPException(404, "no such subscriber")
        if request.reading < last:
            raise HTTPException(409, "less than the last reading")
        store.readings[request.subscriber] = request.reading
        return {"used": str(request.reading - last)}

    @app.post("/v1/outages")
    def outage(request: OutageRequest) -> dict[str, str]:
        until = OUTAGES.get((request.district, request.service))
        if until is None:
            raise HTTPException(404, "no known outage")
        return {"until": until}

    _ = read, outage
