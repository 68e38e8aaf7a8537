from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.flows.rehearsal import Rehearsal
from bot.flows.sufficiency import Sufficiency
from tests.fakes.flows import rehearse
from tests.fakes.menu import asked_for_the_day, asked_for_the_phone, at_the_menu

_CHAT = """\
start: chat
states:
  chat: {say: Soruşun., llm: {task: Answer questions., max_turns: 2}, then: end, on_fail: end}
"""


def talking_with_the_model() -> Rehearsal:
    return rehearse(_CHAT)


def asked_whether_the_phone_is_right() -> Rehearsal:
    call = asked_for_the_phone()
    call.hear("sıfır əlli yüz iyirmi üç qırx beş altmış yeddi")
    return call


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (at_the_menu, "iş saatları"),
        (at_the_menu, "operator"),  # a global intent, in any state
        (at_the_menu, "iş saatlari"),  # nearly
        (at_the_menu, "yox"),
        (asked_for_the_phone, "sıfır əlli yüz iyirmi üç qırx beş altmış yeddi"),
        (asked_for_the_phone, "sıfır əlli iki yüz on iki otuz dörd əlli altı"),
        (asked_for_the_phone, "sıfır beş sıfır iki bir iki üç dörd beş altı"),
        (asked_for_the_phone, "canlı insan"),
        (asked_whether_the_phone_is_right, "bəli"),
    ],
)
def test_a_whole_answer_suffices(call: Callable[[], Rehearsal], text: str) -> None:
    assert call().engine.suffices(text)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (at_the_menu, ""),
        (at_the_menu, "hava necədir"),
        (asked_for_the_phone, "sıfır əlli yüz iyirmi"),
        (asked_for_the_phone, "sıfır əlli iki yüz on iki"),  # ten digits, if each word were one: 0 50 2 100 10 2
        (asked_for_the_day, "sabah"),  # may go on: "sabah yox, o biri gün"
        (asked_whether_the_phone_is_right, "mənim nömrəm"),
        (talking_with_the_model, "bir sualım var"),
    ],
)
def test_what_may_go_on_does_not_suffice(call: Callable[[], Rehearsal], text: str) -> None:
    assert not call().engine.suffices(text)


def test_nothing_suffices_once_the_call_has_ended() -> None:
    call = at_the_menu()
    for _ in range(4):
        call.wait()

    assert call.ended is not None
    assert not call.engine.suffices("iş saatları")


def test_asking_changes_nothing() -> None:
    call = at_the_menu()

    call.engine.suffices("iş saatları")

    assert call.engine.state == "menu"
    assert call.engine.poll() is None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (at_the_menu, "iş saatları"),
        (at_the_menu, "iş saatlari."),  # nearly
        (at_the_menu, "mənə canlı insan lazımdır"),
        (asked_for_the_phone, "canlı insan"),
    ],
)
def test_a_choice_in_its_own_words_is_whole(call: Callable[[], Rehearsal], text: str) -> None:
    assert call().engine.suffices(text) is Sufficiency.WHOLE


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (at_the_menu, "operator"),  # a word alone begins many sentences
        (at_the_menu, "iş saatları və"),
        (at_the_menu, "iş saatları,"),
        (at_the_menu, "iş saatları yox"),
        (at_the_menu, "yox, sağ olun"),
        (at_the_menu, "hava necədir"),
        (asked_for_the_phone, "sıfır əlli yüz iyirmi üç qırx beş altmış yeddi"),  # "yeddi" may not be the last
        (asked_whether_the_phone_is_right, "bəli düzdür"),
        (asked_whether_the_phone_is_right, "canlı insan"),
        (talking_with_the_model, "canlı insan"),
    ],
)
def test_what_more_may_follow_is_not_whole(call: Callable[[], Rehearsal], text: str) -> None:
    assert call().engine.suffices(text) is not Sufficiency.WHOLE


def test_nothing_is_whole_once_the_call_has_ended() -> None:
    call = at_the_menu()
    for _ in range(4):
        call.wait()

    assert call.engine.suffices("iş saatları") is Sufficiency.OPEN
