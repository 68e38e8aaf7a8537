"""Addresses of mail and web, and foreign words as they are said in Azerbaijani."""

from __future__ import annotations

import re

from bot.language.fold import fold
from bot.language.letters import spell
from bot.language.numbers import digit_group
from bot.language.spoken.rule import Rule

_SAID = {
    "whatsapp": "vatsap", "wi-fi": "vay-fay", "wifi": "vay-fay", "facebook": "feysbuk", "google": "quql",
    "youtube": "yutub", "instagram": "instaqram", "telegram": "teleqram", "online": "onlayn",
    "offline": "oflayn", "e-mail": "imeyl", "email": "imeyl", "iphone": "ayfon",
    "mastercard": "masterkard", "visa": "viza", "bluetooth": "blutuz", "website": "vebsayt", "web": "veb",
    "login": "loqin", "app": "ep", "chat": "çat", "call": "kol",
    "center": "sentr",
    "microsoft": "maykrosoft", "windows": "vindovs", "apple": "epl", "zoom": "zum", "ok": "okey", "okay": "okey",
}  # fmt: skip
_MARKS = {
    "@": "et", ".": "nöqtə", "-": "tire", "_": "alt xətt", "/": "kəsr", "+": "üstəgəl", "#": "diyez",
    "?": "sual işarəsi", "=": "bərabərdir", "&": "ənd", ":": "iki nöqtə", "%": "faiz", "~": "tilda",
}  # fmt: skip
_TLD = r"(?:az|com|org|net|edu|gov|info|biz|io|ru|tr|eu|me|app|dev)"


def _spell_address(address: str) -> str:
    parts = re.findall(r"[^\W\d_]+|\d+|[^\w\s]|_", address)
    return " ".join(map(_address_part, parts))


def _address_part(part: str) -> str:
    if part.isdecimal():
        return digit_group(part)
    if part in _MARKS:
        return _MARKS[part]
    folded = fold(part.replace("I", "i"))
    return "ve ve ve" if folded == "www" else _SAID.get(folded) or _without_w(folded)


def _without_w(word: str) -> str:
    return spell(word) if not re.search("[aıoueəiöü]", word) else word.replace("w", "v")


def _address(match: re.Match[str]) -> str:
    return _spell_address(re.sub(r"^https?://", "", match["address"]).rstrip("/"))


def _said(match: re.Match[str]) -> str:
    return _SAID[fold(match[0].replace("I", "i"))]


def _foreign(match: re.Match[str]) -> str:
    return match[0].replace("w", "v").replace("W", "V")


RULES = (
    Rule("e-mail", re.compile(r"(?<![\w.])(?P<address>[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"), _address),
    Rule("web address", re.compile(r"(?<!\w)(?P<address>(?:https?://|www\.)[^\s,;()<>]*[\w/])"), _address),
    Rule(
        "web address",
        re.compile(rf"(?<![\w.@-])(?P<address>(?:[a-z0-9][a-z0-9-]*\.)+{_TLD})(?![\w@]|\.\w)", re.ASCII),
        _address,
    ),
    Rule(
        "foreign word",
        re.compile(
            rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, _SAID), key=len, reverse=True))})(?![\w-])", re.IGNORECASE
        ),
        _said,
    ),
    Rule("foreign word", re.compile(r"[^\W\d_]*[wW][^\W\d_]*"), _foreign),
)
