"""Percent and units of measure after a number."""

from __future__ import annotations

import re

from bot.language.harmony import attach, locative
from bot.language.numbers import NUMBER, decimal, written_number
from bot.language.spoken.numerals import SIGN, SUFFIX
from bot.language.spoken.rule import Rule

# CLDR az, unit names of length long; ours where CLDR has none.
_UNITS = {
    "%": "faiz", "‰": "promil", "°C": "dərəcə", "°": "dərəcə",
    "km": "kilometr", "m": "metr", "dm": "desimetr", "sm": "santimetr", "mm": "millimetr",
    "km²": "kvadrat kilometr", "m²": "kvadrat metr", "m2": "kvadrat metr", "kv.m": "kvadrat metr",
    "kv. m": "kvadrat metr", "m³": "kubmetr", "m3": "kubmetr", "ha": "hektar", "sm²": "kvadrat santimetr",
    "sm³": "kub santimetr", "km2": "kvadrat kilometr", "cm": "santimetr", "kg": "kiloqram", "mg": "milliqram",
    "mm Hg": "millimetr civə sütunu", "kW": "kilovat", "kWh": "kilovat-saat", "mA": "milliamper",
    "mAh": "milliamper-saat", "mmol": "millimol", "əd.": "ədəd", "nəf.": "nəfər", "min": "min",
    "kq": "kiloqram", "q": "qram", "mq": "milliqram", "t": "ton", "l": "litr", "ml": "millilitr",
    "kVt·saat": "kilovat-saat", "kVt*saat": "kilovat-saat", "kVt⋅saat": "kilovat-saat", "kVt/saat": "kilovat-saat",
    "kVt-saat": "kilovat-saat", "kVt.saat": "kilovat-saat", "kVt·st": "kilovat-saat", "kVt⋅st": "kilovat-saat",
    "kVt.st": "kilovat-saat", "kVt": "kilovat", "Vt": "vat", "V": "volt",
    "Hz": "hers", "kHz": "kilohers", "MHz": "meqahers", "GHz": "giqahers",
    "KB": "kilobayt", "MB": "meqabayt", "GB": "giqabayt", "TB": "terabayt",
    "Mbit": "meqabit", "Mb": "meqabit", "Gbit": "giqabit",
    "dəq.": "dəqiqə", "dəq": "dəqiqə", "san.": "saniyə", "san": "saniyə", "mln.": "milyon", "mln": "milyon",
    "mlrd.": "milyard", "mlrd": "milyard", "trln.": "trilyon", "trln": "trilyon",
}  # fmt: skip
# What a rate is counted by; it comes first: 60 km/saat, saatda altmış kilometr.
_PER_TIME = {
    "saat": "saat", "san": "saniyə", "san.": "saniyə", "s": "saniyə", "dəq": "dəqiqə", "dəq.": "dəqiqə",
    "dəqiqə": "dəqiqə", "saniyə": "saniyə", "gün": "gün", "həftə": "həftə", "ay": "ay", "il": "il",
}  # fmt: skip
_PER_UNIT = {unit: name for unit, name in _UNITS.items() if not unit.startswith(("%", "‰", "°", "m", "san"))} | {
    "m": "metr", "m²": "kvadrat metr", "m2": "kvadrat metr", "m³": "kubmetr", "m3": "kubmetr", "ml": "millilitr",
    "dl": "desilitr", "ədəd": "ədəd", "nəfər": "nəfər", "şəxs": "şəxs", "gecə": "gecə",
}  # fmt: skip
_MONEY = r"(?:AZN|₼|manat|qəp\.?|qəpik|USD|\$|€|avro|dollar)"
_RATED = rf"(?:km|m|l|m³|kub|ml|mmol|mq|q|kq|Kbit|Mbit|Mb|Gbit|MB|GB|{_MONEY})"
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_ENDING = r"(?<=t[/·⋅*.-]saat)(?P<ending>a(?:dək)?|dan|lıq)(?!\w)"  # 300 kVt/saatadək
_AFTER = rf"\s?(?P<unit>{_UNIT})(?:{_ENDING}|(?![\w²³/]){SUFFIX}?)"


def _rate(match: re.Match[str]) -> str:
    """Put what is counted by first, as what a price is of (`kubmetri`); the rest is spoken in the next pass."""
    if match["mbps"]:
        return f"saniyədə {match['mbps']} Mbit"
    if match["times"]:
        return f"{locative(_PER_TIME[match['per_time']])} {match['times']}"
    if name := _PER_TIME.get(match["per"]):
        per = locative("saat" if match["unit"] == "km" and match["per"] == "s" else name)
    else:
        name = _PER_UNIT[match["per"]]
        per = attach(name, "ı") if re.fullmatch(_MONEY, match["unit"]) else locative(name)
    return f"{per} {match['amount']}" + (f"-{match['suffix']}" if match["suffix"] else "")


def _quantity(match: re.Match[str]) -> str:
    minus = "mənfi " if match["sign"] else ""
    return attach(
        f"{minus}{decimal(written_number(match['number']))} {_UNITS[match['unit']]}",
        match["suffix"] or match["ending"] or "",
    )


def _range(match: re.Match[str]) -> str | None:
    if match["first_unit"] not in {None, match["unit"]}:
        return None  # 5 km-10 m
    first, last = (decimal(written_number(match[key])) for key in ("first", "last"))
    return attach(f"{first}-{last} {_UNITS[match['unit']]}", match["suffix"] or match["ending"] or "")


def _alone(match: re.Match[str]) -> str:
    return attach(_UNITS[match["unit"]], match["suffix"] or "")


def _percent_first(match: re.Match[str]) -> str:
    return attach(f"{decimal(written_number(match['number']))} faiz", match["suffix"] or "")


_AMOUNT = rf"{NUMBER}(?:\s?[-–—]\s?{NUMBER})?"
_PERS = "|".join(re.escape(per) for per in sorted(_PER_TIME | _PER_UNIT, key=len, reverse=True))
RATES = (
    Rule(
        re.compile(
            rf"(?<![\w.,-])(?:(?P<amount>{_AMOUNT}\s?(?P<unit>{_RATED}))/(?P<per>{_PERS})(?![\w²³/]){SUFFIX}?"
            rf"|(?P<mbps>{NUMBER})\s?Mbps(?!\w)"
            rf"|(?P<times>{NUMBER}(?:\s?dəfə)?)/(?P<per_time>dəq|dəqiqə|saat|gün|həftə|ay|il)(?!\w))"
        ),
        _rate,
    ),
)
RULES = (
    Rule(
        re.compile(
            rf"(?<![\w.,-])(?P<first>{NUMBER})(?:\s?(?P<first_unit>{_UNIT}))?\s?[-–—]\s?(?P<last>{NUMBER}){_AFTER}"
        ),
        _range,
    ),
    Rule(re.compile(rf"{SIGN}(?P<number>{NUMBER}){_AFTER}"), _quantity),
    Rule(re.compile(rf"(?<!\w)(?P<unit>[ks]?m[²³]){SUFFIX}?(?!\w)"), _alone),
    Rule(re.compile(rf"(?<![\w%])%\s?(?P<number>{NUMBER})(?!\w){SUFFIX}?"), _percent_first),
)
