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
    "km/saat": "kilometr saatda", "km/s": "kilometr saatda", "m/s": "metr saniyədə",
    "kVt·saat": "kilovat-saat", "kVt*saat": "kilovat-saat", "kVt⋅saat": "kilovat-saat", "kVt/saat": "kilovat-saat",
    "kVt-saat": "kilovat-saat", "kVt": "kilovat", "Vt": "vat", "V": "volt",
    "Hz": "hers", "kHz": "kilohers", "MHz": "meqahers", "GHz": "giqahers",
    "KB": "kilobayt", "MB": "meqabayt", "GB": "giqabayt", "TB": "terabayt",
    "Mbit/s": "meqabit saniyədə", "Mb/s": "meqabit saniyədə", "Mbps": "meqabit saniyədə",
    "Gbit/s": "giqabit saniyədə",
    "dəq.": "dəqiqə", "dəq": "dəqiqə", "san.": "saniyə", "san": "saniyə", "mln.": "milyon", "mln": "milyon",
    "mlrd.": "milyard", "mlrd": "milyard",
}  # fmt: skip
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_AFTER = rf"\s?(?P<unit>{_UNIT})(?![\w²³/])(?!-\d){SUFFIX}?"


def _quantity(match: re.Match[str]) -> str:
    minus = "mənfi " if match["sign"] else ""
    return attach(f"{minus}{decimal(written_number(match['number']))} {_UNITS[match['unit']]}", match["suffix"] or "")


def _range(match: re.Match[str]) -> str:
    first, last = (decimal(written_number(match[key])) for key in ("first", "last"))
    return attach(f"{first}-{last} {_UNITS[match['unit']]}", match["suffix"] or "")


def _percent_first(match: re.Match[str]) -> str:
    return attach(f"{decimal(written_number(match['number']))} faiz", match["suffix"] or "")


RULES = (
    Rule("unit range", re.compile(rf"(?<![\w.,-])(?P<first>{NUMBER})\s?[-–—]\s?(?P<last>{NUMBER}){_AFTER}"), _range),
    Rule("unit", re.compile(rf"{SIGN}(?P<number>{NUMBER}){_AFTER}"), _quantity),
    Rule("percent", re.compile(rf"(?<![\w%])%\s?(?P<number>{NUMBER})(?!\w){SUFFIX}?"), _percent_first),
)
