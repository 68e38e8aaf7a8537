from __future__ import annotations

from bot.flows.actions import HangUp, HangUpReason, Say, SlotFilled
from tests.fakes.flows import rehearse

_PHONE = """\
slots:
  phone:
    ask: Nömrənizi deyin.
    type: phone_az
    confirm: "{{ phone | digits }}. Düzdür?"
    retry: Onda yenidən deyin.
    dtmf: {min: 9, max: 10}
    pii: true
start: ask
states:
  ask: {collect: phone, then: end}
"""
_SAID = "sıfır əlli yüz iyirmi üç qırx beş altmış yeddi"


def test_a_value_is_read_back_and_kept_when_confirmed() -> None:
    call = rehearse(_PHONE)
    assert call.said.endswith("Nömrənizi deyin.")
    call.hear(_SAID)
    assert call.said == "050 123 45 67. Düzdür?"
    assert call.engine.slots == {}
    call.hear("Bəli, düzdür.")
    assert call.engine.slots == {"phone": "+994501234567"}
    assert call.actions[0] == SlotFilled("phone", "+994501234567", pii=True)
    assert call.ended == HangUp(HangUpReason.NORMAL)


def test_a_confirmation_can_be_keyed_one_is_yes_two_is_no() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.press("2")
    assert call.said == "Onda yenidən deyin."
    call.press("0501234567")
    assert call.said == "050 123 45 67. Düzdür?"
    call.press("1")
    assert call.engine.slots == {"phone": "+994501234567"}


def test_a_key_that_is_no_answer_is_not_understood() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.press("7")
    assert call.said == "Başa düşmədim."


def test_a_correction_replaces_the_value_and_is_confirmed_again() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.hear("xeyr, sıfır əlli beş, iki yüz on iki, otuz üç, iyirmi")
    assert call.said == "055 212 33 20. Düzdür?"
    call.hear("hə")
    assert call.engine.slots == {"phone": "+994552123320"}


def test_a_yes_with_another_value_is_confirmed_again_and_one_with_the_same_or_in_passing_is_a_yes() -> None:
    def said(kind: str, value: str, answer: str) -> tuple[str, object]:
        call = rehearse(
            f'slots: {{it: {{ask: "Nə?", type: {kind}, confirm: "{{{{ it }}}}, düzdür?"}}}}\n'
            "start: ask\nstates:\n  ask: {collect: it, then: end}\n"
        )
        call.hear(value)
        call.hear(answer)
        return call.said, call.engine.slots.get("it")

    assert said("time", "on dörddə", "hə, on altıda") == ("16:00, düzdür?", None)
    assert said("date", "sabah", "bəli, bu gün") == ("2026-11-23, düzdür?", None)
    assert said("time", "on dörddə", "hə, on dörddə") == ("Sağ olun.", "14:00")
    assert said("number", "beş", "hə, bir dəqiqə") == ("Sağ olun.", "5")


def test_the_same_value_said_again_confirms_it() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.hear("050 123 45 67")
    assert call.engine.slots == {"phone": "+994501234567"}


def test_the_same_value_with_a_no_does_not_confirm_it() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.hear("xeyr, 050 123 45 67 deyil")
    assert call.said == "Onda yenidən deyin."


def test_neither_yes_nor_no_is_asked_again() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.hear("nə bilim")
    assert call.said == "Başa düşmədim."
    call.hear("bəli")
    assert call.engine.slots == {"phone": "+994501234567"}


def test_a_value_that_is_refused_too_often_leads_on() -> None:
    call = rehearse(_PHONE)
    for said in ("Onda yenidən deyin.", "Onda yenidən deyin.", "Sağ olun."):
        call.hear(_SAID)
        call.hear("xeyr")
        assert call.said == said


def test_without_a_retry_the_question_is_asked_again_after_a_no() -> None:
    call = rehearse(_PHONE.replace("    retry: Onda yenidən deyin.\n", ""))
    call.hear(_SAID)
    call.hear("yox")
    assert call.said == "Nömrənizi deyin."


def test_a_global_intent_is_heard_while_a_confirmation_is_awaited() -> None:
    call = rehearse(_PHONE)
    call.hear(_SAID)
    call.hear("bir də deyin")
    assert call.said == "050 123 45 67. Düzdür?"
    call.hear("operatora qoşun")
    assert call.visited == ["end"]


