"""`AdmissionControl`: which requests outside any dialog are let in (RFC 3261 section 8.2, in its order)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from telephony.media import MediaAbilities
from telephony.sip.auth import DigestServer, Verdict
from telephony.sip.inspection import Refusal, inspect_extensions, inspect_offer
from telephony.sip.message import Request
from telephony.sip.offer_answer import ANYTHING
from telephony.sip.sdp import AddressType
from telephony.sip.token_bucket import TokenBuckets

Admission: TypeAlias = Callable[[], int | None]
"""Asked for each new call: None lets it in, a number refuses it with 503 and that Retry-After in seconds."""


WRONG_PASSWORDS = 20
"""How many a source may give before it has to wait."""

_PASSWORDS_PER_S = 1 / 3


def admit_all() -> int | None:
    """Let every call in."""
    return None


class AdmissionControl:
    """Judges INVITE, OPTIONS and stray requests."""

    def __init__(
        self,
        *,
        digest: DigestServer | None,
        admit: Admission,
        address_type: AddressType,
        abilities: MediaAbilities = ANYTHING,
    ) -> None:
        self._digest = digest
        self._admit = admit
        self._address_type: AddressType = address_type
        self._abilities = abilities
        self._guesses = TokenBuckets(per_s=_PASSWORDS_PER_S, burst=WRONG_PASSWORDS)

    def examine(
        self, request: Request, *, source: str, merged: bool, trusted: bool = False, now: float
    ) -> Refusal | None:
        """Say how to refuse a request from this host, or None to act on it.

        A trunk that is `trusted` is not asked for a password: it calls for others, and has none. Raises
        `SipParseError` for broken headers.
        """
        refusal = None if trusted else self._authenticate(request, source, now=now)
        if refusal is None and merged:
            refusal = Refusal(482)
        if refusal is None:
            refusal = inspect_extensions(request)
        if refusal is None and request.method == "INVITE":
            refusal = inspect_offer(request, address_type=self._address_type, abilities=self._abilities)
        if refusal is None and request.method not in ("INVITE", "OPTIONS"):
            refusal = Refusal(481)
        # Section 11.2: OPTIONS is answered as an INVITE would be, so a proxy that probes us sees when we are full.
        if refusal is None and (retry_after_s := self._admit()) is not None:
            refusal = Refusal(503, (("Retry-After", str(retry_after_s)),))
        return refusal

    def _authenticate(self, request: Request, source: str, *, now: float) -> Refusal | None:
        """Section 22.1. OPTIONS stays open, so that a proxy can see whether we are alive."""
        if self._digest is None or request.method != "INVITE":
            return None
        verdict = self._digest.check(request, now=now)
        if verdict is Verdict.MISSING and request.headers.all("Authorization"):
            self._guesses.take(source, now=now)
        # Who has guessed too often is told the same whatever it says, so a right guess is not found out.
        if self._guesses.is_empty(source, now=now):
            verdict = Verdict.MISSING
        if verdict is Verdict.ACCEPTED:
            return None
        challenges = self._digest.challenges(stale=verdict is Verdict.STALE, now=now)
        return Refusal(401, tuple(("WWW-Authenticate", challenge) for challenge in challenges))
