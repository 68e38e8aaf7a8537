"""Addresses of mail and web, and foreign words as they are said in Azerbaijani."""

from __future__ import annotations

import re

from bot.language.fold import fold
from bot.language.harmony import attach
from bot.language.letters import spell
from bot.language.numbers import digit_group
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_SAID = {
    "whatsapp": "vatsap", "wi-fi": "vay-fay", "wifi": "vay-fay", "facebook": "feysbuk", "google": "quql",
    "youtube": "yutub", "instagram": "instaqram", "telegram": "teleqram", "online": "onlayn",
    "offline": "oflayn", "e-mail": "imeyl", "email": "imeyl", "iphone": "ayfon",
    "mastercard": "masterkard", "visa": "viza", "bluetooth": "blutuz", "website": "vebsayt", "web": "veb",
    "login": "loqin", "app": "ep", "chat": "çat", "call": "kol",
    "center": "sentr", "cashback": "keşbek", "viber": "vayber", "messenger": "messencer", "android": "android",
    "ios": "ay-o-es", "google play": "quql pley", "apple pay": "epl pey", "app store": "ep stor",
    "swift": "svift", "covid": "kovid",
    "microsoft": "maykrosoft", "windows": "vindovs", "apple": "epl", "zoom": "zum", "ok": "okey", "okay": "okey",
}  # fmt: skip
_MARKS = {
    "@": "et", ".": "nöqtə", "-": "tire", "_": "alt xətt", "/": "kəsr", "+": "üstəgəl", "#": "diyez",
    "?": "sual işarəsi", "=": "bərabərdir", "&": "ənd", ":": "iki nöqtə", "%": "faiz", "~": "tilda",
}  # fmt: skip
_IN_ADDRESSES = {"com": "kom", "gmail": "cimeyl"}
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
    return "ve ve ve" if folded == "www" else _IN_ADDRESSES.get(folded) or _SAID.get(folded) or _without_w(folded)


def _without_w(word: str) -> str:
    return spell(word) if not re.search("[aıoueəiöü]", word) else word.replace("w", "v")


def _address(match: re.Match[str]) -> str:
    address, suffix = re.sub(r"^https?://", "", match["address"]).rstrip("/"), match["suffix"] or ""
    if declined := _DECLINED.fullmatch(address):
        address, suffix = declined["address"], declined["suffix"]
    return attach(_spell_address(address), suffix)


def _handle(match: re.Match[str]) -> str:
    return f"et {_spell_address(match['name'])}"


def _said(match: re.Match[str]) -> str:
    return attach(_SAID[fold(match["word"].replace("I", "i"))], match["suffix"] or "")


def _foreign(match: re.Match[str]) -> str:
    return match[0].replace("w", "v").replace("W", "V")


_DECLINED = re.compile(rf"(?P<address>.*\.{_TLD}){SUFFIX}")
RULES = (
    Rule(
        re.compile(
            rf"(?<![\w.])(?P<address>[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z0-9]+){SUFFIX}?"
        ),
        _address,
    ),
    Rule(re.compile(r"(?<!\w)(?P<address>(?:https?://|www\.)[^\s,;()<>]*[\w/])(?P<suffix>)"), _address),
    Rule(
        re.compile(
            rf"(?<![\w.@-])(?P<address>(?:[a-z0-9][a-z0-9-]*\.)+{_TLD}(?:/[a-z0-9./?=&%_-]*[a-z0-9])?){SUFFIX}?(?![\w@]|\.\w)",
            re.ASCII,
        ),
        _address,
    ),
    Rule(re.compile(r"(?<![\w.@])@(?P<name>[a-z0-9_.]*[a-z0-9_])(?!\w)", re.ASCII), _handle),
    Rule(
        re.compile(r"(?<![\w-])e-?mail(?P<ending>[a-zəıöüğşç]{1,8})(?!\w)"),
        lambda m: f"imeyl{m['ending']}",
    ),
    Rule(
        re.compile(
            rf"(?<![\w-])(?P<word>{'|'.join(sorted(map(re.escape, _SAID), key=len, reverse=True))})"
            rf"(?:{SUFFIX}|(?![^\W\d]|-[^\W\d]))",
            re.IGNORECASE,
        ),
        _said,
    ),
    Rule(re.compile(r"[^\W\d_]*[wW][^\W\d_]*"), _foreign),
)
