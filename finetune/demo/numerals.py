"""Turkish and English cardinals below a million; Azerbaijani ones are the bot's own (`bot.language.numbers`)."""

from __future__ import annotations

from bot.language.numbers import cardinal
from finetune.demo.inflection import Language

_TR_ONES = ("sıfır", "bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz")
_TR_TENS = ("", "on", "yirmi", "otuz", "kırk", "elli", "altmış", "yetmiş", "seksen", "doksan")
_EN_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_EN_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def say_number(number: int, language: Language) -> str:
    """Say 0 to 999,999."""
    assert 0 <= number < 1_000_000
    if language == "az":
        return cardinal(number)
    if number == 0:
        return "sıfır" if language == "tr" else "zero"
    thousands, rest = divmod(number, 1000)
    below = _turkish if language == "tr" else _english
    parts = [below(rest)] if rest else []
    if thousands:
        word = "bin" if language == "tr" else "thousand"
        count = "" if language == "tr" and thousands == 1 else below(thousands)
        parts.insert(0, f"{count} {word}".strip())
    return " ".join(parts)


def _turkish(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    parts = [
        "" if hundreds < 2 else _TR_ONES[hundreds],
        "yüz" if hundreds else "",
        _TR_TENS[tens],
        _TR_ONES[ones] if ones else "",
    ]
    return " ".join(part for part in parts if part)


def _english(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_EN_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        parts.append(_EN_TENS[tens] + (f" {_EN_ONES[ones]}" if ones else ""))
    elif rest:
        parts.append(_EN_ONES[rest])
    return " ".join(parts)
