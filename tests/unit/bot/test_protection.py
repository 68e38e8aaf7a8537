from __future__ import annotations

from bot.flows.actions import HangUp, Say, SlotFilled, Transfer
from bot.protection import Protection

_DISCLOSURE = Say("Mən robotam", interruptible=False)
_QUESTION = Say("Buyurun")


def _protecting() -> Protection:
    protection = Protection()
    assert not protection.hold(_DISCLOSURE)
    protection.said(_DISCLOSURE, 1)
    return protection


def test_nothing_waits_where_nothing_is_protected() -> None:
    protection = Protection()
    protection.said(_QUESTION, 1)
    assert not any(protection.hold(action) for action in (_QUESTION, HangUp(), Transfer("sip:1@x")))
    assert (protection.says_more, protection.release()) == (False, None)


def test_prompts_and_the_end_wait_for_the_protected_speech_in_their_order() -> None:
    protection = _protecting()
    waiting = [_QUESTION, _DISCLOSURE, Transfer("sip:1@x"), HangUp()]
    assert all(protection.hold(action) for action in waiting)
    assert not protection.hold(SlotFilled("n", "5", pii=False))
    assert (protection.says_more, protection.release()) == (True, None)
    protection.reached(0)
    assert protection.release() is None
    protection.reached(1)
    assert [protection.release() for _ in waiting] == waiting


def test_protected_speech_after_protected_speech_does_not_wait() -> None:
    protection = _protecting()
    assert not protection.hold(_DISCLOSURE)
    protection.said(_DISCLOSURE, 2)
    protection.reached(1)
    assert protection.hold(_QUESTION)


def test_a_key_drops_the_prompts_that_wait_and_not_the_end() -> None:
    protection = _protecting()
    assert protection.hold(_QUESTION)
    assert protection.hold(HangUp())
    protection.key_pressed()
    protection.cut()
    assert protection.release() == HangUp()
    assert protection.release() is None


def test_more_is_said_while_prompts_wait_and_not_while_only_the_end_does() -> None:
    protection = _protecting()
    assert protection.hold(Transfer("sip:1@x"))
    assert not protection.says_more
    assert protection.hold(_QUESTION)
    assert protection.says_more