_DAY_AND_TIME = """\
slots:
  day:
    ask: Hansı gün?
    type: date
    rejections: [{if: "not open_on(day)", say: "{{ day | date }} bağlıyıq. Başqa gün deyin."}]
  time:
    ask: Saat neçədə?
    type: time
    rejections: [{if: "not open_at(day, time)", say: O saatda bağlıyıq.}]
    confirm: "{{ day | date }}, saat {{ time | time }}. Düzdür?"
start: day
states:
  day: {collect: day, also: [time], then: time}
  time: {collect: time, say: "{{ day | weekday }}.", then: end}
"""


def test_a_value_that_will_not_do_is_turned_down_with_the_reason() -> None:
    call = rehearse(_DAY_AND_TIME)
    call.hear("bazar günü")
    assert call.said == "29 noyabr bağlıyıq. Başqa gün deyin."
    assert call.engine.slots == {}
    call.hear("sabah")
    assert call.engine.slots == {"day": "2026-11-24"}
    assert call.said == "çərşənbə axşamı."


def test_values_that_will_not_do_climb_the_no_match_ladder() -> None:
    call = rehearse(_DAY_AND_TIME)
    call.hear("bazar günü")
    call.hear("bazar günü")
    assert call.said == "29 noyabr bağlıyıq. Başqa gün deyin."
    call.hear("bazar günü")
    assert call.said == "29 noyabr bağlıyıq. Başqa gün deyin. Sağ olun."


def test_what_was_said_along_with_a_value_is_not_asked_for() -> None:
    call = rehearse(_DAY_AND_TIME)
    call.hear("sabah saat ikidə")
    assert call.said == "çərşənbə axşamı. 24 noyabr, saat 14:00. Düzdür?"
    call.hear("bəli")
    assert call.engine.slots == {"day": "2026-11-24", "time": "14:00"}


def test_what_is_said_along_with_a_wish_is_not_asked_for_and_the_next_wish_begins_anew() -> None:
    menu = """\
states:
  menu: {say: Buyurun., menu: [{intent: book, then: day}, {intent: hours, then: menu}], also: [day, time]}
"""
    text = _DAY_AND_TIME.replace("states:\n", menu).replace("start: day", "start: menu")
    call = rehearse(text)
    call.hear("sabah saat ikiyə qəbula yazılmaq istəyirəm")
    assert call.visited == ["day", "time"]
    assert call.said == "çərşənbə axşamı. 24 noyabr, saat 14:00. Düzdür?"
    call = rehearse(text)
    call.hear("sabah iş saatları necədir")
    call.hear("qəbula yazılmaq")
    assert call.said == "Hansı gün?"


def test_an_offered_value_that_will_not_do_is_asked_for() -> None:
    call = rehearse(_DAY_AND_TIME.replace(', say: "{{ day | weekday }}."', ""))
    call.hear("sabah axşam saat yeddidə")
    assert call.said == "O saatda bağlıyıq."
    call.hear("onda")
    assert call.said == "24 noyabr, saat 10:00. Düzdür?"


def test_a_free_text_is_confirmed_by_yes_or_no_alone() -> None:
    text = """\
slots: {street: {ask: "Küçə?", type: text, confirm: "{{ street }}. Düzdür?"}}
start: ask
states:
  ask: {collect: street, then: end}
"""
    call = rehearse(text)
    call.hear("Nizami küçəsi.")
    assert call.said == "Nizami küçəsi. Düzdür?"
    call.hear("deyəsən")
    assert call.said == "Başa düşmədim."
    call.hear("hə")
    assert call.engine.slots == {"street": "Nizami küçəsi"}


def test_values_of_an_enum_are_shown_by_their_names_and_sent_by_their_keys() -> None:
    text = """\
slots:
  day:
    ask: Hansı gün?
    type: enum
    values: {bazar_ertəsi: [bazar ertəsi], cümə: {say: cümə günü, phrases: [cümə], dtmf: 5}}
    confirm: "{{ day }}?"
start: ask
states:
  ask: {collect: day, then: end}
"""
    call = rehearse(text)
    call.hear("bazar ertəsi")
    assert call.said == "bazar ertəsi?"
    call.hear("xeyr, cümə")
    assert call.actions == [Say("cümə günü?", interruptible=True, cacheable=False)]
    call.press("1")
    assert call.engine.slots == {"day": "cümə"}
