"""Digest authentication."""

from __future__ import annotations

import pytest

from telephony.sip import auth
from telephony.sip.auth import Asked, Credentials, DigestServer, Verdict, answer_challenge, authorization, parse_digest
from tests.unit.telephony.sip.messages import request, response

AYSEL = Credentials("aysel", "gizli")


def server() -> DigestServer:
    return DigestServer(realm="zeng", passwords={"aysel": "gizli"}, secret=b"seal")


def answered(challenges: tuple[str, ...], credentials: Credentials = AYSEL, method: str = "INVITE") -> str:
    answer = answer_challenge(challenges, credentials, Asked(method, "sip:bot@192.0.2.9"), cnonce="c0ffee")
    assert answer is not None
    return answer


def check(digest: DigestServer, *answers: str, now: float = 1.0, method: str = "INVITE") -> Verdict:
    extra = "".join(f"Authorization: {answer}\r\n" for answer in answers)
    return digest.check(request(method, extra=extra), now=now)


@pytest.mark.parametrize("kept", [0, 1])
def test_the_right_answer_is_accepted_in_either_algorithm(kept: int) -> None:
    digest = server()
    challenge = digest.challenges(now=0.0)[kept]

    assert f"algorithm={('SHA-256', 'MD5')[kept]}" in answered((challenge,))
    assert check(digest, answered((challenge,))) is Verdict.ACCEPTED


def test_the_better_algorithm_comes_first_and_is_chosen() -> None:
    challenges = server().challenges(now=0.0)

    assert [parse_digest(challenge)["algorithm"] for challenge in challenges] == ["SHA-256", "MD5"]
    assert "algorithm=SHA-256" in answered(tuple(reversed(challenges)))


def test_an_algorithm_that_is_not_wanted_is_neither_offered_nor_accepted() -> None:
    strict = DigestServer(realm="zeng", passwords={"aysel": "gizli"}, secret=b"seal", algorithms=("SHA-256",))
    md5 = server().challenges(now=0.0)[1]

    assert len(strict.challenges(now=0.0)) == 1
    assert check(strict, answered((md5,))) is Verdict.MISSING


def test_a_digest_is_the_one_of_the_rfc() -> None:
    # RFC 7616 section 3.9.1.
    fields = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    mufasa = Credentials("Mufasa", "Circle of Life")
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

    answers = [
        answer_challenge((fields.format(algorithm),), mufasa, Asked("GET", "/dir/index.html"), cnonce=cnonce)
        for algorithm in ("MD5", "SHA-256")
    ]

    assert [parse_digest(answer or "")["response"] for answer in answers] == [
        "8ca523f5e9506fed4657c9700eebdbec",
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    ]
    assert all(parse_digest(answer or "")["opaque"].startswith("FQhe") for answer in answers)


def test_without_qop_the_old_digest_is_answered_and_accepted_once() -> None:
    digest = server()
    challenge = digest.challenges(now=0.0)[1].replace(', qop="auth"', "")
    answer = answered((challenge,))

    assert "cnonce" not in answer
    assert [check(digest, answer), check(digest, answer)] == [Verdict.ACCEPTED, Verdict.STALE]


@pytest.mark.parametrize(
    "credentials", [Credentials("aysel", "wrong"), Credentials("nobody", ""), Credentials("nobody", "gizli")]
)
def test_wrong_and_unknown_credentials_are_told_the_same(credentials: Credentials) -> None:
    digest = server()

    assert check(digest, answered(digest.challenges(now=0.0), credentials)) is Verdict.MISSING


def test_a_request_without_credentials_for_us_is_challenged() -> None:
    digest = server()
    other = DigestServer(realm="other", passwords={}, secret=b"x").challenges(now=0.0)

    assert check(digest) is Verdict.MISSING
    assert check(digest, answered(other)) is Verdict.MISSING
    assert check(digest, "Basic YTpi", "Digest realm") is Verdict.MISSING
    assert check(digest, "Basic YTpi", answered(digest.challenges(now=0.0))) is Verdict.ACCEPTED


