from __future__ import annotations

import pytest

from bot.language.harmony import ablative, attach, ends_in_vowel, last_vowel, locative, ordinal_form, until


@pytest.mark.parametrize(
    ("word", "ordinal"),
    [
        ("sıfır", "sıfırıncı"),
        ("bir", "birinci"),
        ("iki", "ikinci"),
        ("üç", "üçüncü"),
        ("dörd", "dördüncü"),
        ("altı", "altıncı"),
        ("doqquz", "doqquzuncu"),
        ("on", "onuncu"),
        ("iyirmi", "iyirminci"),
        ("qırx", "qırxıncı"),
        ("əlli", "əllinci"),
        ("yüz", "yüzüncü"),
        ("min", "mininci"),
        ("milyon", "milyonuncu"),
    ],
)
def test_ordinals_follow_the_last_vowel(word: str, ordinal: str) -> None:
    assert ordinal_form(word) == ordinal


@pytest.mark.parametrize(
    ("words", "suffix", "spoken"),
    [
        ("beş", "", "beş"),
        ("beş", "dan", "beşdən"),
        ("altı", "ə", "altıya"),
        ("iki", "yə", "ikiyə"),
        ("on", "un", "onun"),
        ("iki", "nin", "ikinin"),
        ("altı", "nı", "altını"),
        ("beş", "i", "beşi"),
        ("beş", "ni", "beşi"),
        ("iki", "i", "ikisi"),
        ("iyirmi iki", "si", "iyirmi ikisi"),
        ("iyirmi iki", "sində", "iyirmi ikisində"),
        ("qəpik", "ə", "qəpiyə"),
        ("qəpik", "dən", "qəpikdən"),
        ("qırx", "a", "qırxa"),
        ("min", "lik", "minlik"),
        ("otuz", "dadır", "otuzdadır"),
        ("otuz", "xyzdır", "otuz xyzdır"),
        ("on səkkiz", "ədək", "on səkkizədək"),
        ("altı", "dək", "altıyadək"),
        ("beş", "cidə", "beşincidə"),
        ("beş", "mərtəbəli", "beş mərtəbəli"),
        ("xyz", "da", "xyzdə"),
    ],
)
def test_suffixes_take_the_form_that_the_word_asks_for(words: str, suffix: str, spoken: str) -> None:
    assert attach(words, suffix) == spoken


def test_cases_of_spans() -> None:
    assert (ablative("doqquz"), locative("iki"), until("on dörd")) == ("doqquzdan", "ikidə", "on dördədək")


def test_the_last_vowel_of_a_word_without_one_is_a_front_vowel() -> None:
    assert (last_vowel("MMC"), last_vowel("QIZ")) == ("ə", "ı")
    assert ends_in_vowel("iki")
    assert not ends_in_vowel("")
