"""`Referral`: a REFER to us, and the NOTIFYs that tell what comes of it (RFC 3515, RFC 3420, RFC 4488)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto
from urllib.parse import unquote as percent_decode

from telephony.errors import SipParseError
from telephony.sip.message import Request, addresses
from telephony.sip.replaces import OPTION_TAG, parse_replaces
from telephony.sip.responses import REASON_PHRASES
from telephony.sip.state_table import StateMachine
from telephony.sip.transactions import ServerKey
from telephony.sip.uri import SipUri

Extra = tuple[tuple[str, str], ...]
Notice = tuple[Extra, bytes]

_LIFE_S = 180
_WAITING_MAX = 8
_HEADER = re.compile(r"([^=&]+)=([^&]*)")


class State(Enum):
    """States of the machine."""

    ASKED = auto()  # whether its target may be called is not known yet
    TRYING = auto()  # it was accepted, and the target is being called
    ENDED = auto()


class Cause(Enum):
    """What moves the machine."""

    ACCEPT = auto()
    DECLINE = auto()
    PROGRESS = auto()  # the target has answered 1xx
    FINAL = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.ASKED, Cause.ACCEPT): State.TRYING,
    (State.ASKED, Cause.DECLINE): State.ENDED,
    (State.TRYING, Cause.PROGRESS): State.TRYING,
    (State.TRYING, Cause.FINAL): State.ENDED,
}


class Referral:
    """One REFER. Raises `SipParseError` for one that names nobody to call."""

    def __init__(self, key: ServerKey, refer: Request) -> None:
        self.key = key
        self.request = refer
        self.target, replaces = _read_refer_to(refer)
        self.extra: Extra = ()
        """What our INVITE to the target says besides: by whom it was asked for, whose place it is to take."""
        if referred_by := refer.headers.first("Referred-By"):
            self.extra += (("Referred-By", referred_by),)
        if replaces:
            self.extra += (("Replaces", replaces), ("Require", OPTION_TAG))
        self._silent = (refer.headers.first("Refer-Sub") or "").strip().lower() == "false"
        self._machine = StateMachine(TABLE, State.ASKED)
        # the last are the news, and the very last says that it is over
        self._waiting: deque[Notice] = deque(maxlen=_WAITING_MAX)

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    @property
    def settled(self) -> bool:
        """Whether it is over, and all has been told."""
        return self.state is State.ENDED and not self._waiting

    @property
    def consent(self) -> Extra:
        """What our 202 says: that no NOTIFY will come, where none is wanted (RFC 4488 section 4)."""
        return (("Refer-Sub", "false"),) if self._silent else ()

    def decide(self, *, accepted: bool) -> bool:
        """Accept or decline; False when that was decided before."""
        return self._machine.step(Cause.ACCEPT if accepted else Cause.DECLINE)

    def note(self, status: int) -> None:
        """Write the NOTIFY for a status of the target, a final one being the last; it waits for `next_notice`."""
        if not self._machine.step(Cause.PROGRESS if status < 200 else Cause.FINAL) or self._silent:
            return
        state = f"active;expires={_LIFE_S}" if status < 200 else "terminated;reason=noresource"
        headers = (
            # Section 2.4.6: which REFER, since a dialog may see several.
            ("Event", f"refer;id={self.request.cseq.number}"),
            ("Subscription-State", state),
            ("Content-Type", "message/sipfrag;version=2.0"),
        )
        self._waiting.append((headers, f"SIP/2.0 {status} {REASON_PHRASES.get(status, 'Unknown')}\r\n".encode()))

    def next_notice(self) -> Notice | None:
        """Give what to tell next, in headers and body."""
        return self._waiting.popleft() if self._waiting else None

    def unheard(self) -> None:
        """Tell no more: whoever asked does not listen."""
        self._waiting.clear()


def _read_refer_to(refer: Request) -> tuple[SipUri, str]:
    """Read whom to call, and the Replaces that its URI holds; other headers and methods are not for others to write."""
    match addresses(refer, "Refer-To"):
        case (only,) if isinstance(only.uri, SipUri) and (only.uri.parameter("method") or "INVITE") == "INVITE":
            uri = only.uri
        case _:
            raise SipParseError("Refer-To needs to be one sip: URI to be called")
    written = [percent_decode(value) for name, value in _HEADER.findall(uri.headers) if name.lower() == "replaces"]
    if len(written) > 1:
        raise SipParseError("Refer-To names two calls to replace")
    parameters = tuple(parameter for parameter in uri.parameters if parameter[0] != "method")
    replaces = str(parse_replaces(written[0])) if written else ""
    return replace(uri, headers="", parameters=parameters), replaces
