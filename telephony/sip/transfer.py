"""`Transfer`: a REFER of ours and what becomes of it (RFC 3515, RFC 5589), told by NOTIFY with a sipfrag (RFC 3420)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote as percent_encode

from telephony.sip.body import media_type
from telephony.sip.dialog import DialogId
from telephony.sip.grammar import find_parameter, parse_parameters, printable
from telephony.sip.message import Request, Response
from telephony.sip.state_table import StateMachine
from telephony.sip.uri import SipUri

_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?(?:\r?\n|$)", re.IGNORECASE)


class State(Enum):
    """States of the machine."""

    REFERRING = auto()  # our REFER has no final response
    WATCHING = auto()  # it was accepted; NOTIFY says how far the far end is
    ENDED = auto()  # `outcome` says how


class Cause(Enum):
    """What moves the machine."""

    ACCEPT = auto()
    PROGRESS = auto()  # a NOTIFY that decides nothing
    SUCCEED = auto()  # a NOTIFY says 2xx, or the far end hangs up after it accepted
    FAIL = auto()  # REFER or the far end's INVITE is refused, or it takes too long


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.REFERRING, Cause.ACCEPT): State.WATCHING,
    (State.REFERRING, Cause.PROGRESS): State.REFERRING,  # a NOTIFY may overtake the 202
    (State.REFERRING, Cause.SUCCEED): State.ENDED,
    (State.REFERRING, Cause.FAIL): State.ENDED,
    (State.WATCHING, Cause.PROGRESS): State.WATCHING,
    (State.WATCHING, Cause.SUCCEED): State.ENDED,
    (State.WATCHING, Cause.FAIL): State.ENDED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transfer ended; `status` is the SIP status that decided it, 0 where there was none."""

    succeeded: bool
    status: int = 0
    detail: str = ""


class Transfer:
    """One transfer. Times are seconds."""

    def __init__(self, *, give_up_at: float) -> None:
        self._machine = StateMachine(TABLE, State.REFERRING)
        self._give_up_at = give_up_at
        self.outcome: Outcome | None = None

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return None if self.state is State.ENDED else self._give_up_at

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        if now >= self._give_up_at:
            self._end(Cause.FAIL, Outcome(False, 408, "nobody answered in time"))

    def answered(self, response: Response) -> None:
        """Take the final response to our REFER (section 2.4.2)."""
        if response.status >= 300:
            self._end(Cause.FAIL, Outcome(False, response.status, printable(response.reason)))
        elif (response.headers.first("Refer-Sub") or "").strip().lower() == "false":
            # RFC 4488: the far end will not tell us any more.
            self._end(Cause.SUCCEED, Outcome(True, response.status))
        else:
            self._machine.step(Cause.ACCEPT)

    def unanswered(self) -> None:
        """Note that our REFER got no final response."""
        self._end(Cause.FAIL, Outcome(False, 408, "REFER was not answered"))

    def hung_up(self) -> None:
        """Note that the far end says BYE: after it accepted, that is how many say that they are done."""
        succeeded = self.state is State.WATCHING
        self._end(Cause.SUCCEED if succeeded else Cause.FAIL, Outcome(succeeded))

    def notified(self, notify: Request) -> int:
        """Take a NOTIFY of the dialog; returns the status to answer it with (section 2.4.4)."""
        event, _, _ = (notify.headers.first("Event") or "").partition(";")
        if event.strip().lower() != "refer":
            return 489
        state, semicolon, parameters = (notify.headers.first("Subscription-State") or "").partition(";")
        status, reason = _sipfrag(notify)
        if status >= 200:
            succeeded = status < 300
            self._end(Cause.SUCCEED if succeeded else Cause.FAIL, Outcome(succeeded, status, reason))
        elif state.strip().lower() == "terminated":
            why = find_parameter(parse_parameters(semicolon + parameters), "reason") or "no reason given"
            self._end(Cause.FAIL, Outcome(False, status, f"the far end stopped telling: {printable(why)}"))
        else:
            self._machine.step(Cause.PROGRESS)
        return 200

    def _end(self, cause: Cause, outcome: Outcome) -> None:
        if self._machine.step(cause):
            self.outcome = outcome


def _sipfrag(notify: Request) -> tuple[int, str]:
    """Read the status line in the body; (0, "") where there is none."""
    kind, _ = media_type(notify.headers)
    match = _STATUS_LINE.match(notify.body.lstrip()) if kind == "message/sipfrag" else None
    if match is None:
        return 0, ""
    return int(match.group(1)), printable((match.group(2) or b"").decode("utf-8", "surrogateescape"))[:200]


def refer_to(target: SipUri, *, replaces: DialogId | None = None) -> str:
    """Write Refer-To. With `replaces`, whoever we are in this dialog with is to talk to our caller instead of us.

    Tags are as that party sees them (RFC 3891 section 3): its own first, which is our remote one.
    """
    if replaces is None:
        return f"<{target}>"
    value = f"{replaces.call_id};to-tag={replaces.remote_tag};from-tag={replaces.local_tag}"
    return f"<{target}?Replaces={percent_encode(value, safe='')}>"
