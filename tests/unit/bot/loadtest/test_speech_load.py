from __future__ import annotations

import pytest

from bot.loadtest.speech_load import Listener, SpeechReport, speech_table


def test_a_stream_that_keeps_up_has_no_underrun() -> None:
    listener = Listener(asked_at=10.0)
    for number in range(10):
        listener.take(4800, now=10.2 + 0.09 * number)

    found = listener.utterance(now=11.2)

    assert found is not None
    assert found.first_audio_s == pytest.approx(0.2)
    assert found.audio_s == pytest.approx(1.0)
    assert found.underrun_s == 0.0


def test_a_listener_waits_for_what_comes_late_and_only_for_that() -> None:
    listener = Listener(asked_at=0.0)
    listener.take(4800, now=0.1)  # lasts until 0.2
    listener.take(4800, now=0.35)  # 150 ms late; lasts until 0.45
    listener.take(4800, now=0.4)

    found = listener.utterance(now=0.6)

    assert found is not None
    assert found.underrun_s == pytest.approx(0.15)


def test_no_audio_is_no_utterance() -> None:
    assert Listener(asked_at=0.0).utterance(now=1.0) is None


def test_the_table_holds_a_server_that_never_answered_too() -> None:
    report = SpeechReport(
        url="http://x", protocol="openai", streams=4, rate_per_s=0.0, utterances=0, failed=9,
        failures={"status 503": 9}, first_audio_ms=None,
        underrun_share=0.0, audio_s_per_s=0.0, most_at_once=4,
    )  # fmt: skip

    *table, _, failures = speech_table(report).splitlines()
    assert {line.count("|") for line in table} == {10}
    assert failures == "9 × status 503"
