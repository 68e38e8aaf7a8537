from __future__ import annotations

import pytest

from bot.flows.actions import LlmAnswered, Say, SlotFilled, ToolAnswered
from bot.flows.rehearsal import Rehearsal
from tests.fakes.flows import MONDAY_NOON, flow_of, rehearse

_FLOW = """\
slots:
  fin: {ask: "FİN kodunuz?", type: fin, confirm: "{{ fin | spell }}. Düzdür?", pii: true}
  day: {ask: "Hansı gün?", type: date}
  phone: {ask: Nömrəniz., type: phone_az, confirm: "{{ phone | digits }}, düzdür?", pii: true}
tools:
  t:
    http: {method: POST, url: "https://example.com/"}
    send: {fin: "{{ fin }}"}
    save: {balance: {path: $.balance, pii: true}}
    on: {ok: tell, error: end}
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, then: ask}, {intent: hours, then: day}], also: [phone]}
  ask: {collect: fin, then: t}
  t: {call: t}
  tell: {say: "Hesabda {{ balance | money }} var.", then: day}
  day: {collect: day, also: [phone], then: phone}
  phone: {collect: phone, then: end}
"""


def _at(*turns: str) -> Rehearsal:
    call = rehearse(_FLOW, tools={"t": [ToolAnswered("ok", {"balance": "12.5"})]})
    for turn in turns:
        call.hear(turn)
    return call


@pytest.mark.parametrize(
    ("before", "text", "is_personal"),
    [
        ((), "qəbula yazılmaq", False),
        ((), "qəbula yazılmaq istəyirəm, nömrəm 050 123 45 67", True),
        (("qəbula yazılmaq",), "beş a be ce bir iki üç", True),
        (("qəbula yazılmaq",), "beş a be ce", True),  # not understood, and yet half of it
        (("qəbula yazılmaq",), "operator", False),
        (("qəbula yazılmaq",), "", False),
        (("qəbula yazılmaq", "5ABC123"), "bəli", False),
        (("qəbula yazılmaq", "5ABC123"), "xeyr, 5ABD123", True),
        (("qəbula yazılmaq", "5ABC123"), "beş a be de", True),
        (("qəbula yazılmaq", "5ABC123"), "Xeyr, səhvdir, düz deyil.", False),
        (("qəbula yazılmaq", "5ABC123"), "yox, sonu qırx altı", True),  # a no, and a part of the value
        (("qəbula yazılmaq", "5ABC123"), "bəli, amma de, üç", True),
        (("iş saatları",), "sabah", False),
        (("iş saatları",), "sabah, nömrəm 050 123 45 67", True),
        (("operator",), "050 123 45 67", False),  # the call is over
    ],
)
def test_words_are_personal_where_a_personal_slot_is_asked_for_or_read(
    before: tuple[str, ...], text: str, is_personal: bool
) -> None:
    assert _at(*before).engine.is_personal(text) is is_personal


def test_before_the_call_nothing_is_personal() -> None:
    assert Rehearsal(flow_of(_FLOW), at=MONDAY_NOON).engine.is_personal("5ABC123") is False


def test_in_a_talk_the_slots_that_the_model_may_fill_count() -> None:
    text = (
        _FLOW.replace(', confirm: "{{ fin | spell }}. Düzdür?"', "")
        .replace("start: menu", "start: chat")
        .replace("states:\n", "states:\n  chat: {llm: {task: Talk., slots: [fin]}, then: menu}\n")
    )
    call = rehearse(text, llm=[LlmAnswered("Bəli.")])
    assert call.engine.is_personal("5ABC123")
    assert not call.engine.is_personal("salam")


def test_what_is_said_of_personal_values_has_a_masked_form_for_records() -> None:
    call = _at("qəbula yazılmaq", "beş a be ce bir iki üç")
    (confirm,) = (action for action in call.actions if isinstance(action, Say))
    assert (confirm.text, confirm.masked) == ("beş a be ce bir iki üç. Düzdür?", "•••. Düzdür?")
    call.hear("bəli")
    told, asked = (action for action in call.actions if isinstance(action, Say))
    assert (told.text, told.masked) == ("Hesabda 12,50 manat var.", "Hesabda ••• var.")
    assert asked.masked is None
    assert all(filled.pii for filled in call.actions if isinstance(filled, SlotFilled))
