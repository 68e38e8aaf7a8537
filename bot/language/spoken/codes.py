"""What is spelt: IBAN, FIN, card numbers, number plates, codes of letters and digits."""

from __future__ import annotations

import re

from bot.language.harmony import attach
from bot.language.letters import letter_name, spell
from bot.language.numbers import DIGITS, digit_by_digit, digit_group
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_UPPER = "A-ZƏÖÜÇŞĞİ"
_NOT_A_CODE = r"(?:\d+(?:AZN|USD|EUR|RUB|TRY|GBP|V|KB|MB|GB|TB)|(?:AZN|USD|EUR|RUB|TRY|GBP)\d+)(?!\w)"
_FIN_CHARACTERS = "0-9A-HJ-NP-Z"  # a FIN has seven of them, never I or O


def spell_code(code: str) -> str:
    """Name every character: 5ABC123 is `beş a be ce bir iki üç`."""
    return " ".join(
        DIGITS[int(character)] if character.isdecimal() else letter_name(character, latin=True) for character in code
    )


def _iban(match: re.Match[str]) -> str:
    compact = re.sub(r"\s", "", match[0])
    return ", ".join(spell_code(compact[start : start + 4]) for start in range(0, len(compact), 4))


def _fin(match: re.Match[str]) -> str:
    return match["label"].replace("FIN", "fin").replace("FİN", "fin") + spell_code(match["fin"])


def _card(match: re.Match[str]) -> str:
    groups = re.findall(r"\d{4}", re.sub(r"[\s-]", "", match[0]))
    return ", ".join(map(_pairs, groups))


def _masked_card(match: re.Match[str]) -> str:
    """Say what a masked card number shows: its first four digits, if any, and its end."""
    first = f"{_pairs(match['first'])}, " if match["first"] else ""
    return f"{first}sonu {attach(_pairs(match['last']), match['suffix'] or '')}"


def _pairs(group: str) -> str:
    return f"{digit_group(group[:2])} {digit_group(group[2:])}"


def _passport(match: re.Match[str]) -> str:
    return f"{spell(match['series'], latin=True)} {attach(digit_by_digit(match['number']), match['suffix'] or '')}"


def _plate(match: re.Match[str]) -> str:
    region, series, number = re.findall(r"\d+|[A-Z]+", match[0])
    return f"{digit_group(region)} {spell(series, latin=True)} {digit_group(number)}"


def _mixed(match: re.Match[str]) -> str:
    parts = re.findall(rf"\d+|[{_UPPER}]+", match["code"])
    spoken = [
        (digit_group(part) if len(part) <= 3 else digit_by_digit(part)) if part.isdecimal() else spell(part, latin=True)
        for part in parts
    ]
    return attach(" ".join(spoken), match["suffix"] or "")


RULES = (
    Rule(re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?(?!\w)"), _iban),
    Rule(re.compile(r"(?<![\w,.])\d{4}(?P<gap>[\s-]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}(?![\w])"), _card),
    Rule(
        re.compile(
            rf"(?<![\w,.*])(?:(?P<first>\d{{4}})[\s-]?)?(?:[*•]{{2,12}}[\s-]?)+(?P<last>\d{{4}}){SUFFIX}?(?![\w*#])"
        ),
        _masked_card,
    ),
    Rule(re.compile(rf"(?<!\w)(?P<series>AZE|AA)\s(?:№\s?)?(?P<number>\d{{7,8}}){SUFFIX}?(?!\w)"), _passport),
    Rule(re.compile(r"(?<![\w-])(?P<code>[A-Z]-\d{1,4})(?P<suffix>)(?![\w-])"), _mixed),
    Rule(
        re.compile(rf"(?<!\w)(?P<label>F[Iİ]N(?:[\s-]?kod\w*)?[\s:–-]{{1,3}})(?P<fin>[{_FIN_CHARACTERS}]{{7}})(?!\w)"),
        _fin,
    ),
    Rule(re.compile(r"(?<![\w-])\d{2}[\s-][A-Z]{2}[\s-]\d{3}(?![\w-])"), _plate),
    Rule(
        re.compile(
            rf"(?<!\w)(?P<code>(?!{_NOT_A_CODE})(?=[{_UPPER}]*\d)(?=\d*[{_UPPER}])[{_UPPER}\d]{{2,}}){SUFFIX}?(?!\w)"
        ),
        _mixed,
    ),
)
