"""`UserAgentConfig`: how one user agent behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from telephony.media import MediaAbilities
from telephony.sip.auth import ALGORITHMS, Algorithm, Quality
from telephony.sip.call_limits import DEFAULT_LIMITS, CallLimits
from telephony.sip.identity import Identity
from telephony.sip.offer_answer import ANYTHING
from telephony.sip.sdp import AddressType
from telephony.sip.timers import Timings
from telephony.sip.transactions import MAX_TRANSACTIONS
from telephony.source_list import SourceList

ReferPolicy: TypeAlias = Literal["never", "trusted", "listed"]
NO_PEER = SourceList(())


@dataclass(frozen=True, slots=True)
class UserAgentConfig:
    """How one user agent behaves."""

    identity: Identity
    timings: Timings = field(default_factory=Timings)
    address_type: AddressType = "IP4"  # family of our RTP addresses
    realm: str = "zeng"
    passwords: Mapping[str, str] = field(default_factory=dict[str, str])  # empty: callers are not challenged
    digest_algorithms: tuple[Algorithm, ...] = ALGORITHMS  # some callers look at the first challenge only
    limits: CallLimits = DEFAULT_LIMITS
    digest_qualities: tuple[Quality, ...] = ("auth",)
    trusted: SourceList = NO_PEER  # whose word on who calls is believed, so they are not challenged either
    accepts_replaces: bool = False  # whether an INVITE may take the place of a call that is up (RFC 3891)
    heeds_refer: ReferPolicy = "never"  # whether a far end may have us call somebody in its place (RFC 3515)
    abilities: MediaAbilities = ANYTHING  # of every call: an offer that does not fit is refused before it rings
    max_transactions: int = MAX_TRANSACTIONS
