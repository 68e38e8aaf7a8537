"""What is spelt: IBAN, FIN, card numbers, number plates, codes of letters and digits."""

from __future__ import annotations

import re

from bot.language.harmony import attach
from bot.language.letters import letter_name, spell
from bot.language.numbers import DIGITS, digit_by_digit, digit_group
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_UPPER = "A-ZƏÖÜÇŞĞİ"
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
    return ", ".join(f"{digit_group(group[:2])} {digit_group(group[2:])}" for group in groups)


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
    Rule("IBAN", re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?(?!\w)"), _iban),
    Rule("card", re.compile(r"(?<![\w,.])\d{4}(?P<gap>[\s-]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}(?![\w])"), _card),
    Rule(
        "FIN",
        re.compile(rf"(?<!\w)(?P<label>F[Iİ]N(?:[\s-]?kod\w*)?[\s:–-]{{1,3}})(?P<fin>[{_FIN_CHARACTERS}]{{7}})(?!\w)"),
        _fin,
    ),
    Rule("plate", re.compile(r"(?<![\w-])\d{2}[\s-][A-Z]{2}[\s-]\d{3}(?![\w-])"), _plate),
    Rule(
        "code",
        re.compile(rf"(?<!\w)(?P<code>(?=[{_UPPER}]*\d)(?=\d*[{_UPPER}])[{_UPPER}\d]{{2,}}){SUFFIX}?(?!\w)"),
        _mixed,
    ),
)
