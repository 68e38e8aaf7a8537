"""Abbreviations: read in full, by their letters, or as a word."""

from __future__ import annotations

import re

from bot.language.harmony import attach
from bot.language.letters import spell
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_IN_FULL = {
    "və s.": "və sair", "və b.": "və başqaları", "və i.a.": "və ilaxır", "və i. a.": "və ilaxır",
    "b.e.ə.": "bizim eradan əvvəl", "e.ə.": "eramızdan əvvəl",
    "küç.": "küçəsi", "pr.": "prospekti", "pr-ti": "prospekti", "dr.": "doktor", "prof.": "professor",
    "dos.": "dosent",
    "məs.": "məsələn", "tel.": "telefon", "mob.": "mobil", "səh.": "səhifə", "nöm.": "nömrə",
    "mən.": "mənzil", "şəh.": "şəhəri", "ray.": "rayonu", "bax:": "baxın", "təq.": "təqribən", "max.": "maksimum",
}  # fmt: skip
# Said letter by letter though they have a vowel; those without one always are.
_BY_LETTER = frozenset((
    "ABŞ", "AB", "AR", "AŞ", "ASC", "BDU", "BMT", "ADNSU", "AMEA", "AŞPA", "ATƏT", "QHT", "DİN", "XİN", "DSK", "BOKT",
    "İD", "ID", "PDF", "SMS", "USB", "GPS", "ATM", "CEO", "HR", "IT", "İT", "İKT", "USSD", "API", "URL", "ƏDV",
))  # fmt: skip
_AS_WORDS = {
    "AZN": "manat", "USD": "dollar", "EUR": "avro", "RUB": "rubl", "TRY": "lirə", "GBP": "funt sterlinq",
    "₼": "manat", "FİN": "fin", "FIN": "fin", "VÖEN": "vöen", "IBAN": "iban", "VIP": "vip", "PIN": "pin",
    "PİN": "pin",
    "SİM": "sim", "SIM": "sim",
}  # fmt: skip
_MONTHS = {
    "yan": "yanvar", "fev": "fevral", "apr": "aprel", "avq": "avqust", "sen": "sentyabr", "sent": "sentyabr",
    "okt": "oktyabr", "noy": "noyabr", "dek": "dekabr",
}  # fmt: skip
_UPPER_CONSONANTS = "BCÇDFGĞHXJKQLMNPRSŞTVYZW"


def _in_full(match: re.Match[str]) -> str:
    at_end = match["end"] is not None and match["short"].startswith("və ")  # its point also ended the sentence
    return _IN_FULL[match["short"]] + ("." if at_end else "")


def _by_letter(match: re.Match[str]) -> str:
    return attach(spell(match["letters"]), match["suffix"] or "")


def _as_word(match: re.Match[str]) -> str:
    return attach(_AS_WORDS[match["short"]], match["suffix"] or "")


def _any_of(names: frozenset[str] | dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))


RULES = (
    Rule(
        "month",
        re.compile(r"(?<=\d\s)(?P<short>yan|fev|apr|avq|sent?|okt|noy|dek)\.(?=\s|$)"),
        lambda match: _MONTHS[match["short"]],
    ),
    Rule(
        "abbreviation",
        re.compile(rf"(?<!\w)(?P<short>{_any_of(_IN_FULL)})(?=(?P<end>\s*$|\s+[A-ZƏÖÜÇŞĞİ]))?(?!\w)"),
        _in_full,
    ),
    Rule("abbreviation", re.compile(rf"(?<!\w)(?P<short>{_any_of(_AS_WORDS)}){SUFFIX}?(?!\w)"), _as_word),
    Rule(
        "letters",
        re.compile(rf"(?<!\w)(?P<letters>{_any_of(_BY_LETTER)}|[{_UPPER_CONSONANTS}]{{2,6}}){SUFFIX}?(?!\w)"),
        _by_letter,
    ),
)
