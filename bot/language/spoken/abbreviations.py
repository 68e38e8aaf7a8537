"""Abbreviations: read in full, by their letters, or as a word."""

from __future__ import annotations

import re

from bot.language.fold import fold
from bot.language.harmony import attach
from bot.language.letters import spell
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_IN_FULL = {
    "və s.": "və sair", "və b.": "və başqaları", "və d.": "və digərləri",
    "və i.a.": "və ilaxır", "və i. a.": "və ilaxır",
    "b.e.ə.": "bizim eradan əvvəl", "e.ə.": "eramızdan əvvəl",
    "küç.": "küçəsi", "pr.": "prospekti", "pr-ti": "prospekti", "dr.": "doktor", "prof.": "professor",
    "dos.": "dosent",
    "məs.": "məsələn", "tel.": "telefon", "mob.": "mobil", "səh.": "səhifə", "nöm.": "nömrə",
    "şəh.": "şəhəri", "ray.": "rayonu", "qəs.": "qəsəbəsi", "mkr.": "mikrorayon", "mkr": "mikrorayon",
    "döng.": "döngəsi", "bax:": "baxın", "təq.": "təqribən", "təqr.": "təqribən", "təx.": "təxminən",
    "max.": "maksimum", "maks.": "maksimum",
    "ş/v": "şəxsiyyət vəsiqəsi", "b.e.": "bazar ertəsi", "ç.a.": "çərşənbə axşamı", "c.a.": "cümə axşamı",
}  # fmt: skip
_LOWER_ONLY = frozenset({"ray.", "max.", "bax:"})  # Ray and Max are names
# Said letter by letter though they have a vowel; those without one always are.
_BY_LETTER = frozenset((
    "ABŞ", "AB", "AR", "AŞ", "ASC", "BDU", "BMT", "ADNSU", "AMEA", "AŞPA", "ATƏT", "QHT", "DİN", "XİN", "DSK", "BOKT",
    "İD", "ID", "PDF", "SMS", "USB", "GPS", "ATM", "CEO", "HR", "IT", "İT", "İKT", "USSD", "API", "URL", "ƏDV", "EDV",
    "İB", "BNA", "ABB", "ADY", "LTE", "OTP", "UTC", "EKQ", "USM", "AZ",
))  # fmt: skip
_AS_WORDS = {
    "AZN": "manat", "USD": "dollar", "EUR": "avro", "RUB": "rubl", "TRY": "lirə", "GBP": "funt sterlinq",
    "₼": "manat", "FİN": "fin", "FIN": "fin", "VÖEN": "vöen", "IBAN": "iban", "VIP": "vip", "PIN": "pin",
    "PİN": "pin",
    "SİM": "sim", "SIM": "sim", "POS": "pos",
}  # fmt: skip
_MONTHS = {
    "yan": "yanvar", "fev": "fevral", "apr": "aprel", "avq": "avqust", "sen": "sentyabr", "sent": "sentyabr",
    "okt": "oktyabr", "noy": "noyabr", "dek": "dekabr",
}  # fmt: skip
_WEEKDAYS = {
    "B.e.": "bazar ertəsi", "Ç.a.": "çərşənbə axşamı", "Ç.": "çərşənbə", "C.a.": "cümə axşamı", "C.": "cümə",
    "Ş.": "şənbə", "B.": "bazar",
}  # fmt: skip
_UPPER_CONSONANTS = "BCÇDFGĞHXJKQLMNPRSŞTVYZW"


def _in_full(match: re.Match[str]) -> str:
    short = match["short"]
    words = _IN_FULL[fold(short)]
    at_end = match["end"] is not None and words.startswith("və ")  # its point also ended the sentence
    return (words if short[0].islower() else words[0].upper() + words[1:]) + ("." if at_end else "")


def _weekdays(match: re.Match[str]) -> str:
    return f"{_WEEKDAYS[match['first']]} – {_WEEKDAYS[match['last']]}"


def _initials(match: re.Match[str]) -> str:
    """Spell `V.I.P.` and the initials of `M.Ə.Rəsulzadə`."""
    letters = re.sub(r"[.\s]", "", match["initials"])
    return _AS_WORDS.get(letters) or spell(letters) + " "


def _by_letter(match: re.Match[str]) -> str:
    return attach(spell(match["letters"]), match["suffix"] or "")


def _as_word(match: re.Match[str]) -> str:
    return attach(_AS_WORDS[match["short"]], match["suffix"] or "")


def _either_case(short: str) -> str:
    escaped = re.escape(short)
    return escaped if short in _LOWER_ONLY else f"(?:{escaped[0]}|{escaped[0].upper()}){escaped[1:]}"


def _any_of(names: frozenset[str] | dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))


_SHORTS = "|".join(map(_either_case, sorted(_IN_FULL, key=len, reverse=True)))
_CAPITAL, _SMALL = "[A-ZƏÖÜÇŞĞİ]", "[a-zəıöüğşç]"
_SURNAME = rf"{_CAPITAL}{_SMALL}+(?:[oe]va?|zadə)(?:n?[ıi]n|[yn]?[aə]|n?[ıi]|d[aə]n?)?(?!\w)"

RULES = (
    Rule(
        re.compile(rf"(?<!\w)(?P<first>{_any_of(_WEEKDAYS)})\s?[-–—]\s?(?P<last>{_any_of(_WEEKDAYS)})(?!\w)"),
        _weekdays,
    ),
    Rule(re.compile(r"(?<!\w)[Mm]ən\.\s?(?=\d)|(?<=\d,\s)m\.\s?(?=\d)"), lambda _: "mənzil "),
    Rule(re.compile(rf"(?<=\w\s)r-n(?P<end>u{_SMALL}{{0,4}})?(?!\w)"), lambda m: f"rayon{m['end'] or ''}"),
    Rule(
        re.compile(rf"(?<!\w)(?P<city>{_CAPITAL}{_SMALL}+)\sş\.(?!\w)"),
        lambda match: f"{match['city']} şəhəri",
    ),
    Rule(
        re.compile(
            rf"(?<![\w.])(?P<initials>(?:{_CAPITAL}\.){{2,6}}(?!\w)|(?:{_CAPITAL}\.\s?){{2,3}}(?={_CAPITAL}{_SMALL})"
            rf"|{_CAPITAL}\.(?={_CAPITAL}{_SMALL})|{_CAPITAL}\.\s(?={_SURNAME}))"
        ),
        _initials,
    ),
    Rule(
        re.compile(r"(?<=\d\s)(?P<short>yan|fev|apr|avq|sent?|okt|noy|dek)\.(?=\s|$)"),
        lambda match: _MONTHS[match["short"]],
    ),
    Rule(
        re.compile(rf"(?<!\w)(?P<short>{_SHORTS})(?=(?P<end>\s*$|\s+[A-ZƏÖÜÇŞĞİ]))?(?!\w)"),
        _in_full,
    ),
    Rule(re.compile(rf"(?<!\w)(?P<short>{_any_of(_AS_WORDS)}){SUFFIX}?(?!\w)"), _as_word),
    Rule(
        re.compile(rf"(?<!\w)(?P<letters>{_any_of(_BY_LETTER)}|[{_UPPER_CONSONANTS}]{{2,6}}){SUFFIX}?(?!\w)"),
        _by_letter,
    ),
)
