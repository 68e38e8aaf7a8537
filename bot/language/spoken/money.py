"""Amounts of money: manat and qəpik, and the currencies that callers name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from bot.language.harmony import attach
from bot.language.numbers import NUMBER, cardinal, decimal, written_number
from bot.language.spoken.numerals import SIGN, SUFFIX
from bot.language.spoken.rule import Rule


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency as spoken: its name and the name of its hundredth."""

    name: str
    hundredth: str


MANAT = Currency("manat", "qəpik")
_DOLLAR = Currency("dollar", "sent")
_EURO = Currency("avro", "sent")
_ROUBLE = Currency("rubl", "qəpik")
_LIRA = Currency("lirə", "quruş")
_POUND = Currency("funt sterlinq", "pens")

_CURRENCIES = {
    "AZN": MANAT, "₼": MANAT, "manat": MANAT, "man.": MANAT,
    "USD": _DOLLAR, "$": _DOLLAR, "US$": _DOLLAR, "dollar": _DOLLAR,
    "EUR": _EURO, "€": _EURO, "avro": _EURO,
    "RUB": _ROUBLE, "₽": _ROUBLE, "rubl": _ROUBLE,
    "TRY": _LIRA, "₺": _LIRA, "lirə": _LIRA,
    "GBP": _POUND, "£": _POUND, "funt sterlinq": _POUND,
}  # fmt: skip
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
_SCALES = {"min": "min", "mln": "milyon", "mln.": "milyon", "milyon": "milyon", "mlrd": "milyard", "mlrd.": "milyard",
           "milyard": "milyard", "trln": "trilyon", "trln.": "trilyon", "trilyon": "trilyon"}  # fmt: skip


def _amount_of(text: str) -> Decimal:
    """Read an amount as written; no currency has thousandths, so the comma of `1,500` groups as in English."""
    return written_number(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)


def _any_of(names: tuple[str, ...]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def amount(value: Decimal, currency: Currency = MANAT, suffix: str = "") -> str:
    """Say an amount, in hundredths where it has them: 12.5 is `on iki manat əlli qəpik`."""
    minus = "mənfi " if value < 0 else ""
    hundredths = _in_hundredths(value)
    if hundredths is None:
        return minus + attach(f"{decimal(value.copy_abs())} {currency.name}", suffix)
    whole, rest = divmod(hundredths, 100)
    parts: list[str] = []
    if whole or not rest:
        parts.append(f"{cardinal(whole)} {currency.name}")
    if rest:
        parts.append(f"{cardinal(rest)} {currency.hundredth}")
    return minus + attach(" ".join(parts), suffix)


def _in_hundredths(value: Decimal) -> int | None:
    """Give the whole hundredths, exactly: the arithmetic of decimals rounds beyond 28 digits."""
    _, digits, exponent = value.as_tuple()
    places = int(exponent) + 2
    whole, rest = divmod(int(Decimal((0, digits, 0))) * 10 ** max(0, places), 10 ** max(0, -places))
    return None if rest else whole


def _spoken(match: re.Match[str]) -> str:
    groups = match.groupdict()
    currency = _CURRENCIES[match["currency"]]
    value = _amount_of(match["number"])
    value = value.copy_negate() if groups.get("sign") else value
    suffix = groups.get("suffix") or groups.get("ending") or ""
    if scale := groups.get("scale"):
        return attach(f"{decimal(value)} {_SCALES[scale]} {currency.name}", suffix)
    return amount(value, currency, suffix)


def _range(match: re.Match[str]) -> str | None:
    currency = _CURRENCIES[match["currency"]]
    if match["first_currency"] and _CURRENCIES[match["first_currency"]] is not currency:
        return None  # 10 AZN-20 USD
    first, last = (decimal(_amount_of(match[key])) for key in ("first", "last"))
    suffix = match["suffix"] or match["ending"] or ""
    return attach(f"{first}-{last} {currency.name}", suffix)


def _hundredths(match: re.Match[str]) -> str:
    return attach(f"{cardinal(int(match['number']))} qəpik", match["suffix"] or "")


_NAMES = _any_of(tuple(name for name in _CURRENCIES if (name.isalpha() and name.islower()) or " " in name))
_CODES = _any_of(tuple(name for name in _CURRENCIES if not ((name.isalpha() and name.islower()) or " " in name)))
_AFTER = rf"(?:(?P<currency>{_NAMES}|{_CODES})(?:{SUFFIX}|(?P<ending>[a-zəıöü]{{1,4}})?(?!\w)))"
_SIGNS_BEFORE = _any_of(("AZN", "₼", "USD", "$", "US$", "EUR", "€", "RUB", "₽", "TRY", "₺", "GBP", "£"))

RULES = (
    Rule(
        re.compile(
            rf"(?<![\w.,-])(?P<first>{NUMBER})(?:\s?(?P<first_currency>{_NAMES}|{_CODES}))?"
            rf"\s?[-–—]\s?(?P<last>{NUMBER})\s?{_AFTER}"
        ),
        _range,
    ),
    Rule(
        re.compile(rf"{SIGN}(?P<number>{NUMBER})\s?(?:(?P<scale>{_any_of(tuple(_SCALES))})\s)?{_AFTER}"),
        _spoken,
    ),
    Rule(
        re.compile(
            rf"{SIGN}(?<!\w)(?P<currency>{_SIGNS_BEFORE})\s?(?P<number>{NUMBER})(?:\s?(?P<scale>{_any_of(tuple(_SCALES))})(?!\w)|(?!\w)){SUFFIX}?"
        ),
        _spoken,
    ),
    Rule(re.compile(rf"(?P<number>\d{{1,15}})\s?qəp(?:\.|(?!\w)){SUFFIX}?"), _hundredths),
)
