"""Percent and units of measure after a number."""

from __future__ import annotations

import re

from bot.language.harmony import attach
from bot.language.numbers import NUMBER, decimal, written_number
from bot.language.spoken.numerals import SIGN, SUFFIX
from bot.language.spoken.rule import Rule

# CLDR az, unit names of length long; ours where CLDR has none.
_UNITS = {
    "%": "faiz", "‰": "promil", "°C": "dərəcə", "°": "dərəcə",
    "km": "kilometr", "m": "metr", "dm": "desimetr", "sm": "santimetr", "mm": "millimetr",
    "km²": "kvadrat kilometr", "m²": "kvadrat metr", "m2": "kvadrat metr", "kv.m": "kvadrat metr",
    "m³": "kubmetr", "m3": "kubmetr", "ha": "hektar",
    "kq": "kiloqram", "q": "qram", "mq": "milliqram", "t": "ton", "l": "litr", "ml": "millilitr",
    "kVt·saat": "kilovat-saat", "kVt*saat": "kilovat-saat", "kVt⋅saat": "kilovat-saat", "kVt/saat": "kilovat-saat",
    "kVt-saat": "kilovat-saat", "kVt": "kilovat", "Vt": "vat", "V": "volt",
    "Hz": "hers", "kHz": "kilohers", "MHz": "meqahers", "GHz": "giqahers",
    "KB": "kilobayt", "MB": "meqabayt", "GB": "giqabayt", "TB": "terabayt",
    "Mbit": "meqabit", "Mb": "meqabit", "Gbit": "giqabit",
    "dəq.": "dəqiqə", "dəq": "dəqiqə", "san.": "saniyə", "san": "saniyə", "mln.": "milyon", "mln": "milyon",
    "mlrd.": "milyard", "mlrd": "milyard",
}  # fmt: skip
# What a rate is counted by; it comes first: 60 km/saat, saatda altmış kilometr.
_PER = {
    "saat": "saatda", "san": "saniyədə", "san.": "saniyədə", "s": "saniyədə", "dəq": "dəqiqədə", "dəq.": "dəqiqədə",
    "gün": "gündə", "ay": "ayda", "il": "ildə",
}  # fmt: skip
_RATED = r"(?:km|m|l|m³|kub|Kbit|Mbit|Mb|Gbit|MB|GB|AZN|₼|manat|USD|\$|€|avro|dollar)"
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_AFTER = rf"\s?(?P<unit>{_UNIT})(?![\w²³/])(?!-\d){SUFFIX}?"


def _rate(match: re.Match[str]) -> str:
    """Put what is counted by first; the rest is spoken in the next pass."""
    if match["mbps"]:
        return f"saniyədə {match['mbps']} Mbit"
    per = "saatda" if match["unit"] == "km" and match["per"] == "s" else _PER[match["per"]]
    return f"{per} {match['amount']}" + (f"-{match['suffix']}" if match["suffix"] else "")


def _quantity(match: re.Match[str]) -> str:
    minus = "mənfi " if match["sign"] else ""
    return attach(f"{minus}{decimal(written_number(match['number']))} {_UNITS[match['unit']]}", match["suffix"] or "")


def _range(match: re.Match[str]) -> str:
    first, last = (decimal(written_number(match[key])) for key in ("first", "last"))
    return attach(f"{first}-{last} {_UNITS[match['unit']]}", match["suffix"] or "")


def _percent_first(match: re.Match[str]) -> str:
    return attach(f"{decimal(written_number(match['number']))} faiz", match["suffix"] or "")


_AMOUNT = rf"{NUMBER}(?:\s?[-–—]\s?{NUMBER})?"
_PERS = "|".join(re.escape(per) for per in sorted(_PER, key=len, reverse=True))
RATES = (
    Rule(
        "rate",
        re.compile(
            rf"(?<![\w.,-])(?:(?P<amount>{_AMOUNT}\s?(?P<unit>{_RATED}))/(?P<per>{_PERS})(?![\w²³/]){SUFFIX}?"
            rf"|(?P<mbps>{NUMBER})\s?Mbps(?!\w))"
        ),
        _rate,
    ),
)
RULES = (
    Rule("unit range", re.compile(rf"(?<![\w.,-])(?P<first>{NUMBER})\s?[-–—]\s?(?P<last>{NUMBER}){_AFTER}"), _range),
    Rule("unit", re.compile(rf"{SIGN}(?P<number>{NUMBER}){_AFTER}"), _quantity),
    Rule("percent", re.compile(rf"(?<![\w%])%\s?(?P<number>{NUMBER})(?!\w){SUFFIX}?"), _percent_first),
)
