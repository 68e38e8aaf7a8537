"""Which requests outside a dialog are let in."""

from __future__ import annotations

import pytest

from telephony.media import MediaAbilities
from telephony.sip.admission import WRONG_PASSWORDS, AdmissionControl, admit_all
from telephony.sip.auth import Asked, Credentials, DigestServer, answer_challenge
from telephony.sip.inspection import Refusal
from telephony.sip.message import Request
from tests.unit.telephony.sip.messages import OFFER, request


def control(*, digest: DigestServer | None = None, retry_after_s: int | None = None) -> AdmissionControl:
    return AdmissionControl(digest=digest, admit=lambda: retry_after_s, address_type="IP4")


def examine(ours: AdmissionControl, asked: Request, *, merged: bool = False, now: float = 0.0) -> int | None:
    refusal = ours.examine(asked, source="192.0.2.1", merged=merged, now=now)
    return None if refusal is None else refusal.status


def test_a_sound_invite_comes_in() -> None:
    assert examine(control(), request(body=OFFER)) is None
    assert admit_all() is None


def test_the_reasons_are_looked_at_in_the_order_of_the_rfc() -> None:
    digest = DigestServer(realm="zeng", passwords={"a": "b"}, secret=b"s")
    broken = {"extra": "Require: foo\r\n", "body": b"nonsense"}
    full = control(retry_after_s=9)

    assert examine(control(digest=digest), request(**broken), merged=True) == 401
    assert examine(full, request(**broken), merged=True) == 482
    assert examine(full, request(**broken)) == 420
    assert examine(full, request(body=b"nonsense")) == 400
    assert examine(full, request(body=OFFER)) == 503


def test_a_full_house_says_when_to_come_again() -> None:
    ours = control(retry_after_s=9)

    for asked in (request(body=OFFER), request("OPTIONS")):
        assert ours.examine(asked, source="192.0.2.1", merged=False, now=0.0) == Refusal(503, (("Retry-After", "9"),))


@pytest.mark.parametrize("method", ["BYE", "INFO"])
def test_a_request_that_belongs_in_a_dialog_finds_none(method: str) -> None:
    assert examine(control(), request(method)) == 481


def test_an_invite_is_challenged_and_let_in_with_its_answer() -> None:
    digest = DigestServer(realm="zeng", passwords={"aysel": "gizli"}, secret=b"s")
    ours = control(digest=digest)
    refusal = ours.examine(request(), source="192.0.2.1", merged=False, now=0.0)
    assert refusal is not None
    challenges = [value for _, value in refusal.extra]
    answer = answer_challenge(challenges, Credentials("aysel", "gizli"), Asked("INVITE", "sip:a"), cnonce="c")
    again = request(cseq=2, extra=f"Authorization: {answer}\r\n")

    assert [name for name, _ in refusal.extra] == ["WWW-Authenticate", "WWW-Authenticate"]
    assert examine(ours, again) is None
    replayed = ours.examine(again, source="192.0.2.1", merged=False, now=1.0)
    assert replayed is not None
    assert all("stale=true" in value for _, value in replayed.extra)


def test_options_needs_no_password() -> None:
    digest = DigestServer(realm="zeng", passwords={"a": "b"}, secret=b"s")

    assert examine(control(digest=digest), request("OPTIONS")) is None


def test_a_source_that_guesses_too_often_is_not_told_when_it_is_right() -> None:
    digest = DigestServer(realm="zeng", passwords={"aysel": "gizli"}, secret=b"s")
    ours = control(digest=digest)

    def tries(password: str, *, source: str = "192.0.2.66", now: float = 0.0) -> int | None:
        challenges = digest.challenges(now=now)
        answer = answer_challenge(challenges, Credentials("aysel", password), Asked("INVITE", "sip:a"), cnonce="c")
        asked = request(extra=f"Authorization: {answer}\r\n")
        refusal = ours.examine(asked, source=source, merged=False, now=now)
        return None if refusal is None else refusal.status

    assert tries("gizli") is None
    assert [tries(f"guess-{n}") for n in range(WRONG_PASSWORDS)] == [401] * WRONG_PASSWORDS
    assert tries("gizli") == 401
    assert tries("gizli", source="192.0.2.1") is None
    assert tries("gizli", now=60.0) is None


def test_an_offer_that_our_settings_cannot_serve_does_not_come_in() -> None:
    ours = AdmissionControl(
        digest=None, admit=admit_all, address_type="IP4", abilities=MediaAbilities(("opus",), srtp="accepted")
    )

    assert examine(ours, request(body=OFFER)) == 488
