from __future__ import annotations

from tts_engine.backend.silence import Silence, Verdict


def verdicts(silence: Silence, until: int, *, begin: int = 0) -> list[tuple[int, str]]:
    """What is to be done, by second."""
    seen = [(second, silence.look(now=float(second))) for second in range(begin, until)]
    return [(second, verdict.value) for second, verdict in seen if verdict is not Verdict.FINE]


def test_an_engine_that_owes_nothing_may_be_silent_for_ever():
    silence = Silence(hung_after_s=30)
    assert verdicts(silence, 1000) == []
    silence.asked(now=1000.0)
    silence.heard(owes=False, now=1000.1)
    assert verdicts(silence, 3000, begin=1001) == []


def test_one_that_answers_nobody_is_asked_once_more_and_then_hung():
    silence = Silence(hung_after_s=30)
    silence.asked(now=0.0)
    assert verdicts(silence, 32) == [(5, "probe"), (30, "hung"), (31, "hung")]


def test_those_who_ask_later_do_not_put_off_the_verdict():
    silence = Silence(hung_after_s=30)
    for second in range(31):
        silence.asked(now=float(second))
    assert silence.look(now=30.0) is Verdict.HUNG


def test_any_step_is_a_sign_of_life():
    silence = Silence(hung_after_s=30)
    silence.asked(now=0.0)
    assert silence.look(now=29.0) is Verdict.PROBE
    silence.heard(owes=True, now=29.0)
    assert verdicts(silence, 60, begin=29) == [(34, "probe"), (59, "hung")]


def test_a_short_limit_leaves_time_for_the_probe():
    silence = Silence(hung_after_s=2)
    silence.asked(now=0.0)
    assert verdicts(silence, 3) == [(1, "probe"), (2, "hung")]


def test_a_new_engine_owes_nothing():
    silence = Silence(hung_after_s=30)
    silence.asked(now=0.0)
    silence.forget()
    assert verdicts(silence, 100) == []
