"""Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760), MD5 and SHA-256, auth and auth-int; both sides."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, TypeAlias

from telephony.errors import SipParseError
from telephony.sip.grammar import quote, split_list, unquote
from telephony.sip.message import Request, Response

Algorithm: TypeAlias = Literal["SHA-256", "MD5"]
Quality: TypeAlias = Literal["auth", "auth-int"]
"""Quality of protection: of the request line, or of the body too."""

NONCE_LIFE_S = 300.0
MAX_NONCES = 10_000

ALGORITHMS: tuple[Algorithm, ...] = ("SHA-256", "MD5")
"""Those that we know, the better one first."""

_HASHES: Mapping[Algorithm, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the far end."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request the digest covers; the body by auth-int only."""

    method: str
    uri: str
    body: bytes = b""


class Verdict(Enum):
    """What a server makes of a request's credentials."""

    ACCEPTED = auto()
    MISSING = auto()  # none for our realm, or wrong: challenge
    STALE = auto()  # right, but with an old or used nonce: challenge, the client need not ask its user


def parse_digest(value: str) -> dict[str, str]:
    """Read a challenge or an answer; names in lower case, quotes undone. Raises `SipParseError`."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "digest":
        raise SipParseError("an authentication scheme other than Digest")
    fields: dict[str, str] = {}
    for part in split_list(rest):
        name, equals, text = part.partition("=")
        if not equals:
            raise SipParseError("a Digest field has no value")
        fields.setdefault(name.strip().lower(), unquote(text.strip()))
    return fields


def _digest(algorithm: Algorithm, asked: Asked, fields: Mapping[str, str], credentials: Credentials) -> str:
    """RFC 7616 sections 3.4.1 to 3.4.3; without qop, as RFC 2069 had it."""
    hashed = _HASHES[algorithm]

    def h(*parts: str) -> str:
        return hashed(":".join(parts).encode("utf-8", "surrogateescape"))

    secret = h(credentials.username, fields["realm"], credentials.password)
    integrity = (hashed(asked.body),) if fields.get("qop") == "auth-int" else ()
    request = h(asked.method, asked.uri, *integrity)
    if "qop" not in fields:
        return h(secret, fields["nonce"], request)
    return h(secret, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], request)


def _algorithm_of(fields: Mapping[str, str]) -> Algorithm | None:
    written = fields.get("algorithm", "MD5").upper()
    return next((algorithm for algorithm in ALGORITHMS if algorithm == written), None)


class DigestServer:
    """Challenges callers and checks their answers.

    A nonce carries its own time and seal, so nothing is kept for a challenge that is never answered; what is
    kept, for as long as a nonce lives, is the highest nonce count that it was used with.
    """

    def __init__(
        self,
        *,
        realm: str,
        passwords: Mapping[str, str],
        secret: bytes,
        algorithms: Sequence[Algorithm] = ALGORITHMS,
        qualities: Sequence[Quality] = ("auth",),
    ) -> None:
        """`qualities` of ("auth-int",) lets nobody change a body on its way; few phones can do that."""
        self._realm = realm
        self._algorithms = algorithms
        self._qualities = qualities
        self._passwords = passwords
        self._secret = secret
        self._issued = 0
        self._counts: OrderedDict[str, int] = OrderedDict()  # by nonce

    def challenges(self, *, stale: bool = False, now: float) -> tuple[str, ...]:
        """Values for WWW-Authenticate, one for each algorithm in the order of preference (RFC 8760 section 2.4)."""
        self._issued += 1
        stamp = f"{int(now * 1000):x}.{self._issued:x}"
        nonce = f"{stamp}.{self._seal(stamp)}"
        flag = ", stale=true" if stale else ""
        qop = ",".join(self._qualities)
        return tuple(
            f'Digest realm={quote(self._realm)}, nonce="{nonce}", algorithm={algorithm}, qop="{qop}"{flag}'
            for algorithm in self._algorithms
        )

    def _seal(self, stamp: str) -> str:
        return hmac.new(self._secret, f"{self._realm}:{stamp}".encode(), hashlib.sha256).hexdigest()[:32]

    def check(self, request: Request, *, now: float) -> Verdict:
        """Judge a request by its Authorization headers."""
        for value in request.headers.all("Authorization"):
            try:
                fields = parse_digest(value)
            except SipParseError:
                continue
            if fields.get("realm") == self._realm:
                return self._judge(request, fields, now=now)
        return Verdict.MISSING

    def _judge(self, request: Request, fields: Mapping[str, str], *, now: float) -> Verdict:
        algorithm = _algorithm_of(fields)
        needed = {"username", "nonce", "uri", "response"} | ({"nc", "cnonce"} if "qop" in fields else set())
        if (
            algorithm is None
            or algorithm not in self._algorithms
            or not needed <= fields.keys()
            or fields.get("qop", "auth") not in self._qualities
        ):
            return Verdict.MISSING
        username = fields["username"]
        # An unknown user costs as much time as a known one with a wrong password.
        password = self._passwords.get(username, "")
        asked = Asked(request.method, fields["uri"], request.body)
        expected = _digest(algorithm, asked, fields, Credentials(username, password))
        right = hmac.compare_digest(expected.encode(), fields["response"].lower().encode("utf-8", "surrogateescape"))
        if not right or username not in self._passwords:
            return Verdict.MISSING
        return self._judge_nonce(fields["nonce"], fields.get("nc", "00000001"), now=now)

    def _judge_nonce(self, nonce: str, nonce_count: str, *, now: float) -> Verdict:
        stamp, _, seal = nonce.rpartition(".")
        sealed = hmac.compare_digest(self._seal(stamp).encode(), seal.encode("utf-8", "surrogateescape"))
        if not sealed or not _NONCE_COUNT.fullmatch(nonce_count):
            return Verdict.STALE
        age_s = now - int(stamp.partition(".")[0], 16) / 1000
        # Section 22.4 of RFC 3261 with RFC 7616 section 3.4: a count that does not grow is a replay.
        if not -1.0 <= age_s <= NONCE_LIFE_S or int(nonce_count, 16) <= self._counts.get(nonce, 0):
            return Verdict.STALE
        self._counts[nonce] = int(nonce_count, 16)
        if len(self._counts) > MAX_NONCES:
            self._counts.popitem(last=False)
        return Verdict.ACCEPTED


def authorization(
    credentials: Credentials, request: Request, response: Response, *, cnonce: str
) -> tuple[str, str] | None:
    """Answer a 401 or 407: the header to send the request again with; None when the challenge is beyond us."""
    asks, answers = (
        ("WWW-Authenticate", "Authorization")
        if response.status == 401
        else ("Proxy-Authenticate", "Proxy-Authorization")
    )
    challenges = response.headers.all(asks)
    asked = Asked(request.method, str(request.uri), request.body)
    value = answer_challenge(challenges, credentials, asked, cnonce=cnonce)
    return None if value is None else (answers, value)


def answer_challenge(challenges: Sequence[str], credentials: Credentials, asked: Asked, *, cnonce: str) -> str | None:
    """Answer the best challenge that we can; None when there is none. A nonce is used once."""
    readable: list[dict[str, str]] = []
    for value in challenges:
        try:
            readable.append(parse_digest(value))
        except SipParseError:
            continue
    for algorithm in ALGORITHMS:
        for challenge in readable:
            if _algorithm_of(challenge) == algorithm and {"realm", "nonce"} <= challenge.keys():
                return _answer(challenge, algorithm, credentials, asked, cnonce=cnonce)
    return None


def _answer(
    challenge: Mapping[str, str],
    algorithm: Algorithm,
    credentials: Credentials,
    asked: Asked,
    *,
    cnonce: str,
) -> str:
    fields = {"realm": challenge["realm"], "nonce": challenge["nonce"], "uri": asked.uri}
    offered = {option.strip().lower() for option in challenge.get("qop", "").split(",")}
    # What is passed on by proxies may have its body changed, so auth-int is chosen where nothing else is offered.
    chosen = next((qop for qop in ("auth", "auth-int") if qop in offered), None)
    if chosen is not None:
        fields |= {"qop": chosen, "nc": "00000001", "cnonce": cnonce}
    response = _digest(algorithm, asked, fields, credentials)
    quoted = {"username": credentials.username, **{name: fields[name] for name in ("realm", "nonce", "uri")}}
    quoted["response"] = response
    if "cnonce" in fields:
        quoted["cnonce"] = cnonce
    if "opaque" in challenge:
        quoted["opaque"] = challenge["opaque"]
    plain = {"algorithm": algorithm, **{name: fields[name] for name in ("qop", "nc") if name in fields}}
    parts = [*(f"{name}={quote(text)}" for name, text in quoted.items()), *(f"{n}={t}" for n, t in plain.items())]
    return f"Digest {', '.join(parts)}"
