from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.phrases import Phrase, best_match


def _phrases(**texts: Sequence[str]) -> Mapping[str, Sequence[Phrase]]:
    return {name: [Phrase.of(text) for text in found] for name, found in texts.items()}


_CLINIC = _phrases(
    book=["qəbula yazılmaq istəyirəm", "həkimə yazıl*", "qəbula düşmək", "növbə götürmək", "randevu", "qəbul var"],
    book_too=["görüş təyin etmək", "həkim lazımdır", "qəbula yazdırmaq", "həkimin qəbuluna yazılmaq"],
    hours=["iş saatları", "neçəyə qədər işləyirsiniz", "saat neçədə açılırsınız", "nə vaxt bağlanırsınız"],
    hours_too=["neçədən işləyir", "bazar günü işləyirsiniz"],
    human=["operator", "operatorla danışmaq istəyirəm", "canlı insanla danışmaq", "əməkdaşa qoşun"],
    human_too=["adamla danışmaq"],
    address=["ünvan", "ünvanınız haradadır", "harada yerləşir", "necə gəlmək olar"],
    repeat=["bir də deyin", "təkrar edin", "eşitmədim", "başa düşmədim"],
    goodbye=["sağ olun hələlik", "xudahafiz", "heç nə lazım deyil"],
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Qəbula yazılmaq istəyirəm.", "book"),
        ("mən QƏBULA YAZILMAQ İSTƏYİRƏM zəhmət olmasa", "book"),
        ("qəbula necə düşmək olar", "book"),
        ("həkimə yazılacağam", "book"),
        ("OPERATORLA danışım", "human"),
        ("operatordan", "human"),
        ("iş saatlarınızı deyin", "hours"),
        ("Ünvanınızı deyin", "address"),
        ("unvaniniz haradadir", "address"),
    ],
)
def test_phrases_match_with_endings_gaps_and_without_marks(text: str, name: str) -> None:
    match = best_match(text, _CLINIC)
    assert match is not None
    assert (match.name, match.exact, match.likeness) == (name, True, 1.0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("qəbula yazlmaq istirəm", "book"),
        ("GABULAYA ZULMAK STAYRAM", "book"),
        ("Gabuladışma İsteyram.", "book"),
        ("Operatorlazım dür.", "human"),
        ("aperatorla danışmax", "human"),
        ("Neçəya gədər işliyirsniz", "hours"),
    ],
)
def test_phrases_match_as_a_weak_recogniser_spells_them(text: str, name: str) -> None:
    match = best_match(text, _CLINIC)
    assert match is not None
    assert match.name == name
    assert not match.exact


@pytest.mark.parametrize(
    "text",
    [
        *("", "...", "bəli", "xeyr", "salam", "operasiya oldu", "bu gün hava soyuqdur", "sabah imtahanım var"),
        *("qapı açıqdır", "uşaqlar həyətdə oynayır", "beş", "a", "ünsiyyət vacibdir"),
    ],
)
def test_other_speech_is_no_match(text: str) -> None:
    assert best_match(text, _CLINIC) is None


def test_yes_is_never_taken_for_no() -> None:
    answers = _phrases(yes=["bəli", "hə"], no=["xeyr", "yox"])
    assert [best_match(text, answers) for text in ("xeyl", "bəla", "belə", "yo", "xey")] == [None] * 5
    assert {text: found.name for text in ("bəli", "xeyr") if (found := best_match(text, answers))} == {
        "bəli": "yes",
        "xeyr": "no",
    }


def test_the_longest_phrase_wins_and_a_tie_is_no_match() -> None:
    named = _phrases(day=["bazar"], monday=["bazar ertəsi"])
    found = best_match("bazar ertəsi günü", named)
    assert found is not None
    assert found.name == "monday"
    assert best_match("bazar", _phrases(first=["bazar"], second=["bazar"])) is None


def test_two_that_sound_equally_like_are_no_match() -> None:
    named = _phrases(first=["balansımı öyrənmək"], second=["balansımi öyrənmək"])
    assert best_match("balasımı öyrənmək", named) is None


def test_a_phrase_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="has no word"):
        Phrase.of(" * ")


def test_a_pattern_is_told_from_what_callers_say() -> None:
    assert Phrase.of("iş saatları").is_natural
    assert not Phrase.of("yazıl*").is_natural


@given(st.text(max_size=40))
def test_any_text_is_matched_or_not_and_a_match_is_likely_enough(text: str) -> None:
    match = best_match(text, _CLINIC)
    assert match is None or 0.7 <= match.likeness <= 1.0


@given(st.sampled_from(["qəbula yazılmaq istəyirəm", "saat neçədə açılırsınız"]), st.data())
def test_a_long_phrase_with_one_letter_dropped_is_still_that_phrase(said: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(min_value=1, max_value=len(said) - 1))
    match = best_match(said[:at] + said[at + 1 :], _CLINIC)
    assert match is not None
    assert match.name == ("book" if said.startswith("q") else "hours")


def test_light_words_make_no_likeness() -> None:
    bank = _phrases(block=["kartı bağlamaq istəyirəm"], balance=["balansımı öyrənmək istəyirəm"])
    assert best_match("qəbula yazılmaq istəyirəm", bank) is None
    assert best_match("iş saatlarını öyrənmək istəyirəm", bank) is None
    assert best_match("istəyirəm", _phrases(want=["istəyirəm"])) is not None


@pytest.mark.parametrize("said", ["Salam!", "salam", "Salam.", "SALAM"])
def test_a_whole_phrase_is_all_that_is_said(said: str) -> None:
    match = best_match(said, _phrases(greeting=["=salam"]))

    assert match is not None
    assert (match.name, match.exact) == ("greeting", True)


@pytest.mark.parametrize(
    "said", ["Salam, qəbula yazılmaq istəyirəm", "sizə salam", "salam əleyküm əziz həkim", "sabahınız çox xeyir"]
)
def test_a_whole_phrase_is_not_found_within_more(said: str) -> None:
    assert best_match(said, _phrases(greeting=["=salam", "=salam əleyküm", "=sabahınız xeyir"])) is None


def test_a_whole_phrase_is_no_example_of_what_callers_want() -> None:
    assert not Phrase.of("=salam").is_natural
