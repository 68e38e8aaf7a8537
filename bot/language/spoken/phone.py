"""Telephone numbers, read in the groups in which they are said: 050, 123, 45, 67."""

from __future__ import annotations

import re

from bot.language.harmony import attach
from bot.language.numbers import cardinal, digit_group
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_GAP = r"[\s\u00a0-]{0,3}"
# ITU-T E.164 country codes by length: one digit, the assigned two-digit ones, else three.
_COUNTRY = r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})"
_LOCAL = rf"(?P<a>\d{{3}}){_GAP}(?P<b>\d{{2}}){_GAP}(?P<c>\d{{2}})(?:{SUFFIX}|(?!\w))"


def spoken_phone(national: str, *, country: str = "") -> str:
    """Say the groups of a number: operator, three, two and two; `country` is read first, after `üstəgəl`."""
    groups = [national[:-7], national[-7:-4], national[-4:-2], national[-2:]]
    spoken = [digit_group(group) for group in groups if group]
    if country:
        spoken.insert(0, f"üstəgəl {cardinal(int(country))}")
    return ", ".join(spoken)


def _azerbaijani(match: re.Match[str]) -> str:
    return _declined(match, spoken_phone(match["operator"] + match["a"] + match["b"] + match["c"], country="994"))


def _national(match: re.Match[str]) -> str:
    return _declined(match, spoken_phone(match["operator"] + match["a"] + match["b"] + match["c"]))


def _city(match: re.Match[str]) -> str:
    return _declined(match, spoken_phone(match["a"] + match["b"] + match["c"]))


def _free(match: re.Match[str]) -> str:
    groups = [digit_group(group) for group in re.findall(r"\d+", match["groups"])]
    return _declined(match, ", ".join(["sıfır səkkiz yüz", *groups]))


def _declined(match: re.Match[str], words: str) -> str:
    return attach(words, match["suffix"] or "")


def _foreign(match: re.Match[str]) -> str:
    groups = [part for group in re.findall(r"\d+", match["rest"]) for part in _short_groups(group)]
    return _declined(match, ", ".join([f"üstəgəl {digit_group(match['country'])}", *map(digit_group, groups)]))


def _service_code(match: re.Match[str]) -> str:
    names = {"*": "ulduz", "#": "diyez"}
    parts = [part for found in re.findall(r"[*#]|\d+", match["code"]) for part in _short_groups(found)]
    return _declined(match, " ".join(names.get(part) or digit_group(part) for part in parts))


def _short_groups(digits: str) -> list[str]:
    return [digits] if len(digits) <= 3 else re.findall(r"^\d(?=(?:\d{2})+$)|\d{2}", digits)


RULES = (
    Rule(
        re.compile(
            rf"(?:\((?=\+?994[\s-]?\d{{2}}\)))?(?:\+|(?<![\w+])(?:00)?)994{_GAP}\(?0?(?P<operator>\d{{2}})\)?{_GAP}{_LOCAL}"
        ),
        _azerbaijani,
    ),
    Rule(re.compile(rf"(?<![\w+,.])(?:\((?=\d{{3}}\)))?(?P<operator>0\d{{2}})\)?{_GAP}{_LOCAL}"), _national),
    Rule(
        re.compile(r"(?<![\w+,.-])(?P<a>\d{3})[\s-](?P<b>\d{2})[\s-](?P<c>\d{2})" + rf"(?:{SUFFIX}|(?![\w-]))"),
        _city,
    ),
    Rule(
        re.compile(
            rf"(?<![\w+,.-])(?P<operator>10|12|5[015]|60|7[07]|99)\s(?P<a>\d{{3}})\s(?P<b>\d{{2}})\s(?P<c>\d{{2}})(?:{SUFFIX}|(?![\w-]))"
        ),
        _national,
    ),
    Rule(re.compile(rf"(?<![\w+,.])0800(?P<groups>(?:[\s-]\d{{2,3}}){{2,3}})(?:{SUFFIX}|(?![\w-]))"), _free),
    Rule(
        re.compile(
            rf"\+(?P<country>{_COUNTRY})(?P<rest>[\s-]?\(?\d{{2,4}}\)?(?:[\s-]?\d{{2,10}}){{1,4}})(?:{SUFFIX}|(?!\w))"
        ),
        _foreign,
    ),
    Rule(
        re.compile(rf"(?<![\w*#])(?P<code>[*#])(?:{SUFFIX}|(?=\s(?:düymə|işarə|simvol|bas[ım])))"),
        _service_code,
    ),
    Rule(re.compile(rf"(?<![\w*#])(?P<code>(?:\*|#(?=\d+[*#]))(?:\d+[*#]?)+){SUFFIX}?"), _service_code),
)
