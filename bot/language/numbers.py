"""Numbers as words: cardinals, ordinals, decimals and digits read in groups."""

from __future__ import annotations

import re
from decimal import Decimal

from aznum2words import AzerbaijaniNumberConverter

from bot.language.harmony import locative, ordinal_form

_CONVERTER = AzerbaijaniNumberConverter()
_LARGEST = 10**36  # what the scale words of the converter reach

DIGITS = ("sıfır", "bir", "iki", "üç", "dörd", "beş", "altı", "yeddi", "səkkiz", "doqquz")

# 1.234.567,89 and 1 234 567,89 (CLDR az), 1,234.56 and 1,234,567 (English), 12,5 and 12.5, 1234.
_SPACES = "\u00a0\u202f\u2009 "
NUMBER = (
    rf"(?:\d{{1,3}}(?:\.\d{{3}})+(?:,\d+)?(?!\d|\.\d)|\d{{1,3}}(?:,\d{{3}})+\.\d+|\d{{1,3}}(?:,\d{{3}}){{2,}}(?![\d,])|[1-9]\d{{0,2}}(?:[{_SPACES}]\d{{3}})+(?!\d)"
    r"(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
)


def cardinal(number: int) -> str:
    """Say an integer; beyond 10^36 its digits one by one."""
    if abs(number) >= _LARGEST:
        return ("mənfi " if number < 0 else "") + digit_by_digit(str(Decimal(abs(number))))
    return _CONVERTER.convert_integer(number)


def ordinal(number: int) -> str:
    """Say an ordinal: üçüncü, iyirmi altıncı."""
    return ordinal_form(cardinal(number))


def decimal(number: Decimal) -> str:
    """Say a decimal as a fraction of ten, a hundred...: 12.5 is `on iki tam onda beş`."""
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise TypeError(f"{number} is infinite or no number: pass a finite decimal")
    places = max(0, -exponent)
    scaled = int(Decimal((0, digits, 0))) * 10 ** max(0, exponent)
    whole, fraction = divmod(scaled, 10**places)
    minus = "mənfi " if sign and any(digits) else ""
    if not fraction:
        return minus + cardinal(whole)
    share = locative(cardinal(10**places).removeprefix("bir "))
    return f"{minus}{cardinal(whole)} tam {share} {cardinal(fraction)}"


def digit_by_digit(digits: str) -> str:
    """Say each digit as a word; characters that are no digits are dropped."""
    return " ".join(DIGITS[int(digit)] for digit in digits if digit.isdecimal())


def digit_group(digits: str) -> str:
    """Say a group of a telephone or card number: 050 is `sıfır əlli`, 45 is `qırx beş`, 00 is `sıfır sıfır`."""
    zeros = len(digits) - len(digits.lstrip("0"))
    spoken = ["sıfır"] * zeros
    if digits[zeros:]:
        spoken.append(cardinal(int(digits[zeros:])))
    return " ".join(spoken)


def written_number(text: str) -> Decimal:
    """Read a number as written (`NUMBER`): grouping by dot or space, decimals by comma or dot."""
    compact = re.sub(rf"[{_SPACES}]", "", text)
    if re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?", compact):
        compact = compact.replace(".", "")
    elif re.fullmatch(r"\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})", compact):
        compact = compact.replace(",", "")
    return Decimal(compact.replace(",", "."))
