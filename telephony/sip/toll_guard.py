"""`TollGuard`: which destinations may be called, how often, and for how much money; nothing that is not named.

Toll fraud is the costliest thing that can happen to a bot that calls out: whoever gets it to dial a premium number a
thousand times is paid for it. So a number must begin with a prefix of the table, which gives its price, and calls and
money are capped by time whatever asked for them. A call reserves the price of a whole length; what it did not
use comes back when it ends.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from telephony.errors import LocalProtocolError, SipParseError
from telephony.sip.uri import SipUri, parse_uri

MINUTE_S, DAY_S = 60.0, 86_400.0

PREFIX = re.compile(r"\+?[0-9*#]{1,32}|@\S+")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_SEPARATORS = str.maketrans("", "", " -.()")


@dataclass(frozen=True, slots=True)
class TollLimits:
    """Caps over all calls of one guard, and the longest call."""

    calls_per_minute: int = 10
    money_per_day: Decimal = Decimal(20)
    call_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """The call may be placed; give `ticket` to `ended()`, and hang up after `within_s`."""

    ticket: int
    price_per_minute: Decimal
    within_s: float


class Why(Enum):
    """Why a call may not be placed."""

    MALFORMED = "malformed"  # no number and no sip: or tel: URI
    NOT_NAMED = "not_named"  # no prefix or host of the table
    TOO_MANY_CALLS = "too_many_calls"
    TOO_DEAR = "too_dear"  # not a minute is left of the money


@dataclass(frozen=True, slots=True)
class Refused:
    """The call must not be placed; `retry_after_s` where time heals it."""

    why: Why
    retry_after_s: float | None = None


Verdict: TypeAlias = Allowed | Refused


@dataclass(slots=True)
class _Spending:
    ticket: int
    at: float
    price_per_minute: Decimal
    money: Decimal
    running: bool = True


class TollGuard:
    """Prices by prefix (`"+994"`) or by host (`"@10.0.0.5"`), per minute; the longest prefix counts."""

    def __init__(self, prices: Mapping[str, Decimal], limits: TollLimits) -> None:
        for key, price in prices.items():
            if not PREFIX.fullmatch(key) or price < 0:
                raise LocalProtocolError(f"{key!r} at {price} is no price: write a prefix such as +994, or @host")
        self._prices = prices
        self._limits = limits
        self._starts: deque[float] = deque()
        self._spendings: deque[_Spending] = deque()
        self._tickets = 0

    def allow(self, destination: str, *, now: float) -> Verdict:
        """Judge a number, or a sip: or tel: URI; what it may cost is reserved until `ended`."""
        key = target_key(destination)
        if key is None:
            return Refused(Why.MALFORMED)
        price = self._price(key)
        if price is None:
            return Refused(Why.NOT_NAMED)
        self._forget(now)
        if len(self._starts) >= self._limits.calls_per_minute:
            return Refused(Why.TOO_MANY_CALLS, self._starts[0] + MINUTE_S - now)
        within_s = self._affordable_s(price)
        if within_s < MINUTE_S:
            return Refused(Why.TOO_DEAR, self._spendings[0].at + DAY_S - now if self._spendings else None)
        self._tickets += 1
        self._starts.append(now)
        self._spendings.append(_Spending(self._tickets, now, price, _cost(price, within_s)))
        return Allowed(self._tickets, price, within_s)

    def ended(self, ticket: int, *, talked_s: float) -> None:
        """Note how long a call lasted, 0 where nobody answered; what was reserved beyond comes back."""
        for spending in self._spendings:
            if spending.ticket == ticket and spending.running:
                spending.running = False
                spending.money = _cost(spending.price_per_minute, talked_s)

    @property
    def spent(self) -> Decimal:
        """Money of the last day, with what is reserved."""
        return sum((spending.money for spending in self._spendings), Decimal(0))

    def _price(self, key: str) -> Decimal | None:
        if key.startswith("@"):
            return self._prices.get(key)
        prefixes = (key[:length] for length in range(len(key), 0, -1))
        return next((self._prices[prefix] for prefix in prefixes if prefix in self._prices), None)

    def _affordable_s(self, price: Decimal) -> float:
        if not price:
            return self._limits.call_s
        minutes = int((self._limits.money_per_day - self.spent) / price)
        return min(self._limits.call_s, minutes * MINUTE_S)

    def _forget(self, now: float) -> None:
        while self._starts and now - self._starts[0] >= MINUTE_S:
            self._starts.popleft()
        while self._spendings and now - self._spendings[0].at >= DAY_S:
            self._spendings.popleft()


def _cost(price_per_minute: Decimal, seconds: float) -> Decimal:
    """Carriers count minutes that have begun."""
    return price_per_minute * -int(-seconds // MINUTE_S)


def target_key(destination: str) -> str | None:
    """What a destination is looked up by: a number with its plus, else the host; None for what is neither."""
    user, host = destination.strip(), ""
    if ":" in user:
        try:
            uri = parse_uri(user)
        except SipParseError:
            return None
        if isinstance(uri, SipUri):
            user, host = uri.user, uri.host
        elif uri.scheme == "tel":
            user = uri.rest
        else:
            return None
    number = user.partition(";")[0].translate(_SEPARATORS)
    if _NUMBER.fullmatch(number):
        return f"+{number[2:]}" if number.startswith("00") else number
    return f"@{host}" if host else None
