"""Marks that stand for words, and marks that are never said: Markdown, emoji."""

from __future__ import annotations

import re
import unicodedata

from bot.language.spoken.rule import Rule

_MARKDOWN = (
    (re.compile(r"!?\[([^\]\n]*)\]\(([^)\s]*)\)"), r"\1"),
    (re.compile(r"^\s{0,3}(?:#{1,6}|[-*+•>])\s+", re.MULTILINE), ""),
    (re.compile(r"\*{1,3}(?=\S)([^*\n]+?)(?<=\S)\*{1,3}"), r"\1"),
    (re.compile(r"(?<!\w)_{1,2}(?=\S)([^_\n]+?)(?<=\S)_{1,2}(?!\w)"), r"\1"),
    (re.compile(r"`+"), ""),
)
_UNSAID = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\u00ad]")
_BREAKS = re.compile(r"\s*\n\s*")
_SPACES = re.compile(r"[^\S\n]+")
_SAID_SYMBOLS = "°№©"

RULES = (
    Rule("symbol", re.compile(r"(?<=\s)&(?=\s)"), lambda _: "və"),
    Rule("symbol", re.compile(r"(?<=\d)\s?\+\s?(?=\d)|(?<=\s)\+(?=\s?\d)"), lambda _: " üstəgəl "),
    Rule("symbol", re.compile(r"[~≈]\s?(?=\d)"), lambda _: "təxminən "),
    Rule("symbol", re.compile(r"±\s?(?=\d)"), lambda _: "plyus-minus "),
    Rule("symbol", re.compile(r"(?<![\w+])\+(?=\d{1,2}\s?°)"), lambda _: "müsbət "),
    Rule("symbol", re.compile(r"(?<=\d)\+(?=$|[\s,.;!?)])"), lambda _: " plyus"),
    Rule("symbol", re.compile(r"\s=\s"), lambda _: " bərabərdir "),
    Rule("symbol", re.compile(r"(?<=\d)\s?[×*]\s?(?=\d)"), lambda _: " vurulsun "),
    Rule("symbol", re.compile(r"§\s?(?=\d)"), lambda _: "paraqraf "),
    Rule("symbol", re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])"), lambda _: " və ya "),
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
    text = "".join(" " if _is_picture(character) else character for character in text)
    return _SPACES.sub(" ", _BREAKS.sub("\n", text)).strip()


def _is_picture(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Cs", "Co", "Cn"} and character not in _SAID_SYMBOLS
