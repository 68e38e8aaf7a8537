from __future__ import annotations

import numpy as np

from telephony.audio.dtmf import KeyTone
from telephony.audio.listener import Found, ToneListener, listen_together
from telephony.leg import Tone
from tests.unit.telephony.audio.test_dtmf import dialled, through_g711


def hear(listener: ToneListener) -> list[Found]:
    at_s = np.arange(8_000) / 8_000
    beep = np.where((at_s > 0.2) & (at_s < 0.6), 3_000 * np.sin(2 * np.pi * 1_000 * at_s), 0)
    sound = through_g711(np.concatenate((dialled("7"), beep)))
    return [found for start in range(0, len(sound), 320) for found in listener.feed(sound[start : start + 320])]


def test_tones_are_told_and_keys_where_they_are_wanted() -> None:
    listener = ToneListener(tones=True)
    assert hear(listener) == [Tone.BEEP]

    listener.keys = True
    assert hear(listener)[0] == KeyTone("7", 90)


def test_what_is_switched_off_is_not_looked_for() -> None:
    assert hear(ToneListener(tones=False)) == []


def test_calls_listened_to_together_are_told_by_their_index() -> None:
    at_s = np.arange(8_000) / 8_000
    beep = np.where((at_s > 0.2) & (at_s < 0.6), 3_000 * np.sin(2 * np.pi * 1_000 * at_s), 0)
    listeners = [ToneListener(tones=False), ToneListener(tones=True), ToneListener(tones=True)]
    listeners[2].keys = True
    sound = through_g711(np.concatenate((dialled("7"), beep)))
    found: list[tuple[int, Found]] = []
    for start in range(0, len(sound), 320):
        rows = np.stack([sound[start : start + 320]] * 3)
        found += [(index, each) for index, all_of in listen_together(listeners, rows).items() for each in all_of]

    assert found == [(2, KeyTone("7", 90)), (1, Tone.BEEP), (2, Tone.BEEP)]
