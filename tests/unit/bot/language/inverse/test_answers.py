from __future__ import annotations

import pytest

from bot.language.inverse.answers import parse_yes_no


@pytest.mark.parametrize(
    "said",
    [
        "Bəli.",
        "bəli, bəli",
        "Hə",
        "hə, düzdür",
        "Düzdür.",
        "doğrudur",
        "təsdiq edirəm",
        "tamam",
        "olar",
        "beli",
        "Evet",
        "əlbəttə",
        "razıyam",
    ],
)
def test_yes(said: str) -> None:
    assert parse_yes_no(said) is True


@pytest.mark.parametrize(
    "said",
    [
        "Xeyr!",
        "yox",
        "Yox, səhvdir",
        "düz deyil",
        "xeyir",
        "heyr",
        "Hayır",
        "xeyr, dəyişmək istəyirəm",
        "səhvdir",
        "istəmirəm",
        "olmaz",
        "düz deyilmiş",
    ],
)
def test_no(said: str) -> None:
    assert parse_yes_no(said) is False


@pytest.mark.parametrize(
    "said",
    [
        "",
        "salam",
        "belə bir şey",
        "bəli yox",
        "yoxsa",
        "bəli, düz deyil",
        "səhv deyil",
        "səhv yoxdur",
        "hər gün",
        "yeddi",
        "bilmirəm",
        "Heç nə",
    ],
)
def test_neither_or_both_is_not_guessed(said: str) -> None:
    assert parse_yes_no(said) is None
