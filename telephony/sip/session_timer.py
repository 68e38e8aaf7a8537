"""`SessionTimer`: both sides show now and then that a session lives (RFC 4028)."""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeAlias

from telephony.errors import SipParseError
from telephony.sip.call_limits import CallLimits
from telephony.sip.grammar import find_parameter, parse_number, parse_parameters
from telephony.sip.inspection import Refusal
from telephony.sip.message import Message, Request, Response, header_number
from telephony.sip.timers import Timer, TimerSet

_Extra: TypeAlias = tuple[tuple[str, str], ...]
_MAX_S = 2**31 - 1
_LEAST_S = 90  # section 4
_LAST_TRY_S = 10.0  # before the end: a refresh that is refused then is not tried again


class SessionDue(Enum):
    """What has to be done about the session."""

    REFRESH = auto()
    EXPIRED = auto()  # section 10: nobody refreshed it; hang up


def session_expires(message: Message) -> tuple[int, str] | None:
    """Read Session-Expires: seconds, and "uac", "uas" or "". Raises `SipParseError`."""
    value = message.headers.only("Session-Expires")
    if value is None:
        return None
    seconds, semicolon, parameters = value.partition(";")
    refresher = (find_parameter(parse_parameters(semicolon + parameters), "refresher") or "").lower()
    return parse_number(seconds.strip(), name="Session-Expires", maximum=_MAX_S), refresher


def min_session(message: Message) -> int:
    """Read Min-SE, which is 90 where it is missing (section 5). Raises `SipParseError`."""
    value = message.headers.only("Min-SE")
    digits = _LEAST_S if value is None else parse_number(value.partition(";")[0].strip(), name="Min-SE", maximum=_MAX_S)
    return max(digits, _LEAST_S)


def refuse_brief(request: Request, limits: CallLimits) -> Refusal | None:
    """Refuse a session that is to be refreshed too often (section 9): 422.

    Raises `SipParseError` for all that `SessionTimer.answer` would find malformed: by then it is too late to refuse.
    """
    asked, _, supported = session_expires(request), min_session(request), _supports_timer(request)
    if asked is None or asked[0] >= limits.min_session_s or not supported:
        return None
    return Refusal(422, (("Min-SE", str(limits.min_session_s)),))


def _supports_timer(message: Message) -> bool:
    return "timer" in {tag.lower() for tag in message.headers.listed("Supported")}


class SessionTimer:
    """The interval that both sides agreed, and whose turn it is to refresh."""

    def __init__(self, limits: CallLimits) -> None:
        self._wanted_s = limits.session_s
        self._least_s = max(limits.min_session_s, _LEAST_S)
        self._timers = TimerSet()
        self._agreed_s = 0
        self._ours = False  # whether we refresh
        self._end_at = 0.0
        self._refreshing = False  # it was due, and nothing has been agreed since

    def ask(self) -> _Extra:
        """Write the headers of an INVITE or UPDATE of ours (section 7.1, 7.4)."""
        interval_s = self._agreed_s or self._wanted_s
        if not interval_s:
            return ()
        # In a refresh the roles stay as they are: "uac" is whoever sends this request.
        role = "" if not self._agreed_s else f";refresher={'uac' if self._ours else 'uas'}"
        return (("Session-Expires", f"{interval_s}{role}"), ("Min-SE", str(self._least_s)))

    def take_refusal(self, response: Response) -> bool:
        """Take a 422: whether asking again for longer makes sense (section 7.3)."""
        try:
            least_s = header_number(response, "Min-SE", maximum=_MAX_S)
        except SipParseError:
            return False
        if not (self._wanted_s or self._agreed_s) or least_s is None or least_s <= self._least_s:
            return False
        self._least_s = least_s
        self._wanted_s = self._wanted_s and max(self._wanted_s, least_s)
        self._agreed_s = self._agreed_s and max(self._agreed_s, least_s)
        return True

    def refused(self, *, now: float) -> None:
        """Note that an offer of ours was refused: a refresh is tried again halfway to the end (section 10)."""
        left_s = self._end_at - now
        if self._refreshing and left_s > _LAST_TRY_S:
            self._timers.start(Timer.REFRESH, now + left_s / 2)

    def answer(self, request: Request, *, now: float) -> _Extra:
        """Agree with an INVITE or UPDATE of the peer, and write the headers of its 2xx (section 9)."""
        asked = session_expires(request)
        if asked is None:
            # A peer that knows nothing of this is refreshed by us (table 2).
            self._agree(self._wanted_s, ours=True, now=now)
            return (("Session-Expires", f"{self._wanted_s};refresher=uas"),) if self._wanted_s else ()
        seconds, refresher = asked
        if self._wanted_s:
            seconds = max(min(seconds, self._wanted_s), min_session(request))
        supported = _supports_timer(request)
        ours = refresher == "uas" or not supported
        self._agree(seconds, ours=ours, now=now)
        required = () if ours else (("Require", "timer"),)
        return (("Session-Expires", f"{seconds};refresher={'uas' if ours else 'uac'}"), *required)

    def agreed(self, response: Response, *, now: float) -> None:
        """Take the 2xx to an INVITE or UPDATE of ours (section 7.2); raises `SipParseError`."""
        said = session_expires(response)
        if said is None:
            self._agree(0, ours=False, now=now)
        else:
            self._agree(said[0], ours=said[1] != "uas", now=now)

    def _agree(self, seconds: int, *, ours: bool, now: float) -> None:
        self._agreed_s, self._ours = seconds, ours
        self._refreshing = False
        self._timers.stop_all()
        if seconds:
            # Section 10: whoever does not refresh says BYE somewhat before the end.
            self._end_at = now + seconds - min(32.0, seconds / 3)
            self._timers.start(Timer.SESSION_END, self._end_at)
            if ours:
                self._timers.start(Timer.REFRESH, now + seconds / 2)

    def stop(self) -> None:
        """Stop: the session is over."""
        self._timers.stop_all()

    def timer_at(self) -> float | None:
        """When `pop_due` has something."""
        return self._timers.next_at()

    def pop_due(self, *, now: float) -> SessionDue | None:
        """Let time pass: what is to be done, or None."""
        match self._timers.pop_due(now):
            case None:
                return None
            case Timer.REFRESH:
                self._refreshing = True
                return SessionDue.REFRESH
            case _:
                self._timers.stop_all()
                return SessionDue.EXPIRED
