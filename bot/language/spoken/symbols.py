"""Marks that stand for words, and marks that are never said: Markdown, emoji."""

from __future__ import annotations

import re
import unicodedata

from bot.language.numbers import cardinal
from bot.language.spoken.rule import Rule

_MARKDOWN = (
    (re.compile(r"!?\[([^\]\n]*)\]\(([^)\s]*)\)"), r"\1"),
    (re.compile(r"^\s{0,3}(?:#{1,6}|[-*+•>])\s+(?!(?<=[#*]\s)(?:düymə|işarə|simvol|bas[ım]))", re.MULTILINE), ""),
    (re.compile(r"\*{1,3}(?=\S)(?!\d+\*\d)([^*\n]+?)(?<=\S)\*{1,3}"), r"\1"),
    (re.compile(r"(?<!\w)_{1,2}(?=\S)([^_\n]+?)(?<=\S)_{1,2}(?!\w)"), r"\1"),
    (re.compile(r"`+"), ""),
)
_UNSAID = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\u00ad]")
_BREAKS = re.compile(r"\s*\n\s*")
_SPACES = re.compile(r"[^\S\n]+")
_SAID_SYMBOLS = "°№©"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


RULES = (
    Rule(
        re.compile(r"(?<![\w+])\+(?=\d{1,2}(?:[.,]\d)?(?:\s?(?:\.\.\.|…|[-–])\s?\+?\d{1,2})?\s?°)"),
        lambda _: "müsbət ",
    ),
    Rule(re.compile(r"(?<=\s)&(?=\s)"), lambda _: "və"),
    Rule(
        re.compile(r"(?<=\d)\s?\+\s?(?=\d)|(?<=\s)\+(?=\s?\d)|(?<!\+)\+(?=\d)"),
        lambda _: " üstəgəl ",
    ),
    Rule(re.compile(r"[~≈]\s?(?=\d)"), lambda _: "təxminən "),
    Rule(re.compile(r"±\s?(?=\d)"), lambda _: "plyus-minus "),
    Rule(re.compile(r"(?<=[^\W_])\+(?=$|[\s,.;!?)])"), lambda _: " plyus"),
    Rule(re.compile(r"\s=\s|(?<=[\w₼$€])=(?=[\d₼$€-])"), lambda _: " bərabərdir "),
    Rule(re.compile(r"(?<=\d)\s?[×*xх]\s?(?=\d)"), lambda _: " vurulsun "),
    Rule(re.compile(r"≥\s?(?=\d)"), lambda _: "ən azı "),
    Rule(re.compile(r"≤\s?(?=\d)"), lambda _: "ən çoxu "),
    Rule(re.compile(r"(?<!\w)#(?=[^\W\d_])"), lambda _: "heşteq "),
    Rule(re.compile("²"), lambda _: "kvadrat"),
    Rule(re.compile("³"), lambda _: "kub"),
    Rule(re.compile("[⁰¹⁴-⁹][⁰¹²³⁴-⁹]{0,8}"), lambda match: f"üstü {cardinal(int(_composed(match[0])))}"),
    Rule(re.compile(r"§\s?(?=\d)"), lambda _: "paraqraf "),
    Rule(re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])"), lambda _: " və ya "),
)


def strip_markup(text: str) -> str:
    """Drop Markdown, emoji and invisible characters, which are for the eye, also where they are nested."""
    while (stripped := _strip_once(text)) != text:
        text = stripped
    return text


def _strip_once(text: str) -> str:
    for pattern, kept in _MARKDOWN:
        text = pattern.sub(kept, text)
    text = _UNSAID.sub("", unicodedata.normalize("NFC", text))
    text = "".join(" " if _is_picture(character) else _plain_numeral(character) for character in text)
    return _SPACES.sub(" ", _BREAKS.sub("\n", text)).strip()


def _plain_numeral(character: str) -> str:
    """Write Ⅳ as IV, ① as 1 and ₂ as 2; powers and ½ have names of their own."""
    if unicodedata.category(character) not in {"Nl", "No"} or character in _SUPERSCRIPTS:
        return character
    plain = _composed(character)
    if "\N{FRACTION SLASH}" in plain:
        return character
    return str(unicodedata.digit(plain)) if len(plain) == 1 and plain.isdigit() else plain


def _is_picture(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Cs", "Co", "Cn"} and character not in _SAID_SYMBOLS