def test_an_answer_for_another_method_is_not_accepted() -> None:
    digest = server()

    assert check(digest, answered(digest.challenges(now=0.0), method="BYE")) is Verdict.MISSING


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("algorithm=SHA-256", "algorithm=SHA-512"),
        ("qop=auth", "qop=auth-int"),
        ("nc=00000001, ", ""),
        (', cnonce="c0ffee"', ""),
        ('uri="sip:bot@192.0.2.9", ', ""),
    ],
)
def test_an_answer_that_is_not_whole_is_challenged(old: str, new: str) -> None:
    digest = server()
    answer = answered(digest.challenges(now=0.0))
    changed = answer.replace(old, new) if old in answer else answer.removesuffix(", nc=00000001")
    assert changed != answer

    assert check(digest, changed) is Verdict.MISSING


def test_a_nonce_count_that_does_not_grow_is_a_replay() -> None:
    digest = server()
    answer = answered(digest.challenges(now=0.0))

    assert [check(digest, answer), check(digest, answer)] == [Verdict.ACCEPTED, Verdict.STALE]


def test_a_nonce_gets_old() -> None:
    digest = server()
    answer = answered(digest.challenges(now=0.0))

    assert check(digest, answer, now=auth.NONCE_LIFE_S + 1) is Verdict.STALE
    assert "stale=true" in digest.challenges(stale=True, now=0.0)[0]


def test_a_nonce_that_we_never_gave_is_stale() -> None:
    digest = server()
    forged = DigestServer(realm="zeng", passwords={}, secret=b"forged").challenges(now=0.0)

    assert check(digest, answered(forged)) is Verdict.STALE


def test_a_nonce_count_that_is_no_number_is_stale() -> None:
    digest = server()
    challenge = parse_digest(digest.challenges(now=0.0)[0])
    fields = {**challenge, "uri": "sip:a", "nc": "zzzzzzzz", "cnonce": "c"}
    digested = auth._digest("SHA-256", Asked("INVITE", "sip:a"), fields, AYSEL)
    answer = ", ".join(f'{name}="{value}"' for name, value in {**fields, "response": digested}.items())

    assert check(digest, f'Digest username="aysel", {answer}') is Verdict.STALE


def test_the_memory_of_used_nonces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MAX_NONCES", 2)
    digest = server()
    answers = [answered(digest.challenges(now=0.0)) for _ in range(3)]

    assert [check(digest, answer) for answer in answers] == [Verdict.ACCEPTED] * 3
    assert [check(digest, answer) for answer in (answers[2], answers[1])] == [Verdict.STALE] * 2


def test_a_challenge_that_we_cannot_answer_is_left() -> None:
    challenges = ("Basic realm=x", 'Digest realm="a", nonce="b", algorithm=SHA-512', 'Digest realm="a"')

    assert answer_challenge(challenges, AYSEL, Asked("INVITE", "sip:a"), cnonce="c") is None


@pytest.mark.parametrize(
    ("status", "asks", "answers"),
    [(401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization")],
)
def test_a_challenge_is_answered_in_the_header_that_belongs_to_it(status: int, asks: str, answers: str) -> None:
    sent = request()
    challenge = response(sent, status, extra=f'{asks}: Digest realm="a", nonce="b"\r\n')

    header = authorization(AYSEL, sent, challenge, cnonce="c")

    assert header is not None
    assert header[0] == answers
    assert authorization(AYSEL, sent, response(sent, status), cnonce="c") is None


def test_a_body_that_was_changed_on_its_way_is_noticed_with_auth_int() -> None:
    digest = DigestServer(realm="zeng", passwords={"aysel": "gizli"}, secret=b"seal", qualities=("auth-int",))
    challenges = digest.challenges(now=0.0)
    asked = Asked("INVITE", "sip:bot@192.0.2.9", b"v=0")
    answer = answer_challenge(challenges, AYSEL, asked, cnonce="c") or ""
    extra = f"Authorization: {answer}\r\n"

    assert 'qop="auth-int"' in challenges[0]
    assert "qop=auth-int" in answer
    assert digest.check(request(extra=extra, body=b"v=1"), now=1.0) is Verdict.MISSING
    assert digest.check(request(extra=extra, body=b"v=0"), now=1.0) is Verdict.ACCEPTED
    assert check(digest, answered((challenges[0].replace("auth-int", "auth"),))) is Verdict.MISSING
