"""A small flow of a menu, a telephone number and a day, and calls that have come to each of them."""

from __future__ import annotations

from bot.flows.rehearsal import Rehearsal
from tests.fakes.flows import rehearse

_FLOW = """\
slots:
  phone: {ask: "Nömrəniz?", type: phone_az, confirm: "{{ phone | phone }}. Düzdür?", retry: "Yenidən deyin."}
  day: {ask: "Hansı günə?", type: date, within_days: 60}
start: menu
states:
  menu:
    say: Buyurun.
    menu: [{intent: book, dtmf: "1", then: phone}, {intent: hours, dtmf: "2", then: day}]
  phone: {collect: phone, then: end}
  day: {collect: day, then: end}
"""


def at_the_menu() -> Rehearsal:
    return rehearse(_FLOW)


def asked_for_the_phone() -> Rehearsal:
    call = rehearse(_FLOW)
    call.press("1")
    return call


def asked_for_the_day() -> Rehearsal:
    call = rehearse(_FLOW)
    call.press("2")
    return call
